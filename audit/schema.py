"""Validators of events, one for each type, from `schemas/events/` (clause A-10)."""

import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import jsonschema_rs

from audit.errors import EventRefused
from audit.vocabulary import SCHEMAS, vocabulary

ERROR_CHARS_MAX: Final = 200


@cache
def validators() -> Mapping[str, jsonschema_rs.Validator]:
    """Return the validators by event type, compiled once."""
    linear = jsonschema_rs.RegexOptions()  # no backtracking: no event makes validation slow
    return MappingProxyType(
        {name: jsonschema_rs.Draft202012Validator(schema_of(name), pattern_options=linear, offline=True) for name in vocabulary().kinds}
    )


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of an event type. OSError when the installation lacks it."""
    schema: dict[str, Any] = json.loads((SCHEMAS / "events" / f"{name}.json").read_text())
    return schema


def check(event: dict[str, Any]) -> None:
    """Raise EventRefused, saying where and why, unless the event is valid against the schema of its type (A-10)."""
    validator = validators().get(name) if isinstance(name := event.get("event_type"), str) else None
    if validator is None:
        raise EventRefused("event_type is not in the registry")
    if validator.is_valid(event):
        return
    error = next(validator.iter_errors(event))
    where = "/".join(map(str, error.instance_path)) or "the event"
    raise EventRefused(printable(f"{where}: {error.message}"))


def printable(text: str) -> str:
    """Return the text as an event may carry it: printable ASCII that JSON need not escape, bounded."""
    clean = text.replace('"', "'").replace("\\", "/")[:ERROR_CHARS_MAX]
    return "".join(char if " " <= char <= "~" else "?" for char in clean)
