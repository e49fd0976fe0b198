"""Encrypted key files: they open with their passphrase only, say what is wrong, and ask for no more than is allowed."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from core.crypto import primitives
from core.crypto.secret import Secret
from jvpn.shell import keyfile, keytext, vault
from jvpn.shell.checked import Misconfigured
from jvpn.shell.randomness import Faulty
from jvpn.shell.vault import PLAIN, Costs, Vault, judged_passphrase, read_passphrase, sealed_fields, vault_of

CHEAP = Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1)
HOUR = 480_000
NOW = HOUR * keyfile.HOUR_NS + 17


def locked(passphrase: bytes = b"correct horse battery") -> Vault:
    """Return a vault at the lowest costs that are allowed."""
    return Vault(Secret(passphrase), os.urandom, CHEAP)


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    """Make a gateway's key file, sealed."""
    path = tmp_path / "gateway.key"
    keyfile.create_gateway(path, os.urandom, NOW, locked())
    return path


def changed(path: Path, *names: str, value: object) -> None:
    """Put another value into a field of a sealed file."""
    fields: dict[str, Any] = json.loads(path.read_text())
    within = fields
    for name in names[:-1]:
        within = within[name]
    within[names[-1]] = value
    path.write_text(json.dumps(fields))


def test_a_sealed_file_opens_with_its_passphrase(gateway: Path) -> None:
    """[K-9] A gateway cannot start with the key that it was given."""
    public = keyfile.public_of(gateway, vault=locked())
    keys = keyfile.load_gateway(gateway, NOW, locked())
    assert [each.public for each in keys.statics] == [public]
    assert json.loads(gateway.read_text())["kdf"] | {"salt": ""} == {"name": "argon2id", **CHEAP._asdict(), "salt": ""}


