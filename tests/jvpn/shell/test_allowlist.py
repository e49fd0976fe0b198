"""The allow list: who is in, with which addresses; changes are whole, and what contradicts itself is refused."""

import json
import threading
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from core.values import Device
from jvpn.keys.life import ALWAYS, Times
from jvpn.shell import allowlist
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import create
from jvpn.shell.forms import key_text


def key(n: int) -> bytes:
    """Return a public key that can be told from others."""
    return n.to_bytes(32, "big")


def entry(n: int, **changes: object) -> dict[str, object]:
    """Return an entry as it stands in the file."""
    return {"name": f"d{n}", "public": key_text(key(n)), "inner4": f"10.77.0.{n}", "inner6": f"fd77::{n:x}"} | changes


def listed(folder: Path, *entries: dict[str, object], **changes: object) -> Path:
    """Write a list."""
    path = folder / "devices.json"
    path.unlink(missing_ok=True)
    create(path, json.dumps({"format": "jvpn devices 1", "devices": entries} | changes).encode())
    return path


def test_devices_by_their_keys(tmp_path: Path) -> None:
    """A gateway would know a device under another key, or give it another's addresses."""
    found = allowlist.load(listed(tmp_path, entry(2), entry(3)))
    assert found == {
        key(2): Device(key(2), IPv4Address("10.77.0.2").packed, IPv6Address("fd77::2").packed),
        key(3): Device(key(3), IPv4Address("10.77.0.3").packed, IPv6Address("fd77::3").packed),
    }


def test_enrolment_gives_free_addresses(tmp_path: Path) -> None:
    """Two devices, or a device and the gateway, would own one address."""
    path = tmp_path / "devices.json"
    given = [allowlist.enroll(path, f"d{n}", key(n)) for n in range(3)]
    assert [str(each.inner4) for each in given] == ["10.77.0.2", "10.77.0.3", "10.77.0.4"]
    assert [str(each.inner6) for each in given] == ["fd77::2", "fd77::3", "fd77::4"]
    allowlist.revoke(path, "d1")
    assert str(allowlist.enroll(path, "d9", key(9)).inner4) == "10.77.0.3"
    assert [each.name for each in allowlist.entries(path)] == ["d0", "d2", "d9"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_addresses_come_from_the_gateway_s_networks(tmp_path: Path) -> None:
    """Devices would have addresses that no route leads to."""
    got = allowlist.enroll(tmp_path / "devices.json", "d", key(1), IPv4Interface("192.168.4.1/30"), IPv6Interface("fd00:4::9/124"))
    assert (got.inner4, got.inner6) == (IPv4Address("192.168.4.2"), IPv6Address("fd00:4::1"))
    with pytest.raises(Misconfigured, match=r"no address is free in the network of 192\.168\.4\.1"):
        allowlist.enroll(tmp_path / "devices.json", "e", key(2), IPv4Interface("192.168.4.1/30"))
    assert [each.name for each in allowlist.entries(tmp_path / "devices.json")] == ["d"]


@pytest.mark.parametrize(
    ("name", "n", "said"),
    [("d1", 9, "with this name is in the list already: d1"), ("other", 1, "with this key is in the list already: d1")],
)
def test_nobody_is_enrolled_twice(tmp_path: Path, name: str, n: int, said: str) -> None:
    """A second enrolment would take over another device's entry, or one key would own two pairs of addresses."""
    path = tmp_path / "devices.json"
    allowlist.enroll(path, "d1", key(1))
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match=said):
        allowlist.enroll(path, name, key(n))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "\x1b[2J"])
