"""The JSON Schemas of the audit events, made from the registry: a closed one for each event type (docs/spec/audit.md, A-10 to A-13)."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from audit.event import KINDS, ROLES
from audit.record import RECORD_BYTES
from audit.schema import ERROR_CHARS_MAX
from audit.vocabulary import INTEGER_MAX, Kind, Vocabulary, parse
from core.client.states import State as ClientState
from core.keys.states import State as KeyState
from core.session.states import State as SessionState

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE: Final = (
    "schema", "chain_id", "seq", "prev_hash", "event_id", "time", "mono_us", "boot_id", "node_id", "role", "event_class", "event_type",
    "reason_code", "severity", "outcome",
)  # fmt: skip
GENESIS: Final = ("registry", "session_table", "client_table")
TIME: Final = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}Z"
MONTH: Final = "[0-9]{4}-(0[1-9]|1[0-2])"
STATE_VERSION_MAX, ATTEMPT_MAX, PROTOCOL_MAX = 2**32 - 1, 2**16 - 1, 255


def schemas(registry: Mapping[str, Any], released: Mapping[str, Container[str]] = MappingProxyType({})) -> Iterator[tuple[str, str]]:
    """Yield the file name and text of each event type's schema. `released` says which types the versions of before have (A-17)."""
    words = parse(registry, digest="")
    meanings = {event["name"]: event["meaning"] for event in registry["event"]}
    for kind in words.kinds.values():
        of = words._replace(before=tuple(each for each in words.before if kind.name in released.get(each, ())))
        yield f"{kind.name}.json", json.dumps(schema(kind, of, meanings[kind.name]), indent=2) + "\n"


def schema(kind: Kind, words: Vocabulary, meaning: str) -> dict[str, Any]:
    """Return the schema of one event type: closed at every level, each string and integer bounded (A-11).

    An event may say any of the versions that have its type; the writer says the newest.
    """
    role = {"gateway": ("gateway",), "client": ("client",)}.get(kind.role, ("client", "gateway"))
    parts = fields(kind, words, role)
    properties = envelope(kind, words, role)
    required = [*ENVELOPE, *(name for name in parts if name in kind.required)]
    if kind.event_class != "integrity":
        properties["causation_id"] = event_id(kind)
    properties |= {name: part for name, part in parts.items() if name in kind.fields}
    if kind.measures:
        properties["metrics"] = closed({name: integer() for name in kind.measures})
        required.append("metrics")
    return {
        "$schema": DIALECT,
        "$id": f"urn:x-jvp:audit:{words.schema.rpartition('/')[2]}:{kind.name}",
        "title": kind.name,
        "description": meaning,
        **closed(properties, required),
    }


def envelope(kind: Kind, words: Vocabulary, role: tuple[str, ...]) -> dict[str, Any]:
    """Return what all events have."""
    judgements = kind.reasons.values()
    return {
        "schema": {"enum": [*words.before, words.schema]},
        "chain_id": text("[0-9a-f]{32}", 32),
        "seq": integer(),
        "prev_hash": text("[0-9a-f]{64}", 64),
        "event_id": event_id(kind),
        "time": text(TIME, 27),
        "mono_us": integer(),
        "boot_id": text("[0-9a-f]{16}", 16),
        "node_id": text("[0-9a-f]{16}", 16),
        "role": one_of(role),
        "event_class": {"const": kind.event_class},
        "event_type": {"const": kind.name},
        "reason_code": one_of(kind.reasons),
        "severity": {"enum": sorted({judgement.severity for judgement in judgements})},
        "outcome": one_of({judgement.outcome for judgement in judgements}),
    }


def fields(kind: Kind, words: Vocabulary, role: tuple[str, ...]) -> dict[str, Any]:
    """Return what an event may have, by the names that the registry's `fields` use."""
    machines = {"gateway": SessionState, "client": ClientState}
    state = one_of(
        {member.name for member in KeyState} if "key" in kind.fields else {member.name for of in role for member in machines[of]}
    )
    carrier = one_of(words.carriers.values())
    ends = ["to"] if kind.event_class == "evidence" else []
    session = {"pseudonym": text("[0-9a-f]{16}", 16), "correlation_id": text("[0-9a-f]{32}", 32)}
    base64_max = (RECORD_BYTES + 2) // 3 * 4
    return {
        "session": closed(session, ["pseudonym"]) if role == ("gateway",) else closed(session, []) | {"minProperties": 1},
        "state": closed({"from": state, "to": state, "version": integer(STATE_VERSION_MAX)}, [*ends, "version"]),
        "binding": closed({"version": integer(), "attempt": integer(ATTEMPT_MAX)}),
        "transport": closed({"from": carrier, "to": carrier}, ends) | {"minProperties": 1},
        "device": text("[0-9a-f]{16}", 16),
        "peer": text("[0-9a-f]{16}", 16),
        "key": closed({"kind": one_of(KINDS.values()), "pseudonym": text("[0-9a-f]{16}", 16)}),
        "document": closed({"role": one_of(ROLES.values()), "version": integer()}),
        "count": {"type": "integer", "minimum": 1, "maximum": INTEGER_MAX},
        "genesis": closed(
            {"protocol": integer(PROTOCOL_MAX)} | {name: text("[0-9a-f]{64}", 64) for name in (*GENESIS, "key_table")},
            ["protocol", *GENESIS],  # logs of before 0.1 have no key_table, and stay readable
        ),
        "names": closed({"first": text(MONTH, 7), "last": text(MONTH, 7)}),
        "seal": closed({"epoch": integer(), "key": text("[0-9a-f]{64}", 64), "log": text("[0-9a-f]{64}", 64)}),
        "offending": closed(
            {
                "record": text("[A-Za-z0-9+/]*={0,2}", base64_max, shortest=0),
                "error": text("[ !#-\\[\\]-~]*", ERROR_CHARS_MAX, shortest=1),
            }
        ),
    }


def event_id(kind: Kind) -> dict[str, Any]:
    """Return the form of event ids: of a process start and its serial, or of the writer and its number (A-16)."""
    return text("[0-9a-f]{16}-w[0-9a-f]{16}", 34) if kind.event_class == "integrity" else text("[0-9a-f]{16}-[0-9a-f]{16}", 33)


def closed(properties: Mapping[str, Any], required: Iterable[str] | None = None) -> dict[str, Any]:
    """Return an object that has nothing else; all of it is required unless said otherwise."""
    must = sorted(properties if required is None else required)
    return {"type": "object", "properties": dict(sorted(properties.items())), "required": must, "additionalProperties": False}


def text(pattern: str, longest: int, shortest: int | None = None) -> dict[str, Any]:
    """Return a string of one form; the lengths stop a newline that some engines let stand before the pattern's end."""
    least = longest if shortest is None else shortest
    return {"type": "string", "pattern": f"^{pattern}$", "minLength": least, "maxLength": longest}


def integer(most: int = INTEGER_MAX) -> dict[str, Any]:
    """Return a whole number from 0."""
    return {"type": "integer", "minimum": 0, "maximum": most}


def one_of(names: Iterable[str]) -> dict[str, Any]:
    """Return a choice among strings, in a stable order."""
    return {"enum": sorted(names)}
