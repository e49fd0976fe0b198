"""Who a pseudonym is, as long as anyone may know; and how that ends."""

from ipaddress import IPv6Address
from pathlib import Path

import pytest

from audit.names import before_path, change, key_path, load_ring, store_key
from audit.pseudonym import Owed, Pseudonyms, begin_of, names_of, read, written
from core.reasons import Reason
from jvpn.shell import allowlist
from tests.audit.made import a_log, story
from tests.jvpn.cli.calling import Jvpn, gateway_files

NOW = read("2026-12")
SECRET = b"\6" * 32
NAMES = names_of(SECRET, NOW - 3)
LAPTOP, PHONE = b"\5" * 32, b"\7" * 32


def named(device: bytes, month: int) -> str:
    """The pseudonym of a device."""
    return NAMES.at(begin_of(month)).device(device)


@pytest.fixture
def config(tmp_path: Path, jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway with two devices, and keys of three ended months."""
    monkeypatch.setattr("jvpn.cli.names.wall", lambda: begin_of(NOW) + 5)
    found = gateway_files(tmp_path, jvpn)
    allowlist.enroll(tmp_path / "devices.json", "laptop", LAPTOP)
    allowlist.enroll(tmp_path / "devices.json", "phone", PHONE)
    store_key(key_path(tmp_path / "g" / "audit"), SECRET, NOW - 3)
    change(key_path(tmp_path / "g" / "audit"), lambda ring: ring.turned(NOW - 2, 12).turned(NOW - 1, 12).turned(NOW, 12))
    return found


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The key file of that gateway's log."""
    return key_path(tmp_path / "g" / "audit")


def test_a_pseudonym_is_resolved_in_its_month(config: Path, key: Path, jvpn: Jvpn) -> None:
    """A-19: after an alert nobody could say whose device to revoke; or a name of one month would be found in another."""
    for month in (NOW - 3, NOW):
        said = jvpn("audit", "who", named(PHONE, month), "--gateway-config", config, "--json").json
        assert said["found"] == [{"month": written(month), "pseudonym": named(PHONE, month), "kind": "device", "who": "phone"}]
        assert said["tried"] == [written(each) for each in range(NOW - 3, NOW + 1)]
    assert "phone" in jvpn("audit", "who", named(PHONE, NOW), "--gateway-config", config, "--month", written(NOW)).out
    none = jvpn("audit", "who", named(PHONE, NOW), "--gateway-config", config, "--month", written(NOW - 1))
    assert (none.status, none.out) == (1, "")
    assert f"{named(PHONE, NOW)} is none of 2 devices in 2026-11 to 2026-11" in none.err
    listed = jvpn("audit", "who", "--gateway-config", config, "--json").json["found"]
    assert {(each["month"], each["who"]): each["pseudonym"] for each in listed} == {
        (written(month), who): named(device, month)
        for month in range(NOW - 3, NOW + 1)
        for who, device in (("laptop", LAPTOP), ("phone", PHONE))
    }


def test_that_somebody_asked_is_owed_to_the_log(config: Path, key: Path, jvpn: Jvpn) -> None:
    """A-19: an operator could look up who was where, and nobody would ever see it."""
    jvpn("audit", "who", named(PHONE, NOW), "--gateway-config", config, "--month", written(NOW))
    jvpn("audit", "who", "00" * 8, "--gateway-config", config)
    assert load_ring(key).owed == {Reason.NAMES_RESOLVED: Owed(NOW - 3, NOW, 2)}


def test_an_address_can_be_tried_and_not_computed(config: Path, jvpn: Jvpn) -> None:
    """A-19: whether it was the address in a complaint could not be said."""
    name = NAMES.at(begin_of(NOW)).peer(IPv6Address("::ffff:192.0.2.7").packed, 51_820)
    said = jvpn("audit", "who", name, "--gateway-config", config, "--address", "192.0.2.8", "--address", "192.0.2.7", "--json").json
    assert said["found"] == [{"month": written(NOW), "pseudonym": name, "kind": "peer", "who": "192.0.2.7 port 51820"}]
    assert jvpn("audit", "who", name, "--gateway-config", config, "--address", "2001:db8::7").status == 1


def test_what_is_shred_cannot_be_resolved(config: Path, key: Path, jvpn: Jvpn, tmp_path: Path) -> None:
    """A-19: the operator would believe that nobody can tell any more, and somebody could."""
    log = tmp_path / "g" / "audit"
    a_log(log, story(1))
    looked = jvpn("audit", "shred", log, "--before", written(NOW - 1), "--json").json
    assert looked == {"done": False, "months": [{"month": written(NOW - 3), "events": 0}, {"month": written(NOW - 2), "events": 0}]}
    assert load_ring(key).kept == (NOW - 3, NOW - 2, NOW - 1)
    assert "nothing is changed" in jvpn("audit", "shred", log, "--before", written(NOW)).out
    done = jvpn("audit", "shred", log, "--before", written(NOW), "--yes", "--json").json
    assert [each["month"] for each in done["months"]] == [written(month) for month in range(NOW - 3, NOW)]
    assert done["months"][-1]["events"] > 0
    gone = jvpn("audit", "who", named(PHONE, NOW - 1), "--gateway-config", config)
    assert gone.status == 1
    assert "of before 2026-12 there is no key" in gone.err
    assert "has no key of 2026-11" in jvpn("audit", "who", "--gateway-config", config, "--month", "2026-11").err
    assert jvpn("audit", "who", named(PHONE, NOW), "--gateway-config", config).status == 0
    assert jvpn("audit", "verify", log).status == 0
    assert jvpn("audit", "shred", log, "--before", written(NOW), "--yes").out == "no key of those months is there\n"
    assert load_ring(key).owed[Reason.NAMES_DESTROYED] == Owed(NOW - 3, NOW - 1, 3)


def test_everything_can_be_shred(config: Path, key: Path, jvpn: Jvpn, tmp_path: Path) -> None:
    """A-19: a host that is given away, or a stolen key file, would go on naming everybody of this month and of those to come."""
    before_path(tmp_path / "g" / "audit").write_bytes(SECRET)
    before_path(tmp_path / "g" / "audit").chmod(0o600)
    old = Pseudonyms(SECRET).device(PHONE)
    assert jvpn("audit", "who", old, "--gateway-config", config, "--json").json["found"][0]["month"] == "before"
    said = jvpn("audit", "shred", tmp_path / "g" / "audit", "--all", "--yes", "--json").json
    assert [each["month"] for each in said["months"]] == [
        f"before {written(NOW - 3)}",
        *(written(month) for month in range(NOW - 3, NOW + 1)),
    ]
    assert not before_path(tmp_path / "g" / "audit").exists()
    for name in (old, *(named(PHONE, month) for month in range(NOW - 3, NOW + 1))):
        assert jvpn("audit", "who", name, "--gateway-config", config).status == 1
    assert SECRET not in key.read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("who", "xyz"), "'xyz' is not 16 hex digits"),
        (("who", "00" * 8, "--month", "2026-13"), "'2026-13' is no month"),
        (("who", "00" * 8, "--address", "here"), "'here' is no IP address"),
        (("who", "--address", "192.0.2.1"), "name one"),
        (("shred",), "one of them says what is to be destroyed"),
        (("shred", "--before", "2026-12", "--all"), "one of them says what is to be destroyed"),
        (("shred", "--before", "2027-01"), "the key of 2026-12 is in use"),
    ],
)
def test_what_makes_no_sense_is_said(config: Path, jvpn: Jvpn, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """A typing error would destroy or show something else."""
    more = ["--gateway-config", config] if words[0] == "who" else [tmp_path / "g" / "audit"]
    found = jvpn("audit", *words, *more)
    assert found.status == 2
    assert said in found.err


def test_a_key_that_is_missing_or_open_is_said(config: Path, key: Path, jvpn: Jvpn) -> None:
    """The operator would see a traceback, or an answer of nothing."""
    key.chmod(0o644)
    assert "lets other users read it" in jvpn("audit", "who", "--gateway-config", config).err
    key.unlink()
    found = jvpn("audit", "who", "--gateway-config", config)
    assert found.status == 1
    assert "names.key: No such file" in found.err


def test_what_leaves_no_trace_is_not_told(config: Path, jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-19: with a full disk, or a file that is only readable, somebody could look up anyone unseen."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jvpn.cli.names.change", full)
    found = jvpn("audit", "who", "--gateway-config", config)
    assert (found.status, found.out) == (1, "")
    assert "nothing is told" in found.err
