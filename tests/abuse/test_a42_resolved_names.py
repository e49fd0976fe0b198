"""Names are resolved after their time, unseen, or destroyed to hide somebody (T-42).

ATTACK
    An insider reads the log of a year with the key file of today, to follow one device through it. Another one looks up who somebody is. A
    third destroys keys, so that an attacker of last month stays a pseudonym. A thief tries all addresses against a log without its key.

EXPECTED REFUSAL
    Each month has a key of its own, and when its time is over nothing that is left leads to it [A-14] [A-18]. Whoever asks or destroys by
    our commands leaves an event, and without that gets no answer [A-19].

EXPECTED EVIDENCE
    NAMES_HANDLED / NAMES_OVER
    NAMES_HANDLED / NAMES_DESTROYED
    NAMES_HANDLED / NAMES_RESOLVED
"""

import os
import time
from hashlib import blake2b, sha256
from pathlib import Path

import pytest

from audit.event import Builder
from audit.names import change, key_path, load_ring, store_key
from audit.pseudonym import begin_of, month_of, names_of
from audit.record import Stamped
from audit.verdict import Verdict
from audit.verify import verify
from core.values import Endpoint
from jvpn.shell import allowlist
from tests.abuse.planted import Canary, Searched
from tests.audit.made import BEFORE, BOOT, KEY, NODE, RECORDED, events_of, fact_of
from tests.audit.running import Running
from tests.jvpn.cli.calling import Jvpn, gateway_files
from tests.jvpn.cli.conftest import jvpn

__all__ = ["jvpn"]

DEVICE = b"\5" * 32
NOW = month_of(time.time_ns())


def name_in(month: int) -> str:
    """The name that a gateway with this key gives the device in a month, as its events have it."""
    (kind,) = [kind for kind in RECORDED if kind.name == "SESSION_BORN"]
    fact = fact_of(kind, "HANDSHAKE_COMPLETED", device=DEVICE)
    event = Builder(NODE, BOOT, "gateway", names_of(KEY, NOW - 14)).of_record(Stamped(fact, begin_of(month) + 5, BOOT), BEFORE)
    return str(event["device"])


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where no detection looks: that the writer starts and stops is no part of the case."""
    return tmp_path_factory.mktemp("a42")


@pytest.fixture
def log(folder: Path, jvpn: Jvpn) -> Path:
    """The log of a gateway that has run for fourteen months and keeps twelve."""
    gateway_files(folder, jvpn)
    allowlist.enroll(folder / "devices.json", "laptop", DEVICE)
    found = folder / "g" / "audit"
    store_key(key_path(found), KEY, NOW - 14)
    for month in range(NOW - 13, NOW):
        change(key_path(found), lambda ring, month=month: ring.turned(month, 12))  # type: ignore[misc]  # a month, bound
    return found


def test_a_year_cannot_be_followed(log: Path, folder: Path, jvpn: Jvpn) -> None:
    """Whoever takes the gateway's disk today would know who was where, ever since it was set up."""
    shown = [name_in(month) for month in range(NOW - 14, NOW + 1)]
    assert len(set(shown)) == 15
    with Running(log) as running:
        assert running.ready
        assert running.close() == (0, "")
    config = folder / "gateway.toml"
    for number, name in enumerate(shown):
        assert jvpn("audit", "who", name, "--gateway-config", config).status == (1 if number < 2 else 0), number
    assert not list(
        Searched({"files": b"".join(each.read_bytes() for each in key_path(log).parent.glob("*.key"))}).find([Canary("key", KEY)])
    )
    with Running(log) as running:
        assert running.ready
        assert running.close() == (0, "")
    told = {event["reason_code"] for event in events_of(log) if event["event_type"] == "NAMES_HANDLED"}
    assert told == {"NAMES_OVER", "NAMES_RESOLVED"}
    assert verify(log).verdict is Verdict.VERIFIED


def test_who_destroys_keys_is_seen_and_hides_nobody_of_this_month(log: Path, folder: Path, jvpn: Jvpn) -> None:
    """An insider would make an investigation impossible, and nothing would say that somebody did."""
    assert jvpn("audit", "shred", log, "--before", "2020-01", "--yes").out == "no key of those months is there\n"
    assert jvpn("audit", "shred", log, "--all", "--yes").status == 0
    with Running(log) as running:
        assert running.ready
        assert running.close() == (0, "")
    (told,) = [event for event in events_of(log) if event["event_type"] == "NAMES_HANDLED" and event["reason_code"] == "NAMES_DESTROYED"]
    assert told["severity"] == 3
    assert jvpn("audit", "who", name_in(NOW), "--gateway-config", folder / "gateway.toml").status == 1
    assert verify(log).verdict is Verdict.VERIFIED


def test_what_leaves_no_trace_gets_no_answer(log: Path, folder: Path, jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who can read the key and not write it, or fills the disk, would look people up unseen."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = load_ring(key_path(log)).owed
    monkeypatch.setattr("audit.files.os.fdatasync", full)
    said = jvpn("audit", "who", name_in(NOW), "--gateway-config", folder / "gateway.toml")
    assert (said.status, said.out) == (1, "")
    assert load_ring(key_path(log)).owed == before


def test_a_name_is_not_guessed_without_the_key() -> None:
    """All addresses of the internet are tried in an hour: a hash without a key would be an address book."""
    remote = Endpoint(bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 7)), 51_820)
    shown = names_of(KEY, NOW).at(begin_of(NOW)).peer(*remote)
    for port in range(65_536):
        value = remote.address + port.to_bytes(2, "little")
        assert shown not in {blake2b(value, digest_size=8, person=b"peer").hexdigest(), sha256(value).hexdigest()[:16]}
    other = names_of(os.urandom(32), NOW).at(begin_of(NOW))
    assert shown not in {other.peer(remote.address, port) for port in range(65_536)}
