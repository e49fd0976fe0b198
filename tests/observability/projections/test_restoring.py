"""From a projection back to the bytes that were hashed [A-81]."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given

from audit.canonical import canonical
from observability.projections import ecs, ocsf, otlp
from observability.projections.own import NotRestorable, epoch_us
from tests.audit.strategies import EVENTS
from tests.observability.projections.events import Sealed, every_event, sealed

PROJECTIONS = {"ocsf": ocsf, "ecs": ecs, "otlp": otlp}
Change = Callable[[dict[str, Any]], object]

of_each = pytest.mark.parametrize("name", PROJECTIONS)


def through(name: str, each: Sealed) -> dict[str, Any]:
    """Project, and send it through JSON as a SIEM would."""
    made: dict[str, Any] = json.loads(json.dumps(PROJECTIONS[name].project(*each)))
    return made


def own(name: str, projected: dict[str, Any]) -> dict[str, Any]:
    """Return where a projection keeps the own event."""
    places = {"ocsf": lambda: projected["unmapped"]["jvp"], "ecs": lambda: projected["jvp"]}
    found: dict[str, Any] = places[name]()
    return found


@of_each
def test_every_event_comes_back(name: str) -> None:
    """An auditor who has only the SIEM could not prove what the log said."""
    for each in every_event():
        back = PROJECTIONS[name].restore(through(name, each))
        assert back.data == canonical(each.event)
        assert back.hash == each.hash == sha256(back.data).hexdigest()


@of_each
@given(event=EVENTS)
def test_any_event_comes_back(name: str, event: dict[str, Any]) -> None:
    """Some values would be rounded or lost on the way."""
    each = sealed(event)
    assert PROJECTIONS[name].restore(through(name, each)).data == canonical(event)


@pytest.mark.parametrize("name", ["ocsf", "ecs"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own.update(reason_code="MOVED_POLICY"), "the own event was changed: its hash is"),
        (lambda own: own.update(event_hash="0" * 64), "the own event was changed: its hash is"),
        (lambda own: own.update(strange=1), "no valid event"),
        (lambda own: own.update(seq="1"), "no valid event: seq"),
        (lambda own: own.pop("event_hash"), "no event_hash there"),
        (lambda own: own.pop("chain_id"), "no valid event"),
    ],
)
def test_a_changed_one_is_refused(name: str, change: Change, said: str) -> None:
    """Somebody who can write in the SIEM could make an event say something else and have it pass for the log's."""
    projected = through(name, next(each for each in every_event() if each.event["event_type"] == "SESSION_MOVED"))
    change(own(name, projected))
    with pytest.raises(NotRestorable, match=said):
        PROJECTIONS[name].restore(projected)


@of_each
@pytest.mark.parametrize("projected", [{}, {"jvp": []}, {"unmapped": 1}, {"resourceLogs": [{}]}, {"resourceLogs": []}, {"resourceLogs": 1}])
def test_what_is_no_projection_is_refused(name: str, projected: dict[str, Any]) -> None:
    """Any JSON would end in a traceback."""
    with pytest.raises(NotRestorable):
        PROJECTIONS[name].restore(projected)


def test_a_changed_log_record_is_refused() -> None:
    """Somebody who can write in the collector's store could change an attribute unseen."""
    projected = through("otlp", next(iter(every_event())))
    attributes = projected["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"]
    place = next(pair for pair in attributes if pair["key"] == "jvp.seq")
    place["value"] = {"intValue": "7"}
    with pytest.raises(NotRestorable, match="the own event was changed"):
        otlp.restore(projected)


@pytest.mark.parametrize(
    ("time", "us"),
    [
        ("1970-01-01T00:00:00.000000Z", 0),
        ("2000-02-29T12:00:00.000001Z", 951_825_600_000_001),
        ("2554-07-21T23:34:33.709551Z", 18_446_744_073_709_551),
    ],
)
def test_times_are_exact(time: str, us: int) -> None:
    """Events would be put in the wrong order by a microsecond that a float has rounded away."""
    assert epoch_us(time) == us
