"""From a record to its event (clauses A-11 to A-16). Nothing here writes; `seq` and `prev_hash` are those of the place it is built for."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from audit.chain import Head
from audit.errors import EventRefused
from audit.pseudonym import Names
from audit.record import DEVICE, PEER, SESSION, WALL, Stamped
from audit.schema import printable
from audit.vocabulary import Kind, vocabulary
from core.client.states import State as ClientState
from core.keys.states import Kind as KeyKind
from core.keys.states import State as KeyState
from core.reasons import Event, Reason
from core.session.states import State as SessionState
from core.values import NO_CORRELATION, NO_DEVICE, Fact

STATES: Final[Mapping[str, Mapping[int, str]]] = {
    "gateway": {state.value: state.name for state in SessionState},
    "client": {state.value: state.name for state in ClientState},
}
KEY_STATES: Final[Mapping[int, str]] = {state.value: state.name for state in KeyState}
KINDS: Final[Mapping[int, str]] = {kind.value: kind.name for kind in KeyKind}
ROLES: Final[Mapping[int, str]] = {1: "root", 2: "keyset", 3: "revocations"}
UNUSED: Final = (0, 0, 0, 0)
MICRO: Final = 1_000
BILLION: Final = 1_000_000_000


class Moment(NamedTuple):
    """When the writer did something itself: wall clock and CLOCK_BOOTTIME, ns."""

    wall_ns: int
    mono_ns: int


class Builder:
    """Builds the events of one writer: it knows node (8 bytes), boot (8 bytes, the writer's), role (gateway or client), names."""

    def __init__(self, node: bytes, boot: bytes, role: str, names: Names) -> None:
        """Keep what is the same in all events."""
        self._node = node.hex()
        self._boot = boot.hex()
        self._role = role
        self._of_months = names
        self._names = names.at(0)  # those of the event that is made
        self._schema = vocabulary().schema
        self._kinds = vocabulary().kinds
        self._carriers = vocabulary().carriers
        self._parts = {kind.name: self._parts_of(kind.fields) for kind in self._kinds.values()}
        self._same: dict[tuple[str, str], dict[str, Any]] = {}  # of each event and reason: what is the same in all of them

    def of_record(self, stamped: Stamped, after: Head) -> dict[str, Any]:
        """Return the event of a record, as the one after `after`. EventRefused when the record says what its event cannot (A-12)."""
        fact = stamped.fact
        kind = self._kinds[fact.event.name]
        reason = fact.reason.name
        if kind.role not in (self._role, "both"):
            raise EventRefused(f"{kind.name} is a record of the {kind.role}, not of the {self._role}")
        if reason not in kind.reasons:
            raise EventRefused(f"{reason} is not a reason of {kind.name}")
        self._names = self._of_months.at(stamped.wall_ns)
        event = self._envelope(kind, reason, after, stamped.wall_ns, fact.at)
        boot = stamped.boot.hex()
        event["boot_id"] = boot
        event["event_id"] = f"{boot}-{fact.serial:016x}"
        if fact.caused_by:
            event["causation_id"] = f"{boot}-{fact.caused_by:016x}"
        content = {name: value for name, told in self._parts[kind.name] if (value := told(fact))}
        if not kind.required <= content.keys():
            raise EventRefused(f"{kind.name} lacks {', '.join(sorted(kind.required - content.keys()))}")
        event |= content
        if kind.measures:
            event["metrics"] = dict(zip(kind.measures, fact.measures, strict=False))
        if fact.measures[len(kind.measures) :] != UNUSED[len(kind.measures) :]:
            raise EventRefused(f"{kind.name} has {len(kind.measures)} measures, the record more")
        return event

    def of_writer(self, event: Event, reason: Reason, after: Head, moment: Moment, **content: object) -> dict[str, Any]:
        """Return an event that the writer makes about the log itself; `content` is what the type's schema asks for (A-16)."""
        made = self._envelope(self._kinds[event.name], reason.name, after, moment.wall_ns, moment.mono_ns)
        made["event_id"] = f"{after.chain_id[:16]}-w{after.seq + 1:016x}"
        return made | content

    def of_refused(self, record: bytes, why: str, after: Head, moment: Moment) -> dict[str, Any]:
        """Return the event that keeps a refused record (A-15); `why` is made printable."""
        offending = {"error": printable(why), "record": self.redacted(record)}
        return self.of_writer(Event.RECORD_REFUSED, Reason.SCHEMA_VIOLATED, after, moment, offending=offending)

    def redacted(self, record: bytes) -> str:
        """Return the bytes in base64, with the places of session, device and peer replaced by their pseudonyms (A-15).

        The month is that of the time in the record, so that the same bytes give the same text whenever they come again. A place that is
        cut off by the end of a too short record becomes zeros; zeros stay what they are.
        """
        data = bytearray(record)
        self._names = self._of_months.at(int.from_bytes(record[WALL], "little"))
        for place in (SESSION, DEVICE, PEER):
            part = record[place]
            if not any(part):
                continue
            name = b""
            if len(part) == place.stop - place.start:
                name = bytes.fromhex(self._pseudonym(place, part))
            data[place] = name.ljust(len(part), b"\0")
        return b64encode(data).decode()

    def _pseudonym(self, place: slice, part: bytes) -> str:
        if place == SESSION:
            return self._names.session(int.from_bytes(part, "little"))
        return self._names.device(part) if place == DEVICE else self._names.peer(part[:16], int.from_bytes(part[16:], "little"))

    def _envelope(self, kind: Kind, reason: str, after: Head, wall_ns: int, mono_ns: int) -> dict[str, Any]:
        same = self._same.get((kind.name, reason))
        if same is None:
            judgement = kind.reasons[reason]
            same = self._same[kind.name, reason] = {
                "schema": self._schema,
                "boot_id": self._boot,
                "node_id": self._node,
                "role": self._role,
                "event_class": kind.event_class,
                "event_type": kind.name,
                "reason_code": reason,
                "severity": judgement.severity,
                "outcome": judgement.outcome,
            }
        chain_id, seq, before = after
        return {
            "chain_id": chain_id,
            "seq": seq + 1,
            "prev_hash": before,
            "time": rfc3339(wall_ns),
            "mono_us": mono_ns // MICRO,
            **same,
        }

    def _parts_of(self, fields: frozenset[str]) -> tuple[tuple[str, Callable[[Fact], Any]], ...]:
        """Return what an event carries beyond the envelope, and where a record has it; nothing, when it has not (A-12)."""
        told: dict[str, Callable[[Fact], Any]] = {
            "session": self._session,
            "state": self._key_state if "key" in fields else self._state,
            "key": self._key,
            "document": lambda fact: fact.carrier_to and {"role": _one(fact.carrier_to, ROLES, "role"), "version": fact.binding_version},
            "binding": lambda fact: (fact.binding_version or fact.attempt) and {"version": fact.binding_version, "attempt": fact.attempt},
            "transport": lambda fact: _ends(fact.carrier_from, fact.carrier_to, self._carriers, "carrier"),
            "device": lambda fact: fact.device != NO_DEVICE and self._names.device(fact.device),
            "peer": lambda fact: fact.remote is not None and self._names.peer(fact.remote.address, fact.remote.port),
            "count": lambda fact: fact.times,
        }
        return tuple((name, part) for name, part in told.items() if name in fields)

    def _session(self, fact: Fact) -> dict[str, str]:
        session = {"pseudonym": self._names.session(fact.handle)} if fact.handle else {}
        if fact.correlation != NO_CORRELATION:
            session["correlation_id"] = fact.correlation.hex()
        return session

    def _state(self, fact: Fact, states: Mapping[int, str] | None = None) -> dict[str, Any]:
        ends = _ends(fact.state_from, fact.state_to, states or STATES[self._role], "state")
        return ends | {"version": fact.state_version} if ends else ends

    def _key_state(self, fact: Fact) -> dict[str, Any]:
        return self._state(fact, KEY_STATES)

    def _key(self, fact: Fact) -> dict[str, Any]:
        if fact.device == NO_DEVICE:
            return {}
        return {"kind": _one(fact.carrier_to, KINDS, "kind of key"), "pseudonym": self._names.device(fact.device)}


def _one(code: int, names: Mapping[int, str], what: str) -> str:
    if code not in names:
        raise EventRefused(f"{what} {code} is not in the registry")
    return names[code]


def _ends(before: int, after: int, names: Mapping[int, str], what: str) -> dict[str, Any]:
    try:
        return {end: names[code] for end, code in (("from", before), ("to", after)) if code}
    except KeyError as unknown:
        raise EventRefused(f"{what} {unknown} is not in the registry") from None


def rfc3339(wall_ns: int) -> str:
    """Return the time as RFC 3339 in UTC with six decimals; 64 bits of ns reach the year 2554."""
    seconds, rest = divmod(wall_ns, BILLION)
    return f"{_whole_seconds(seconds)}.{rest // MICRO:06d}Z"


@lru_cache(maxsize=16)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