def test_nothing_secret_is_in_a_sealed_file(tmp_path: Path) -> None:
    """[K-9] The file's copy in a backup gives the keys away."""
    plain, sealed = tmp_path / "plain.key", tmp_path / "sealed.key"
    keyfile.create_gateway(plain, lambda n: b"\x07" * n, NOW)
    keyfile.create_gateway(sealed, lambda n: b"\x07" * n, NOW, Vault(Secret(b"correct horse battery"), lambda n: b"\x01" * n, CHEAP))
    secrets = [json.loads(plain.read_text())[name] for name in ("private", "kek")]
    assert all(secret in plain.read_text() for secret in secrets)
    assert not any(secret in sealed.read_text() for secret in secrets)
    assert oct(sealed.stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("passphrase", [b"correct horse batterz", b"correct horse battery ", b"x" * 12])
def test_another_passphrase_opens_nothing(gateway: Path, passphrase: bytes) -> None:
    """[K-9] Any passphrase does, or a wrong one is blamed on the file alone."""
    with pytest.raises(Misconfigured, match="the passphrase is another one, or the file is damaged"):
        keyfile.load_gateway(gateway, NOW, locked(passphrase))


def test_without_a_passphrase_it_says_what_is_needed(gateway: Path) -> None:
    """An operator is told that the file is no key file."""
    with pytest.raises(Misconfigured, match="is encrypted: name a file with its passphrase"):
        keyfile.load_gateway(gateway, NOW)


@pytest.mark.parametrize(
    ("names", "value", "said"),
    [
        (("public",), "A" * 43 + "=", "another one, or the file is damaged"),
        (("kind",), keytext.DEVICE, "another one, or the file is damaged"),
        (("nonce",), "AAAAAAAAAAAAAAAA", "another one, or the file is damaged"),
        (("kdf", "salt"), "AAAAAAAAAAAAAAAAAAAAAA==", "another one, or the file is damaged"),
        (("kdf", "passes"), 3, "another one, or the file is damaged"),
        (("sealed",), "AAAA", "another one, or the file is damaged"),
        (("kdf", "memory_kib"), 19_455, "kdf.memory_kib: found 19455, allowed 19456 to 1048576"),
        (("kdf", "memory_kib"), 100 << 20, "kdf.memory_kib: found 104857600, allowed"),
        (("kdf", "memory_kib"), True, "kdf.memory_kib: found True, allowed"),
        (("kdf", "memory_kib"), 65_536.0, "kdf.memory_kib: found 65536.0, allowed"),
        (("kdf", "passes"), 1, "kdf.passes: found 1, allowed 2 to 16"),
        (("kdf", "passes"), 10**9, "kdf.passes: found 1000000000, allowed"),
        (("kdf", "lanes"), 0, "kdf.lanes: found 0, allowed 1 to 16"),
        (("kdf", "name"), "pbkdf2", "kdf: found pbkdf2, allowed argon2id"),
        (("kdf",), [], "damaged"),
        (("nonce",), "AAAA", "nonce: damaged, allowed base64 of 12 bytes"),
        (("kdf", "salt"), "!", "kdf.salt: damaged, allowed base64 of 16 bytes"),
        (("sealed",), "A", "sealed: damaged, allowed base64"),
        (("sealed",), 7, "kind, public, nonce or sealed: damaged"),
        (("more",), 1, "damaged: found the fields"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_changed_file_is_refused_by_name(
    gateway: Path, names: tuple[str, ...], value: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[K-9] A hostile file asks for 100 GB, is cheap to search, or another file's keys are taken for this one's."""
    changed(gateway, *names, value=value)
    if "allowed" in said:
        monkeypatch.setattr(vault, "argon2id", lambda *_: pytest.fail("a key was derived before the file was judged"))
    with pytest.raises(Misconfigured, match=said) as refused:
        keyfile.public_of(gateway, vault=locked())
    assert str(refused.value).startswith(str(gateway))


def test_rewriting_takes_a_fresh_nonce_and_derives_once(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-9] Two texts are sealed under one nonce; or traffic stops for the time of Argon2id every hour."""
    counted = Mock(wraps=primitives.argon2id)
    monkeypatch.setattr(vault, "argon2id", counted)
    opened = locked()
    nonces = {json.loads(gateway.read_text())["nonce"]}
    for hour in range(1, 4):
        assert keyfile.ratchet(gateway, NOW + hour * keyfile.HOUR_NS, opened)
        nonces.add(json.loads(gateway.read_text())["nonce"])
    assert (len(nonces), counted.call_count) == (4, 1)
    assert keyfile.load_gateway(gateway, NOW + 3 * keyfile.HOUR_NS, locked()).kek_hour == HOUR + 3 - keyfile.KEPT_HOURS


def test_a_passphrase_is_changed_and_taken_away(gateway: Path) -> None:
    """An old passphrase still opens, or the keys are others afterwards."""
    public, salt = keyfile.public_of(gateway, vault=locked()), json.loads(gateway.read_text())["kdf"]["salt"]
    keyfile.reseal(gateway, locked(), locked(b"another passphrase"))
    assert json.loads(gateway.read_text())["kdf"]["salt"] != salt
    with pytest.raises(Misconfigured):
        keyfile.public_of(gateway, vault=locked())
    assert keyfile.public_of(gateway, vault=locked(b"another passphrase")) == public
    keyfile.reseal(gateway, locked(b"another passphrase"), PLAIN)
    assert keyfile.public_of(gateway) == public
    assert sealed_fields(gateway.read_bytes()) is None
    keyfile.reseal(gateway, PLAIN, locked())
    assert keyfile.public_of(gateway, vault=locked()) == public


@pytest.mark.parametrize("size", [0, 11, 1_025])
def test_passphrases_have_a_length(size: int) -> None:
    """A file is sealed under nothing; or the refusal shows the passphrase."""
    with pytest.raises(Misconfigured, match=f"a passphrase of {size} bytes, allowed 12 to 1024") as refused:
        judged_passphrase(b"q" * size, "prompt")
    assert "qq" not in str(refused.value)


def test_a_passphrase_file_is_its_owners(tmp_path: Path) -> None:
    """Others read the passphrase, or what an editor adds at the line's end counts."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"correct horse battery\r\nand a second line\n")
    path.chmod(0o644)
    with pytest.raises(Misconfigured):
        read_passphrase(path)
    path.chmod(0o600)
    assert read_passphrase(path).expose() == b"correct horse battery"
    assert vault_of(None) is PLAIN


def test_rotation_of_the_static_key(gateway: Path) -> None:
    """[K-10] Clients that know the old key find nobody; or a key that was dropped can be had from the file."""
    old = keyfile.public_of(gateway, vault=locked())
    new = keyfile.rotate_static(gateway, os.urandom, locked())
    assert [each.public for each in keyfile.load_gateway(gateway, NOW, locked()).statics] == [new, old]
    assert keyfile.public_of(gateway, vault=locked()) == new != old
    with pytest.raises(Misconfigured, match="there is a key that retires already"):
        keyfile.rotate_static(gateway, os.urandom, locked())
    keyfile.ratchet(gateway, NOW + keyfile.HOUR_NS, locked())
    assert keyfile.drop_retiring(gateway, locked()) == old
    assert [each.public for each in keyfile.load_gateway(gateway, NOW, locked()).statics] == [new]
    with pytest.raises(Misconfigured, match="no key retires"):
        keyfile.drop_retiring(gateway, locked())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"retiring_public": None}, "retiring"),
        ({"retiring_public": "A" * 43 + "="}, "retiring_public: does not belong"),
        ({"retiring": "x"}, "damaged"),
    ],
)
def test_a_damaged_retiring_key_is_refused(tmp_path: Path, change: dict[str, str | None], said: str) -> None:
    """A gateway serves without a word under one key of two."""
    path = tmp_path / "plain.key"
    keyfile.create_gateway(path, os.urandom, NOW)
    keyfile.rotate_static(path, os.urandom)
    fields = {name: value for name, value in (json.loads(path.read_text()) | change).items() if value is not None}
    path.write_text(json.dumps(fields))
    with pytest.raises(Misconfigured, match=said):
        keyfile.load_gateway(path, NOW)


def test_a_pair_that_does_not_fit_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-12] A key that a broken library made is handed out, and nobody can ever speak with its owner."""
    path = tmp_path / "device.key"
    monkeypatch.setattr("jvpn.shell.second.bindings.crypto_scalarmult", lambda _a, _b: bytes(32))
    with pytest.raises(Faulty, match="pairwise test: both reach the same shared secret"):
        keyfile.create_device(path, os.urandom)
    assert not path.exists()
