"""Key files: made once, read only when sound, and older row keys destroyed with the passing of time."""

import errno
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto.chain import next_kek
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.session.desk import Keks
from jvpn.shell import files, keyfile, keytext
from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable
from jvpn.shell.forms import key_text
from tests.core.exposed import laid_open
from tests.jvpn.shell.storing import row

HOUR = 500_000
NOW = HOUR * keyfile.HOUR_NS + 17


def counted(start: int = 0) -> Callable[[int], bytes]:
    """Return an entropy source whose draws can be told apart."""
    drawn = iter(range(start + 1, 200))
    return lambda n: bytes((next(drawn),)) * n


def fields(path: Path) -> dict[str, object]:
    """Return what a file says."""
    found: dict[str, object] = json.loads(path.read_text())
    return found


def spoiled(path: Path, **changes: object) -> None:
    """Change fields of a file; None removes one."""
    values = {name: value for name, value in (fields(path) | changes).items() if value is not None}
    path.write_text(json.dumps(values, indent=2))


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    """Return a gateway's file, made at hour 500,000."""
    path = tmp_path / "gateway.key"
    keyfile.create_gateway(path, counted(), NOW)
    return path


def test_a_device_s_key_comes_back(tmp_path: Path) -> None:
    """A device could not prove who it is after the restart."""
    path = tmp_path / "device.key"
    public = keyfile.create_device(path, lambda n: b"\x07" * n)
    assert public == PrivateKey(b"\x07" * 32).public == keyfile.load_device(path).public == keyfile.public_of(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert fields(path) == {"format": "jvpn device key 1", "private": key_text(b"\x07" * 32), "public": key_text(public)}


def test_a_gateway_s_keys_come_back(gateway: Path) -> None:
    """Every session in the store, and every locator that clients hold, would be lost at each restart."""
    keys = keyfile.load_gateway(gateway, NOW)
    assert laid_open(keys.locator_keys) == (b"\x01" * 32,)
    assert (keys.kek.expose(), keys.kek_hour) == (b"\x02" * 32, HOUR - 25)
    assert keys.statics[0].public == PrivateKey(b"\x03" * 32).public == keyfile.public_of(gateway)
    again = keyfile.load_gateway(gateway, NOW)
    assert laid_open((*again.locator_keys, again.kek)) == laid_open((*keys.locator_keys, keys.kek))


def test_a_running_gateway_finds_the_key_of_each_row(gateway: Path) -> None:
    """A row that was sealed a lifetime ago could not be opened after a restart, or one older than that still could."""
    running = keyfile.load_gateway(gateway, NOW)
    before = Keks(running.kek_hour, running.kek)
    rows = {hour: before.seal(row(1, kek=hour), bytes(12), (Secret(bytes(16)), Secret(bytes(32)))) for hour in range(HOUR - 24, HOUR + 1)}
    after = keyfile.load_gateway(gateway, NOW + 24 * keyfile.HOUR_NS)
    restarted = Keks(after.kek_hour, after.kek)
    assert restarted.unseal(rows[HOUR], HOUR + 24)
    assert restarted.unseal(rows[HOUR - 1], HOUR + 24)
    assert restarted.unseal(rows[HOUR - 2], HOUR + 24) is None


def test_older_keys_are_destroyed_on_disk(gateway: Path) -> None:
    """Whoever steals the key file next month reads the store's old rows: they have no forward secrecy."""
    old = fields(gateway)["kek"]
    with gateway.open("rb") as held:
        assert keyfile.ratchet(gateway, NOW + 3 * keyfile.HOUR_NS)
        held.seek(0)
        assert held.read().strip(b"\0") == b""
    kek = Secret(b"\x02" * 32)
    for _ in range(3):
        kek = next_kek(kek)
    assert (fields(gateway)["kek"], fields(gateway)["kek_hour"]) == (key_text(kek.expose()), HOUR - 22)
    assert str(old) not in gateway.read_text()
    assert gateway.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in gateway.parent.iterdir()] == [gateway.name]
    assert not keyfile.ratchet(gateway, NOW + 3 * keyfile.HOUR_NS)
    assert keyfile.public_of(gateway) == PrivateKey(b"\x03" * 32).public


