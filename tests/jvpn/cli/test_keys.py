"""Keys and devices: made in one step or not at all, and never shown."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core import limits
from jvpn.keys.life import Times
from jvpn.shell import allowlist, keyfile
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall
from jvpn.shell.config import load_client, load_gateway
from jvpn.shell.transports.base import endpoint
from tests.jvpn.cli.calling import Jvpn, gateway_files, service


def secrets(*paths: Path) -> list[str]:
    """Return every secret text of key files."""
    found: list[str] = []
    for path in paths:
        values = json.loads(path.read_text())
        found += [values["private"], *values.get("locator_keys", []), *([values["kek"]] if "kek" in values else [])]
    return found


def test_keys_are_made_and_not_shown(jvpn: Jvpn, tmp_path: Path) -> None:
    """A private key would stand in the terminal's history, or the public one could not be given to anybody."""
    device, gateway = tmp_path / "device.key", tmp_path / "gateway.key"
    said = jvpn("keygen", "device", "--out", device)
    public = json.loads(device.read_text())["public"]
    assert said.out == f"{device}: device key, public key {public}\n"
    answer = jvpn("keygen", "gateway", "--out", gateway, "--json").json
    assert answer == {"file": str(gateway), "kind": "gateway", "public": json.loads(gateway.read_text())["public"]}
    assert jvpn("keygen", "rotate", "--file", gateway).status == 0
    assert jvpn("keygen", "rotate", "--file", gateway, "--kek", "--json").json == {"file": str(gateway), "renewed": "key-encryption key"}
    assert not [secret for secret in secrets(device, gateway) if secret in jvpn.everything]
    assert len(json.loads(gateway.read_text())["locator_keys"]) == 2


def test_a_key_is_not_overwritten(jvpn: Jvpn, tmp_path: Path) -> None:
    """A second `keygen` would lock every device out."""
    path = tmp_path / "gateway.key"
    jvpn("keygen", "gateway", "--out", path)
    before = path.read_bytes()
    said = jvpn("keygen", "gateway", "--out", path)
    assert (said.status, path.read_bytes()) == (2, before)
    assert "is there already and is not overwritten" in said.err


def test_a_device_is_ready_after_one_step(jvpn: Jvpn, tmp_path: Path) -> None:
    """A new device could not connect: its key, its entry and its configuration would not fit together."""
    config = gateway_files(tmp_path, jvpn, 'listen.udp = ["127.0.0.1:51820"]\nlisten.tcp = ["127.0.0.1:443"]\ntun.mtu = 1380\n')
    out = tmp_path / "laptop"
    answer = jvpn("enroll", "laptop", "--gateway-config", config, "--out", out, "--json").json
    client = load_client(out / "client.toml")
    assert client.key == out / "device.key"
    public = keyfile.load_device(client.key).public
    assert allowlist.load(tmp_path / "devices.json").keys() == {public}
    assert client.gateway_public == keyfile.public_of(tmp_path / "gateway.key")
    assert client.gateway_node == load_gateway(config).node
    assert (client.gateway_udp, client.gateway_tcp) == (endpoint("127.0.0.1", 51_820), endpoint("127.0.0.1", 443))
    assert client.tun.mtu == 1_380
    assert [str(route) for route in client.tun.routes] == ["10.77.0.0/24", "fd77::/64"]
    assert (answer["inner4"], answer["inner6"], answer["reloaded"]) == ("10.77.0.2", "fd77::2", False)
    assert {each.stat().st_mode & 0o777 for each in out.iterdir()} == {0o600}
    assert out.stat().st_mode & 0o777 == 0o700
    assert not [secret for secret in secrets(out / "device.key", tmp_path / "gateway.key") if secret in jvpn.everything]


@pytest.mark.parametrize(
    ("more", "option", "udp"),
    [
        ('listen.udp = ["0.0.0.0:7"]\nendpoint = "vpn.example.org"\n', (), "vpn.example.org:7"),
        ('listen.udp = ["0.0.0.0:7"]\nendpoint = "vpn.example.org"\n', ("--endpoint", "2001:db8::1"), "[2001:db8::1]:7"),
        ('listen.udp = ["192.0.2.9:7"]\n', (), "192.0.2.9:7"),
        ('listen.udp = ["[2001:db8::5]:7"]\n', ("--endpoint", "192.0.2.1"), "192.0.2.1:7"),
    ],
)
def test_how_a_device_reaches_the_gateway(jvpn: Jvpn, tmp_path: Path, more: str, option: tuple[str, ...], udp: str) -> None:
    """The device's file would name an address that nobody can reach."""
    config = gateway_files(tmp_path, jvpn, more)
    assert jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d", *option).status == 0
    assert f'udp = "{udp}"' in (tmp_path / "d" / "client.toml").read_text()