def test_a_name_that_the_list_could_not_hold(tmp_path: Path, name: str) -> None:
    """One enrolment would make a list that no gateway reads any more."""
    path = tmp_path / "devices.json"
    allowlist.enroll(path, "d1", key(1))
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match=r"devices\.1\.name: found .*, allowed 1 to 64 of the characters"):
        allowlist.enroll(path, name, key(2))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "d2", r'devices\.1\.name: found "d2", allowed what no other has: devices\.0 has it'),
        ("public", key_text(key(2)), r"devices\.1\.public: found 44 characters \(not shown\), allowed what no other has"),
        ("inner4", "10.77.0.2", r'devices\.1\.inner4: found "10\.77\.0\.2", allowed what no other has'),
        ("inner6", "fd77:0::2", r'devices\.1\.inner6: found "fd77:0::2", allowed what no other has'),
        ("inner4", "10.77.0.2/24", r"devices\.1\.inner4: found .*, allowed an IPv4 address of one machine"),
        ("inner4", "224.0.0.1", r"devices\.1\.inner4"),
        ("inner4", "0.0.0.0", r"devices\.1\.inner4"),  # noqa: S104 - nobody binds it, it is to be refused
        ("inner6", "::1", r"devices\.1\.inner6"),
        ("inner6", "10.77.0.9", r"devices\.1\.inner6"),
        ("public", "AAAA", r"devices\.1\.public: found 4 characters"),
        ("name", "a b", r"devices\.1\.name"),
        ("colour", "red", r"devices\.1\.colour: unknown key; known are name, public, inner4, inner6"),
    ],
)
def test_a_list_that_contradicts_itself(tmp_path: Path, field: str, value: str, said: str) -> None:
    """Packets of one device would reach another, or an edited list would be half in force."""
    path = listed(tmp_path, entry(2), entry(3, **{field: value}))
    with pytest.raises(Misconfigured, match=said):
        allowlist.load(path)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"valid_from": 5, "valid_until": 5}, r"devices\.0\.valid_until: found 5, allowed later than valid_from, which is 5"),
        ({"valid_until": 0}, r"devices\.0\.valid_until: found 0, allowed 1 to"),
        ({"valid_until": "2027"}, r"devices\.0\.valid_until: found .2027., allowed [01] to"),
        ({"valid_from": 1.5}, r"devices\.0\.valid_from: found 1\.5, allowed [01] to"),
        ({"valid_from": -1}, r"devices\.0\.valid_from: found -1, allowed 0 to"),
    ],
)
def test_times_that_contradict_themselves(tmp_path: Path, times: dict[str, object], said: str) -> None:
    """[K-41] A device is let in for no time, or for ever, because of a slip."""
    with pytest.raises(Misconfigured, match=said):
        allowlist.load(listed(tmp_path, entry(2) | times))


def test_times_come_back(tmp_path: Path) -> None:
    """[K-41] The next device that is enrolled takes the time from those before it."""
    path = listed(tmp_path, entry(2) | {"valid_from": 7, "valid_until": 9}, entry(3))
    allowlist.enroll(path, "d4", key(4), times=Times(0, 5))
    found = allowlist.entries(path)
    assert [each.times for each in found] == [Times(7, 9), ALWAYS, Times(0, 5)]
    assert allowlist.times_of(found) == {key(2): Times(7, 9), key(4): Times(0, 5)}
    assert json.loads(path.read_text())["devices"][1].keys() == {"name", "public", "inner4", "inner6"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "allowed an object"),
        (b"{}", "format: missing"),
        (b'{"format": "jvpn devices 2", "devices": []}', "format: found .*, allowed jvpn devices 1"),
        (b'{"format": "jvpn devices 1", "devices": {}}', "devices: found a table, allowed a list"),
        (b'{"format": "jvpn devices 1", "devices": [3]}', r"devices\.0: found 3, allowed a table"),
        (b'{"format": "jvpn devices 1", "devices": [' + b"[" * 5_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: bytes, said: str) -> None:
    """A damaged list would end in a traceback, or let nobody in without saying so."""
    create(tmp_path / "devices.json", text)
    with pytest.raises(Misconfigured, match=said):
        allowlist.load(tmp_path / "devices.json")


def test_a_list_that_others_may_write(tmp_path: Path) -> None:
    """Any user of the machine could let themselves in."""
    path = listed(tmp_path, entry(2))
    path.chmod(0o666)
    with pytest.raises(Misconfigured, match="found mode 0666"):
        allowlist.load(path)
    path.chmod(0o644)
    assert allowlist.load(path)


def test_a_missing_list_lets_nobody_in_by_mistake(tmp_path: Path) -> None:
    """A gateway would start with an empty list because of a mistyped path."""
    with pytest.raises(Misconfigured, match="No such file"):
        allowlist.load(tmp_path / "devices.json")


def test_revoking_who_is_not_there(tmp_path: Path) -> None:
    """An operator who mistypes a name would believe that the device is out."""
    path = listed(tmp_path, entry(2))
    with pytest.raises(Misconfigured, match="no device has the name d3"):
        allowlist.revoke(path, "d3")
    assert len(allowlist.load(path)) == 1


def test_enrolments_at_one_time(tmp_path: Path) -> None:
    """Of two operators who enroll at the same moment, one would lose a device, or both devices have one address."""
    path = tmp_path / "devices.json"
    threads = [threading.Thread(target=allowlist.enroll, args=(path, f"d{n}", key(n))) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    found = allowlist.entries(path)
    assert len(found) == len({each.inner4 for each in found}) == 8


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    """A list that is a link would become a file, and the place where it was kept would no longer count."""
    listed(tmp_path, entry(2)).rename(tmp_path / "real.json")
    (tmp_path / "devices.json").symlink_to("real.json")
    with pytest.raises(Misconfigured, match="it is a link"):
        allowlist.enroll(tmp_path / "devices.json", "new", key(9))
    assert (tmp_path / "devices.json").is_symlink()