def test_what_a_killed_writer_left_is_destroyed(gateway: Path) -> None:
    """[K-6] A rotation that was killed leaves a copy of all keys beside the file, for ever, and whoever takes the disk has old KEKs."""
    draft, other = gateway.with_name(f".{gateway.name}.4711"), gateway.with_name(f".{gateway.name}.swp")
    draft.write_bytes(gateway.read_bytes())
    draft.chmod(0o600)
    other.write_bytes(b"an editor's")
    with draft.open("rb") as held:
        keyfile.ratchet(gateway, NOW)
        assert held.read().strip(b"\0") == b""
    assert {each.name for each in gateway.parent.iterdir()} == {gateway.name, other.name}


def test_a_file_that_cannot_be_replaced_is_not_used(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old keys would stay on a full disk, and nobody would be told; or the file would be lost."""
    before = gateway.read_bytes()

    def full(_path: Path, _data: bytes) -> None:
        raise Misconfigured("cannot be written: No space left on device")

    monkeypatch.setattr(keyfile, "replace", full)
    with pytest.raises(Misconfigured, match="No space"):
        keyfile.load_gateway(gateway, NOW + keyfile.HOUR_NS)
    assert gateway.read_bytes() == before


def test_a_full_disk_is_no_wrong_configuration(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor would not start a gateway again that met a full disk for a moment: exit status 2 says that it must not."""

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jvpn.shell.files.os.write", full)
    with pytest.raises(Unavailable, match="cannot be written: No space") as failed:
        keyfile.load_gateway(gateway, NOW + keyfile.HOUR_NS)
    assert not isinstance(failed.value, Misconfigured)
    assert keyfile.public_of(gateway)


def test_a_clock_that_went_back(gateway: Path) -> None:
    """A gateway would seal rows under keys that it must not have, or start without any."""
    assert keyfile.load_gateway(gateway, NOW - 25 * keyfile.HOUR_NS).kek_hour == HOUR - 25
    with pytest.raises(
        Misconfigured, match=r"kek_hour: found 499975, allowed up to 499974, which is now: this machine's clock is wrong, or was"
    ):
        keyfile.load_gateway(gateway, NOW - 26 * keyfile.HOUR_NS)


def test_a_clock_that_is_years_ahead_destroys_nothing(gateway: Path) -> None:
    """[K-43] One start with a wrong clock ratchets away the keys of every session that lives; or a gateway that was off does not start."""
    before, bound = gateway.read_bytes(), NOW + keyfile.AHEAD_HOURS_MAX * keyfile.HOUR_NS
    for ahead in (bound + keyfile.HOUR_NS, NOW + 9 * 365 * 24 * keyfile.HOUR_NS):
        for use in (keyfile.load_gateway, keyfile.ratchet):
            with pytest.raises(
                Misconfigured, match=r"kek_hour: found 499975, \d+ hours more than a day before this machine's clock, allowed 744"
            ):
                use(gateway, ahead)
    assert gateway.read_bytes() == before
    assert keyfile.load_gateway(gateway, NOW).kek_hour == HOUR - 25
    assert keyfile.load_gateway(gateway, bound).kek_hour == HOUR - 25 + keyfile.AHEAD_HOURS_MAX
    keyfile.renew_kek(gateway, counted(50), NOW + 9 * 365 * 24 * keyfile.HOUR_NS)
    assert keyfile.load_gateway(gateway, NOW + 9 * 365 * 24 * keyfile.HOUR_NS).kek.expose() == b"\x33" * 32


def test_a_kek_can_be_renewed(gateway: Path) -> None:
    """After a clock that was wrong for a while, the gateway could never start again."""
    keyfile.ratchet(gateway, NOW + 100 * keyfile.HOUR_NS)
    keyfile.renew_kek(gateway, counted(50), NOW)
    keys = keyfile.load_gateway(gateway, NOW)
    assert (keys.kek.expose(), keys.kek_hour, laid_open(keys.locator_keys)) == (b"\x33" * 32, HOUR - 25, (b"\x01" * 32,))
    assert keys.statics[0].public == PrivateKey(b"\x03" * 32).public


def test_locator_keys_are_two_at_most(gateway: Path) -> None:
    """After a rotation the clients' locators would be strange at once, or a key would be kept for ever."""
    keyfile.rotate_locators(gateway, counted(50))
    assert laid_open(keyfile.load_gateway(gateway, NOW).locator_keys) == (b"\x33" * 32, b"\x01" * 32)
    keyfile.rotate_locators(gateway, counted(60))
    keys = keyfile.load_gateway(gateway, NOW)
    assert laid_open(keys.locator_keys) == (b"\x3d" * 32, b"\x33" * 32)
    assert (keys.kek.expose(), keys.statics[0].public) == (b"\x02" * 32, PrivateKey(b"\x03" * 32).public)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "jvpn gateway key 2"}, "not a key file of this program"),
        ({"format": ["jvpn gateway key 1"]}, "not a key file of this program"),
        ({"private": None}, "not a key file of this program"),
        ({"private": "c2hvcnQ="}, "not a key file of this program"),
        ({"public": None}, "public: damaged"),
        ({"public": key_text(bytes(32))}, "public: does not belong to the private key"),
        ({"kek": "x"}, "kek: damaged, allowed 32 bytes in base64"),
        ({"kek": None}, "kek: damaged"),
        ({"kek_hour": -1}, "kek_hour: damaged, allowed a number of hours"),
        ({"kek_hour": True}, "kek_hour: damaged"),
        ({"kek_hour": 1.5}, "kek_hour: damaged"),
        ({"locator_keys": []}, "locator_keys: damaged"),
        ({"locator_keys": [key_text(bytes(32))] * 3}, "locator_keys: damaged"),
        ({"locator_keys": ["x"]}, "locator_keys: damaged"),
    ],
)
def test_a_damaged_file_is_refused(gateway: Path, changes: dict[str, object], said: str) -> None:
    """A gateway would start with a wrong key, be strange to all its devices, and nobody would know why."""
    spoiled(gateway, **changes)
    before = gateway.read_bytes()
    with pytest.raises(Misconfigured, match=said) as caught:
        keyfile.load_gateway(gateway, NOW)
    assert str(caught.value).startswith(f"{gateway}: ")
    assert gateway.read_bytes() == before


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"private": "' + b"A" * 43 + b'="', b"x" * 4_097])
def test_what_is_no_key_file(tmp_path: Path, text: bytes) -> None:
    """A wrong path on the command line would end in a traceback."""
    path = tmp_path / "file"
    files.create(path, text)
    with pytest.raises(Misconfigured):
        keyfile.load_device(path)


