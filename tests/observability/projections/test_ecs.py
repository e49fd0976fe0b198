"""The projection to the Elastic Common Schema, held against its field list."""

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given

from audit.vocabulary import SCHEMAS
from observability.projections import ecs
from tests.audit.strategies import EVENTS
from tests.observability.projections.events import every_event, sealed

ECS = json.loads((SCHEMAS / "ecs" / "fields.json").read_text())
LONG = 2**63
IGNORED_ABOVE = 1_024  # characters of a keyword; longer ones are not searchable


def leaves(value: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the standard's fields of a document, by path."""
    for name, below in value.items():
        if name != "jvp":
            yield from leaves(below, f"{at}{name}.") if isinstance(below, dict) else [(f"{at}{name}", below)]


def fits(value: object, kind: str) -> bool:
    """Tell whether a value is of an ECS type."""
    if kind == "keyword[]":
        return isinstance(value, list) and bool(value) and all(fits(each, "keyword") for each in value)
    if kind == "long":
        return type(value) is int and -LONG <= value < LONG
    if kind == "date":
        return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value))
    return kind in {"keyword", "match_only_text"} and isinstance(value, str) and 0 < len(value) <= IGNORED_ABOVE


def wrong(document: dict[str, Any]) -> list[str]:
    """Say what ECS has against a document."""
    found = [f"{name}: {value!r}" for name, value in leaves(document) if not fits(value, ECS["fields"].get(name, "no field"))]
    about = document["event"]
    expected = {kind for category in about["category"] for kind in ECS["expected_types"].get(category, ())}
    found += [f"event.type: {kind}" for kind in about["type"] if kind not in expected]
    found += [f"event.category: {each}" for each in about["category"] if each not in ECS["expected_types"]]
    return found + [name for name, known in (("kind", "kinds"), ("outcome", "outcomes")) if about[name] not in ECS[known]]


def test_every_event_is_valid_ecs() -> None:
    """Elastic would map a field by guessing, or its detection rules would not see an event."""
    bad = [(each.event["event_type"], each.event["reason_code"], said) for each in every_event() if (said := wrong(ecs.project(*each)))]
    assert not bad


def test_every_listed_field_is_used() -> None:
    """The list would say more than is true of us."""
    assert {name for each in every_event() for name, _ in leaves(ecs.project(*each))} == set(ECS["fields"])
    assert ECS["version"] == ecs.VERSION


@given(EVENTS)
def test_any_values_are_valid(event: dict[str, Any]) -> None:
    """Values at the bounds of the own schema would leave the bounds of ECS's types."""
    assert not wrong(ecs.project(*sealed(event)))


def test_the_check_refuses() -> None:
    """The tests above would pass whatever is projected."""
    document = ecs.project(*next(iter(every_event())))
    assert wrong(document | {"strange": "x"})
    assert wrong(document | {"event": document["event"] | {"severity": "1"}})
    assert wrong(document | {"event": document["event"] | {"category": ["host"]}})
    assert wrong(document | {"event": document["event"] | {"type": ["admin"]}})
