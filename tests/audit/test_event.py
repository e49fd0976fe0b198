"""From record to event: what it says, what it hides, what is refused."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import EventRefused
from audit.event import Moment, rfc3339
from audit.pseudonym import names_of
from audit.record import RECORD_BYTES, Stamped, pack
from audit.schema import check
from audit.vocabulary import INTEGER_MAX, Kind, vocabulary
from core.reasons import Event, Reason
from core.values import NO_CORRELATION, NO_DEVICE, Endpoint, Fact, Instant
from tests.audit.made import BEFORE, BOOT, KEY, NODE, PAIRS, RECORDED, REMOTE, WALL, builder, event_of, fact_of, role_of
from tests.audit.strategies import STAMPED, built, fitting

BORN, = (kind for kind in RECORDED if kind.name == "SESSION_BORN")  # fmt: skip
NOW = Moment(WALL, 5_000_000_000)


@pytest.mark.parametrize(("kind", "reason"), PAIRS, ids=lambda item: getattr(item, "name", item))
def test_every_reason_of_every_event_can_be_recorded(kind: Kind, reason: str) -> None:
    """A-10: something that the registry promises would be refused when it happens."""
    event = event_of(fact_of(kind, reason), role_of(kind))
    check(event)
    assert (event["event_type"], event["reason_code"], event["event_class"]) == (kind.name, reason, kind.event_class)
    assert kind.fields <= event.keys()
    assert event.get("metrics", {}) == dict(zip(kind.measures, (11, 12, 13, 14), strict=False))


def test_an_event_says_exactly_this() -> None:
    """A-11 to A-16: readers of the log would find other names, forms or numbers than the specification gives."""
    names = names_of(KEY).at(WALL)
    event = event_of(fact_of(BORN, "HANDSHAKE_COMPLETED"))
    assert event == {
        "schema": "jvp.audit/1.1.0",
        "chain_id": "0f" * 16,
        "seq": 7,
        "prev_hash": "ab" * 32,
        "event_id": f"{BOOT.hex()}-0000000000000009",
        "causation_id": f"{BOOT.hex()}-0000000000000008",
        "time": "2026-11-18T11:06:40.123456Z",
        "mono_us": 5_000_000,
        "boot_id": BOOT.hex(),
        "node_id": NODE.hex(),
        "role": "gateway",
        "event_class": "evidence",
        "event_type": "SESSION_BORN",
        "reason_code": "HANDSHAKE_COMPLETED",
        "severity": 1,
        "outcome": "success",
        "session": {"pseudonym": names.session(0x0102_0304_0506), "correlation_id": b"correlates these".hex()},
        "state": {"from": "PENDING", "to": "TERMINATED", "version": 3},
        "binding": {"version": 2, "attempt": 1},
        "transport": {"from": "UDP", "to": "TCP"},
        "device": names.device(b"the public key of one device...."),
        "peer": names.peer(*REMOTE),
    }


@given(fitting())
def test_what_fits_is_valid(pair: tuple[Kind, Stamped]) -> None:
    """A-10: a value that may occur would make an event invalid and so refuse it."""
    check(built(*pair))


@given(STAMPED, st.sampled_from(("gateway", "client")))
def test_any_record_is_an_event_or_refused(stamped: Stamped, role: str) -> None:
    """A-10: a record that makes no sense would end the writer, or be written as if it made sense."""
    try:
        event = builder(role).of_record(stamped, BEFORE)
        check(event)
    except EventRefused:
        return
    kind = vocabulary().kinds[event["event_type"]]
    assert event["reason_code"] in kind.reasons
    assert kind.role in (role, "both")
    assert kind.required <= event.keys()


def test_what_is_zero_is_left_out() -> None:
    """A-12: the log would name a device, a peer or a state that never was."""
    kind = vocabulary().kinds["CLIENT_REFUSED"]
    fact = Fact(Event.CLIENT_REFUSED, Reason[next(iter(kind.reasons))], 1, 0, Instant(0))
    assert event_of(fact, "client").keys().isdisjoint(kind.fields | {"causation_id", "metrics"})


def test_what_the_type_does_not_carry_is_left_out() -> None:
    """A-12: an event would tell more about a device than the registry says it does."""
    kind = vocabulary().kinds["PROCESS_STARTED"]
    assert event_of(fact_of(kind, "PROCESS_STARTED")).keys().isdisjoint({"device", "peer", "session", "state", "binding", "count"})


@pytest.mark.parametrize(
    ("name", "reason", "change", "why"),
    [
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"handle": 0, "correlation": NO_CORRELATION}, "SESSION_BORN lacks session"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"state_from": 0, "state_to": 0}, "SESSION_BORN lacks state"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"carrier_to": 9}, "carrier 9 is not in the registry"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"state_to": 7}, "state 7 is not in the registry"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"reason": Reason.COOLDOWN}, "COOLDOWN is not a reason of SESSION_BORN"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"measures": (0, 0, 0, 1)}, "SESSION_BORN has 0 measures, the record more"),
        ("SESSION_MOVED", "REKEYED", {"measures": (1, 2, 1, 0)}, "SESSION_MOVED has 2 measures, the record more"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"event": Event.LOG_CLOSED, "reason": Reason.LOG_STOPPED}, "is a record of the writer"),
        ("SESSION_BORN", "HANDSHAKE_COMPLETED", {"event": Event.CLIENT_MOVED, "reason": Reason.REKEYED}, "is a record of the client"),
        ("HANDSHAKE_REFUSED", "LIMIT_PENDING", {"device": NO_DEVICE}, "HANDSHAKE_REFUSED lacks device"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(name: str, reason: str, change: dict[str, object], why: str) -> None:
    """A-12: the log would hold an event without the one thing that it is about, or with a meaning that nobody defined."""
    with pytest.raises(EventRefused, match=why):
        event_of(fact_of(vocabulary().kinds[name], reason)._replace(**change))  # type: ignore[arg-type]  # one change a case


def test_an_integer_beyond_doubles_is_refused() -> None:
    """A-11: a reader that uses doubles would see another number than the one that was hashed."""
    kind = vocabulary().kinds["SESSION_HEALTH"]
    fact = fact_of(kind, "HEALTH_SAMPLED", measures=(INTEGER_MAX, 0, 0, 0))
    check(event_of(fact))
    with pytest.raises(EventRefused, match="metrics/received_bytes: 9007199254740992 is greater"):
        check(event_of(fact._replace(measures=(INTEGER_MAX + 1, 0, 0, 0))))


def test_a_machine_that_is_up_for_years_is_still_recorded() -> None:
    """A-11: nanoseconds leave the range of doubles after 104 days of uptime; microseconds do not in 285 years."""
    event = event_of(fact_of(BORN, "HANDSHAKE_COMPLETED", at=Instant(10 * 365 * 86_400 * 10**9)))
    check(event)
    assert event["mono_us"] == 10 * 365 * 86_400 * 10**6


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (1_000, "1970-01-01T00:00:00.000001Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
        (2**64 - 1, "2554-07-21T23:34:33.709551Z"),
    ],
)
def test_times_have_one_form(wall: int, text: str) -> None:
    """A-11: the same instant would be written in several ways, or the last digit would be invented."""
    assert rfc3339(wall) == text


@pytest.mark.parametrize(
    ("name", "reason", "severity", "outcome"),
    [
        ("SESSION_MOVED", "MOVED_PATH_DEAD", 1, "success"),
        ("SESSION_CHANGED", "PATH_SILENT", 2, "failure"),
        ("SESSION_CHANGED", "STORE_LOST", 4, "unknown"),
        ("SESSION_ENDED", "CLOSED_BY_PEER", 1, "success"),
        ("SESSION_ENDED", "INVARIANT_BROKEN", 5, "failure"),
        ("TRAFFIC_REFUSED", "COOKIE_DEMANDED", 1, "failure"),
        ("SESSION_REFUSED", "REATTACH_BAD_PROOF", 4, "failure"),
    ],
)
def test_severity_and_outcome_are_the_registrys(name: str, reason: str, severity: int, outcome: str) -> None:
    """A-13: an alert would not be raised for what is critical, or be raised for what succeeded."""
    event = event_of(fact_of(vocabulary().kinds[name], reason))
    assert (event["severity"], event["outcome"]) == (severity, outcome)


@given(st.integers(1, 2**48 - 1), st.binary(min_size=32, max_size=32).filter(any), st.binary(min_size=16, max_size=16))
def test_no_identity_is_in_the_log(handle: int, device: bytes, address: bytes) -> None:
    """A-14: whoever reads the log could tell who used the VPN and from where, without the key."""
    event = event_of(fact_of(BORN, "HANDSHAKE_COMPLETED", handle=handle, device=device, remote=Endpoint(address, 443)))
    text = json.dumps({name: event[name] for name in ("session", "device", "peer")})
    assert device.hex() not in text
    assert address.hex() not in text
    assert f"{handle:012x}" not in text
    elsewhere = names_of(bytes(32)).at(WALL)
    assert event["device"] == names_of(KEY).at(WALL).device(device) != elsewhere.device(device)
    assert event["session"]["pseudonym"] == names_of(KEY).at(WALL).session(handle) != elsewhere.session(handle)


@given(STAMPED)
def test_a_refused_record_keeps_its_bytes_but_not_who_it_was(stamped: Stamped) -> None:
    """A-15: a fault of ours would publish device keys and addresses, or the record that shows the fault would be lost."""
    record = pack(*stamped)
    event = builder().of_refused(record, 'why "not"\n', BEFORE, NOW)
    check(event)
    kept = b64decode(event["offending"]["record"])
    fact = stamped.fact
    assert len(kept) == RECORD_BYTES
    assert kept[:56] + kept[64:136] + kept[186:] == record[:56] + record[64:136] + record[186:]
    names = names_of(KEY).at(stamped.wall_ns)
    assert kept[56:64] == (bytes.fromhex(names.session(fact.handle)) if fact.handle else bytes(8))
    assert kept[136:168] == (bytes.fromhex(names.device(fact.device)).ljust(32, b"\0") if any(fact.device) else bytes(32))
    assert kept[168:186] == (
        bytes.fromhex(names.peer(*fact.remote)).ljust(18, b"\0") if fact.remote and any(record[168:186]) else bytes(18)
    )
    assert event["offending"]["error"] == "why 'not'?"


@given(st.binary(max_size=RECORD_BYTES), st.text(max_size=400))
def test_any_bytes_and_any_error_can_be_kept(record: bytes, why: str) -> None:
    """A-15: refusing a record would itself fail, and with it the writer."""
    check(builder().of_refused(record, why or "?", BEFORE, NOW))


def test_the_writers_own_events_have_ids_of_their_own() -> None:
    """A-16: an event of the writer could have the id of a record."""
    event = builder().of_writer(Event.LOG_CLOSED, Reason.LOG_STOPPED, BEFORE, NOW)
    check(event)
    assert event["event_id"] == "0f0f0f0f0f0f0f0f-w0000000000000007"
    assert "causation_id" not in event
