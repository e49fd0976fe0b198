"""Events of specifications: by the audit package's own builder, valid, but in no chain."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

from audit.chain import Head, genesis
from audit.event import Builder, Moment, rfc3339
from audit.pseudonym import names_of
from audit.record import Stamped
from audit.schema import schema_of
from audit.vocabulary import vocabulary
from core.client.states import State as ClientState
from core.keys.states import State as KeyState
from core.reasons import Carrier, Event, Reason
from core.session.states import State as SessionState
from core.values import Endpoint, Fact, Instant
from lab.detections.truth import FINDING, Spec

START_US: Final = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 1_000_000
CHAIN: Final = "c0" * 16
BOOT: Final = b"\xb0\x07" * 4
HASH: Final = "00" * 32
DEFAULTS: Final[Mapping[str, int]] = {"count": 4, "gap_us": 5_000_000, "received_bytes": 1_000, "sent_bytes": 2_000}
ROLES: Final = {"root": 1, "keyset": 2, "revocations": 3}


class Who(NamedTuple):
    """Numbers that stand for whom an event is about; equal numbers are the same."""

    node: int
    session: int
    device: int
    peer: int


def document(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a cluster holds it."""
    return {"@timestamp": event["time"], "event_hash": HASH, **event}


def event_of(spec: Spec, at_us: int, seq: int, who: Who) -> dict[str, Any]:
    """Return the event of a specification at this time (µs since 1970), or the finding."""
    if spec.event == FINDING:
        return _finding(spec, at_us, seq)
    kind = vocabulary().kinds[spec.event]
    role = str(spec.values.get("role") or ("client" if kind.role == "client" else "gateway"))
    builder, before = _builder(who.node, role), Head(CHAIN, seq - 1, HASH)
    moment = Moment(at_us * 1_000, at_us * 1_000 % 10**18)
    if kind.event_class == "integrity":
        return _of_writer(builder, spec, before, moment)
    return builder.of_record(Stamped(_fact(spec, role, moment.mono_ns, seq, who), moment.wall_ns, BOOT), before)


@cache
def _builder(node: int, role: str) -> Builder:
    return Builder(node.to_bytes(8, "big"), BOOT, role, names_of(bytes(32)))


def _of_writer(builder: Builder, spec: Spec, before: Head, moment: Moment) -> dict[str, Any]:
    if spec.event == "RECORD_REFUSED":
        return builder.of_refused(b"no record", "a record has 192 bytes, this has 9", before, moment)
    kind, values = vocabulary().kinds[spec.event], {**DEFAULTS, **spec.values}
    content: dict[str, Any] = {}
    if "genesis" in kind.fields:
        content["genesis"] = genesis()
    if "seal" in kind.fields:
        parts = schema_of(spec.event)["properties"]["seal"]["properties"]
        content["seal"] = {name: 1 if below["type"] == "integer" else HASH for name, below in parts.items()}
    if "names" in kind.fields:
        content["names"] = {"first": "2026-10", "last": "2026-11"}
    if "count" in kind.fields:
        content["count"] = values["count"]
    if kind.measures:
        content["metrics"] = dict.fromkeys(kind.measures, 0)
    return builder.of_writer(Event[spec.event], Reason[spec.reason], before, moment, **content)


def _fact(spec: Spec, role: str, mono_ns: int, serial: int, who: Who) -> Fact:
    """Return a fact in which every place is used that its event carries."""
    kind, values = vocabulary().kinds[spec.event], {**DEFAULTS, **spec.values}
    has = kind.fields.__contains__
    first, *_, last = KeyState if has("key") else SessionState if role == "gateway" else ClientState
    numbers = [int(values.get(name, 11)) for name in kind.measures] + [0] * (4 - len(kind.measures))
    fact = Fact(
        Event[spec.event],
        Reason[spec.reason],
        serial,
        0,
        Instant(mono_ns),
        handle=who.session if has("session") else 0,
        correlation=who.session.to_bytes(16, "big") if has("session") else bytes(16),
        state_from=first if has("state") else 0,
        state_to=last if has("state") else 0,
        state_version=3 if has("state") else 0,
        binding_version=2 if has("binding") or has("document") else 0,
        attempt=1 if has("binding") else 0,
        carrier_from=Carrier.UDP if has("transport") else 0,
        carrier_to=Carrier.TCP if has("transport") else 0,
        device=who.device.to_bytes(32, "big") if has("device") or has("key") else bytes(32),
        remote=Endpoint(who.peer.to_bytes(16, "big"), 4_000) if has("peer") else None,
        times=int(values["count"]) if has("count") else 0,
        measures=(numbers[0], numbers[1], numbers[2], numbers[3]),
    )
    if has("document"):
        return fact._replace(carrier_to=ROLES[str(values.get("document", "revocations"))])
    return fact._replace(carrier_to=1) if has("key") else fact


def _finding(spec: Spec, at_us: int, seq: int) -> dict[str, Any]:
    return {
        "finding_id": f"{CHAIN}-{spec.reason}-{seq}",
        "finding": spec.reason,
        "time": rfc3339(at_us * 1_000),
        "chain_id": CHAIN,
        "seq": seq,
        "file": "audit-00000000000000000000.jsonl",
        "line": 1,
        "found": "something else",
    }