def test_a_guessed_address_is_said(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a NAT the device would get an address that is good nowhere else, and nobody would know."""
    config = gateway_files(tmp_path, jvpn, 'listen.udp = ["0.0.0.0:7"]\n')
    monkeypatch.setattr("jvpn.cli.keys.ELSEWHERE", (("127.0.0.1", 2),))
    said = jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d")
    assert 'udp = "127.0.0.1:7"' in (tmp_path / "d" / "client.toml").read_text()
    assert "behind a NAT enroll with --endpoint" in said.err
    monkeypatch.setattr("jvpn.cli.keys.ELSEWHERE", ())
    said = jvpn("enroll", "e", "--gateway-config", config, "--out", tmp_path / "e")
    assert said.status == 2
    assert "endpoint: missing, needed the address or name under which clients reach this gateway" in said.err


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [
        ("a/b", (), 'jvpn: the name of a device: found "a/b", allowed 1 to 64 of the characters'),
        ("d", ("--endpoint", "a b"), 'jvpn: --endpoint: found "a b", allowed an address or a host name, without a port'),
        ("d", ("--endpoint", "2001:db8::x"), "client.toml: gateway.udp: found"),
        ("known", (), "a device with this name is in the list already: known"),
    ],
)
def test_a_failed_enrolment_leaves_nothing(jvpn: Jvpn, tmp_path: Path, name: str, option: tuple[str, ...], said: str) -> None:
    """After an error there would be a key that no gateway knows, or an entry whose key nobody has; a second try would fail."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "known", "--gateway-config", config, "--out", tmp_path / "known")
    before = (tmp_path / "devices.json").read_bytes()
    done = jvpn("enroll", name, "--gateway-config", config, "--out", tmp_path / "new", *option)
    assert done.status == 2
    assert said in done.err
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "devices.json").read_bytes() == before


def test_a_full_disk_leaves_nothing(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator could not enroll the device again after making room."""
    config = gateway_files(tmp_path, jvpn)

    def full(*_: object) -> None:
        raise Misconfigured("devices.json: cannot be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(allowlist, "create", full)
        assert jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d").status == 2
    assert not (tmp_path / "d").exists()
    assert jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d").status == 0


def test_files_that_are_there_stay(jvpn: Jvpn, tmp_path: Path) -> None:
    """Enrolling into the wrong directory would cost another device its key."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "a", "--gateway-config", config, "--out", tmp_path / "a")
    before = {each: each.read_bytes() for each in (tmp_path / "a").iterdir()}
    assert jvpn("enroll", "b", "--gateway-config", config, "--out", tmp_path / "a").status == 2
    (tmp_path / "a" / "device.key").rename(tmp_path / "elsewhere")
    assert jvpn("enroll", "b", "--gateway-config", config, "--out", tmp_path / "a").status == 2
    shutil.move(tmp_path / "elsewhere", tmp_path / "a" / "device.key")
    assert {each: each.read_bytes() for each in (tmp_path / "a").iterdir()} == before
    assert [each.name for each in allowlist.entries(tmp_path / "devices.json")] == ["a"]


def test_the_list_is_shown(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator could not see who may connect."""
    config = gateway_files(tmp_path, jvpn)
    for name in ("a", "b"):
        jvpn("enroll", name, "--gateway-config", config, "--out", tmp_path / name)
    rows = jvpn("devices", "--gateway-config", config, "--json").json
    assert [(row["name"], row["inner4"]) for row in rows] == [("a", "10.77.0.2"), ("b", "10.77.0.3")]
    shown = jvpn("devices", "--gateway-config", config).out.splitlines()
    assert len(shown) == 3
    assert shown[1].split() == ["a", "10.77.0.2", "fd77::2", rows[0]["public"], "-", "-"]


def test_a_device_may_have_its_time(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-41] A device that was let in for a month stays for ever, or nobody sees until when."""
    config = gateway_files(tmp_path, jvpn)
    before = wall() // limits.SECOND
    assert jvpn("enroll", "guest", "--gateway-config", config, "--out", tmp_path / "guest", "--days", 30).status == 0
    (row,) = jvpn("devices", "--gateway-config", config, "--json").json
    assert before + 30 * 86_400 <= row["valid_until"] <= wall() // limits.SECOND + 30 * 86_400
    (entry,) = allowlist.entries(tmp_path / "devices.json")
    assert entry.times == Times(0, row["valid_until"])
    shown = jvpn("devices", "--gateway-config", config).out.splitlines()[1].split()
    assert shown[4:] == ["-", *f"{datetime.fromtimestamp(row['valid_until'], UTC):%Y-%m-%d %H:%MZ}".split()]
    assert jvpn("enroll", "no", "--gateway-config", config, "--out", tmp_path / "no", "--days", 0).status == 2


def test_a_gateway_that_runs_is_told(jvpn: Jvpn, tmp_path: Path) -> None:
    """A new device would be refused until somebody restarts the gateway; a revoked one would stay connected."""
    config = gateway_files(tmp_path, jvpn)
    with service(tmp_path / "g" / "control.sock", {"devices": 1}) as asked:
        assert jvpn("enroll", "a", "--gateway-config", config, "--out", tmp_path / "a", "--json").json["reloaded"] is True
        said = jvpn("revoke", "a", "--gateway-config", config)
    assert (said.status, said.err) == (0, "")
    assert asked == [{"order": "reload"}] * 2
    assert allowlist.entries(tmp_path / "devices.json") == []


def test_a_revocation_that_the_gateway_did_not_take(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator would believe that a stolen device is out while its session goes on."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "a", "--gateway-config", config, "--out", tmp_path / "a")
    with service(tmp_path / "g" / "control.sock", {"error": "the list is damaged"}):
        said = jvpn("revoke", "a", "--gateway-config", config)
    assert said.status == 1
    assert "the gateway did not take the new list: the list is damaged" in said.err
    jvpn("enroll", "b", "--gateway-config", config, "--out", tmp_path / "b")
    said = jvpn("revoke", "b", "--gateway-config", config)
    assert (said.status, said.err.count("\n")) == (0, 1)
    assert "the gateway was not told" in said.err
    assert jvpn("revoke", "b", "--gateway-config", config).status == 2