def test_the_two_kinds_are_told_apart(gateway: Path, tmp_path: Path) -> None:
    """A client would run with the gateway's key: every device could then be impersonated where it runs."""
    with pytest.raises(Misconfigured, match="format: found jvpn gateway key 1, allowed jvpn device key 1"):
        keyfile.load_device(gateway)
    keyfile.create_device(tmp_path / "device.key", counted())
    with pytest.raises(Misconfigured, match="format: found jvpn device key 1, allowed jvpn gateway key 1"):
        keyfile.load_gateway(tmp_path / "device.key", NOW)


def test_an_open_file_is_not_loaded(gateway: Path) -> None:
    """A key that others may have read would be used."""
    gateway.chmod(0o640)
    for load in (keyfile.public_of, lambda path: keyfile.load_gateway(path, NOW), lambda path: keyfile.ratchet(path, NOW)):
        with pytest.raises(Misconfigured, match="found mode 0640"):
            load(gateway)


def test_seeds_are_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private key would stay in memory in the buffers that it was read through."""
    wiped: list[bytes] = []
    real = files.wipe

    def watch(buffer: bytearray) -> None:
        wiped.append(bytes(buffer))
        real(buffer)

    for module in (keyfile, keytext):
        monkeypatch.setattr(module, "wipe", watch)
    path = tmp_path / "device.key"
    keyfile.create_device(path, lambda n: b"\x07" * n)
    wiped.clear()
    keyfile.load_device(path)
    assert b"\x07" * 32 in wiped
    assert key_text(b"\x07" * 32).encode() in wiped
    assert len(wiped) == 3


def test_secrets_are_not_shown(gateway: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key would reach a log through the repr of what holds it, or through an error."""
    keys = keyfile.load_gateway(gateway, NOW)
    secrets = [key_text(bytes((n,)) * 32) for n in (1, 2, 3)] + ["\\x01\\x01", "\\x02\\x02", "\\x03\\x03"]
    shown = f"{keys!r} {keys} {[keys]}"
    spoiled(gateway, public=key_text(bytes(32)))
    with caplog.at_level(logging.DEBUG), pytest.raises(Misconfigured) as caught:
        keyfile.load_gateway(gateway, NOW)
    shown += str(caught.value) + caplog.text
    assert not [secret for secret in secrets if secret in shown]


@given(st.binary(min_size=32, max_size=32))
def test_seeds_are_decoded_as_everywhere(raw: bytes) -> None:
    """A device would compute another key than the one in its file."""
    assert keytext.decoded(bytearray(key_text(raw).encode())) == raw
