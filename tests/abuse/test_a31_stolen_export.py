"""The file of an exported key is stolen (T-31).

ATTACK
    A thief has the file of an exported key, from a backup or on its way. They read it, start with it as it is, take its seal away,
    exchange whose key it says it is, and make its passphrase cheaper to search by changing what one guess costs.

EXPECTED REFUSAL
    An exported key is always sealed, holds one static key and nothing that opens a row, and no service takes it for a key file [K-36].
    What a guess costs is sealed in, and has a floor [K-9]. The history knew of the copy before there was one [K-37].

EXPECTED EVIDENCE
    KEY_CHANGED / KEY_EXPORTED
"""

import json
from pathlib import Path
from typing import Any

import pytest

from core.reasons import Reason
from jvpn.shell import exported, keyfile, vault
from jvpn.shell.checked import Misconfigured
from jvpn.shell.vault import PLAIN, Vault, judged_passphrase, vault_of
from tests.jvpn.cli.calling import Jvpn
from tests.jvpn.cli.conftest import jvpn
from tests.jvpn.cli.test_keys import secrets
from tests.jvpn.cli.test_passphrase import written
from tests.jvpn.cli.test_trust import events

__all__ = ["jvpn"]


@pytest.fixture
def stolen(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the exported key of a gateway, sealed at the lowest costs that are allowed."""
    monkeypatch.setattr(vault, "USUAL", vault.Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1))
    jvpn("keygen", "gateway", "--out", tmp_path / "gateway.key")
    out = tmp_path / "copy.key"
    done = jvpn("keys", "export", tmp_path / "gateway.key", "--out", out, "--audit", tmp_path / "audit", "--export-passphrase-file",
                written(tmp_path / "passphrase"))  # fmt: skip
    assert done.status == 0
    return out


def test_the_file_gives_nothing_away(stolen: Path) -> None:
    """A lost backup is a gateway that anybody can be, and opens what its store once held."""
    text = stolen.read_text()
    assert not [secret for secret in secrets(stolen.parent / "gateway.key") if secret in text]
    plain = vault_of(stolen.parent / "passphrase").opened(stolen, bytearray(text.encode()))
    held = [name for name in ("private", "kek", "locator_keys", "retiring") if name in json.loads(plain)]
    assert held == ["private"], "the passphrase alone opens no row and no locator"
    assert ("KEY_CHANGED", Reason.KEY_EXPORTED.name) in events(stolen.parent / "audit")


def test_nobody_serves_with_it(stolen: Path) -> None:
    """A copy is used beside the original, without a record that it was taken in anywhere."""
    mine = vault_of(stolen.parent / "passphrase")
    for load in (lambda: keyfile.load_gateway(stolen, 10**18, mine), lambda: keyfile.load_device(stolen, mine)):
        with pytest.raises(Misconfigured, match="found jvpn exported key 1, allowed jvpn"):
            load()
    with pytest.raises(Misconfigured, match="never laid open"):
        keyfile.reseal(stolen, mine, PLAIN)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("memory_kib", 8, "kdf.memory_kib: found 8, allowed 19456"),
        ("passes", 1, "kdf.passes: found 1, allowed 2"),
        ("memory_kib", vault.MEMORY_KIB.start + 1, "the passphrase is another one, or the file is damaged"),
        ("kind", "jvpn device key 1", "the passphrase is another one, or the file is damaged"),
        ("public", "A" * 43 + "=", "the passphrase is another one, or the file is damaged"),
    ],
)
def test_what_it_costs_to_guess_cannot_be_changed(stolen: Path, name: str, value: object, why: str) -> None:
    """A thief makes the owner open a file of theirs, whose passphrase is then searched at a thousandth of the price."""
    fields: dict[str, Any] = json.loads(stolen.read_text())
    (fields["kdf"] if name in fields["kdf"] else fields)[name] = value
    stolen.write_text(json.dumps(fields))
    with pytest.raises(Misconfigured, match=why):
        exported.of_export(stolen, vault_of(stolen.parent / "passphrase"))


def test_a_guess_opens_nothing(stolen: Path) -> None:
    """One of all passphrases opens it, and a wrong one is told from it only by deriving the key."""
    for guess in (b"correct horse batterz", b"correct horse battery ", b"Correct horse battery"):
        with pytest.raises(Misconfigured, match="the passphrase is another one"):
            exported.of_export(stolen, Vault(judged_passphrase(guess, "a guess"), lambda _n: b""))
