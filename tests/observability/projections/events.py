"""Every event that there can be: each type, each of its reasons, with all its fields and with only what it must have."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from audit.canonical import canonical
from audit.schema import check, schema_of
from audit.vocabulary import vocabulary


class Sealed(NamedTuple):
    """An event and its hash, as a line of the log has them."""

    event: dict[str, Any]
    hash: str


def sealed(event: dict[str, Any]) -> Sealed:
    """Return an event with its hash."""
    return Sealed(event, sha256(canonical(event)).hexdigest())


def every_event() -> Iterator[Sealed]:
    """Yield an event for each type, reason, outcome, role and choice of fields; each is valid."""
    for name, kind in vocabulary().kinds.items():
        schema = schema_of(name)
        for reason, judged in kind.reasons.items():
            for role in schema["properties"]["role"]["enum"]:
                for wanted in (set(schema["properties"]), set(schema["required"])):
                    event = {field: _value(field, schema["properties"][field]) for field in sorted(wanted)}
                    event |= {"reason_code": reason, "severity": judged.severity, "outcome": judged.outcome, "role": role}
                    check(event)
                    yield sealed(event)


def _value(name: str, schema: dict[str, Any]) -> Any:  # noqa: ANN401 - text, number or object, as the schema says
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {below: _value(below, each) for below, each in schema["properties"].items()}
    if schema["type"] == "integer":
        return min(schema["maximum"], 40_000 + len(name))
    return _text(name, schema)


def _text(name: str, schema: dict[str, Any]) -> str:
    if name == "time":
        return "2026-11-30T18:30:00.123456Z"
    if re.fullmatch(r"\^\[0-9a-f\]\{\d+\}\$", schema["pattern"]):
        return sha256(name.encode()).hexdigest()[: schema["maxLength"]]
    if name in {"event_id", "causation_id"}:
        mark = "w" if "-w" in schema["pattern"] else ""
        return f"{'0b' * 8}-{mark}{len(name):016x}"
    return {"first": "2026-10", "last": "2026-11", "record": "AAEC", "error": "what was wrong: 'x' is not y"}[name]
