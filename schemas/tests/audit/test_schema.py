"""The schemas: closed, bounded, and judged alike by two implementations."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from audit.chain import genesis
from audit.errors import EventRefused
from audit.event import Moment
from audit.schema import check, printable, schema_of, validators
from audit.vocabulary import INTEGER_MAX, vocabulary
from core.reasons import Event, Reason
from tests.audit.made import BEFORE, BORN_EVENT, builder
from tests.audit.strategies import EVENTS, mutated

NAMES = sorted(vocabulary().kinds)
ORACLES = {name: jsonschema.Draft202012Validator(schema_of(name)) for name in NAMES}


def parts(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema."""
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{where}/{name}")


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_schema(name: str) -> None:
    """A-10: a misspelt keyword would be ignored, and with it what it forbids."""
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    known = {"$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", "minProperties"}
    known |= {"enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum"}
    assert not [(where, part.keys() - known) for where, part in parts(schema) if part.keys() - known]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_schema_is_open(name: str) -> None:
    """A-10, A-11: something unbounded or unnamed could stand in an event, a name, an address or a megabyte."""
    for where, part in parts(schema_of(name)):
        kind = part.get("type")
        if kind == "object":
            assert part["additionalProperties"] is False, where
            assert set(part["required"]) <= set(part["properties"]), where
        elif kind == "string":
            assert part["pattern"].startswith("^"), where
            assert part["pattern"].endswith("$"), where
            assert 0 < part["maxLength"] <= 256, where
            assert not re.search(r"[^\x20-\x7e]", part["pattern"]), where
        elif kind == "integer":
            assert 0 <= part["minimum"] <= part["maximum"] <= INTEGER_MAX, where
        else:
            assert "const" in part or part["enum"], where


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_two_validators_accept_what_is_built(event: dict[str, Any]) -> None:
    """A-10: whoever checks the log with another library would find it invalid."""
    name = event["event_type"]
    assert validators()[name].is_valid(event)
    assert ORACLES[name].is_valid(event)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_two_validators_agree_on_what_is_spoiled(event: dict[str, Any]) -> None:
    """A-10: what our validator lets pass, another reader of the same schema would refuse, or the reverse."""
    for name in {str(event.get("event_type")), "SESSION_BORN"} & set(NAMES):
        assert validators()[name].is_valid(event) == ORACLES[name].is_valid(event)


@pytest.mark.parametrize(
    ("event", "reason", "content"),
    [
        (Event.LOG_OPENED, Reason.LOG_STARTED, {"genesis": genesis()}),
        (Event.LOG_RESUMED, Reason.LOG_CONTINUED, {"genesis": genesis(), "metrics": {"cut_bytes": 0}}),
        (Event.LOG_RESUMED, Reason.LOG_TAIL_TORN, {"genesis": genesis(), "metrics": {"cut_bytes": 1}}),
        (Event.LOG_CLOSED, Reason.LOG_STOPPED, {}),
        (Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, {"count": 1}),
        (Event.TELEMETRY_LOST, Reason.TELEMETRY_UNWRITABLE, {"count": INTEGER_MAX}),
        (Event.RECORD_REFUSED, Reason.SCHEMA_VIOLATED, {"offending": {"record": "AAAA", "error": "x"}}),
    ],
)
def test_the_writers_events_are_valid(event: Event, reason: Reason, content: dict[str, object]) -> None:
    """A-10: the writer could not say what happened to the log."""
    made = builder().of_writer(event, reason, BEFORE, Moment(0, 0), **content)
    check(made)
    assert ORACLES[event.name].is_valid(made)
    for name in content:
        with pytest.raises(EventRefused, match=name):
            check({key: value for key, value in made.items() if key != name})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"event_type": "NO_SUCH"}, "event_type is not in the registry"),
        ({"event_type": 7}, "event_type is not in the registry"),
        ({"more": 1}, "the event: .*more.* unexpected"),
        ({"severity": 6}, "severity: 6 is not one of"),
        ({"device": "0" * 15 + "\n"}, "device: .*does not match"),
        ({"state": {"to": "ATTACHED", "version": -1}}, "state/version: -1 is less"),
    ],
)
def test_a_refusal_says_where_and_why(change: dict[str, object], why: str) -> None:
    """A-10: whoever has to repair our fault would have to guess what did not fit."""
    with pytest.raises(EventRefused, match=why):
        check(BORN_EVENT | change)


def test_an_error_is_made_printable() -> None:
    """A-15: the text of an error could bring foreign bytes into the log."""
    assert printable('a "b" \\ \n\x1b[31m é \x7f') == "a 'b' / ??[31m ? ?"
    assert len(printable("x" * 1_000)) == 200
