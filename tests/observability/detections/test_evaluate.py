"""Our executor over whole logs: the labels of the corpus, in whatever order events come, and what an alert says."""

import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from audit.schema import check
from lab.detections.corpus import Labelled, corpus, stories
from lab.detections.judged import own_correlations
from observability.detections import findings
from observability.detections.evaluate import alerts, matching
from observability.detections.load import BLOCK, load
from tests.observability.detections.writing import correlation, loaded, rule

RULES = load()
EVENTS = 8_000


@pytest.fixture(scope="module")
def made() -> list[Labelled]:
    """Return a corpus."""
    return corpus(2, EVENTS)


def test_every_event_of_the_corpus_is_one_that_the_product_could_record(made: list[Labelled]) -> None:
    """The executors would agree about events that never come."""
    form = jsonschema.Draft202012Validator(findings.schema())
    for each in made:
        form.validate(each.event) if "finding" in each.event else check(each.event)
    assert len({str(each.event.get("event_id") or each.event["finding_id"]) for each in made}) == len(made)


def test_the_corpus_is_of_its_seed_alone(made: list[Labelled]) -> None:
    """Nobody could look again at an event at which executors differ."""
    assert corpus(2, EVENTS) == made
    assert corpus(3, 50) != corpus(2, 50)


def test_the_corpus_has_all_of_it(made: list[Labelled]) -> None:
    """Agreement about nothing would pass for agreement."""
    assert len(made) >= EVENTS
    assert set().union(*(each.rules for each in made)) == set(RULES.rules)
    assert set().union(*(each.correlations for each in made)) == set(RULES.correlations)
    assert sum(not each.rules for each in made) > len(made) // 2
    for name in RULES.correlations:
        told = [story for story in stories() if story.of.name == name]
        assert {story.true for story in told} == {True, False}, name
        assert {"1 us inside", "1 ms inside", "on the edge", "1 us outside", "another group"} <= {story.what for story in told}


def test_every_label_is_met(made: list[Labelled]) -> None:
    """An attack would be passed over or a harmless event raise an alarm."""
    assert not [each for each in made if matching(RULES, each.event) != each.rules]
    assert own_correlations(RULES, [each.event for each in made]) == [each.correlations for each in made]


def test_the_order_of_reading_does_not_matter(made: list[Labelled]) -> None:
    """Two logs, read one after the other, would be judged otherwise than one log of both."""
    events = [each.event for each in made[:2_000]]
    mixed = random.Random(1).sample(events, len(events))
    assert set(alerts(RULES, mixed)) == set(alerts(RULES, events))


def event(time: int, **more: object) -> dict[str, Any]:
    """Return a small event at this second."""
    return {"time": f"2026-12-01T00:00:{time:02d}.000000Z", "event_id": f"e{time}", "event_type": "SESSION_MOVED", "chain_id": "c", **more}


def test_what_an_alert_says(tmp_path: Path) -> None:
    """Who gets it would not find the events, the session or the device that it is about."""
    rule(tmp_path, level="medium")
    correlation(tmp_path)
    told = alerts(loaded(tmp_path), [event(at, seq=at, device="d", session={"pseudonym": f"s{at}"}) for at in (1, 2, 3)])
    assert [(each.name, each.level, each.time[-10:], each.session, each.device, each.events) for each in told] == [
        ("a", "medium", "01.000000Z", "s1", "d", ("e1",)),
        ("a", "medium", "02.000000Z", "s2", "d", ("e2",)),
        ("a", "medium", "03.000000Z", "s3", "d", ("e3",)),
        ("c", "high", "03.000000Z", "s3", "d", ("e1", "e2", "e3")),
    ]
    assert told[0].as_json()["events"] == ["e1"]


def test_levels(tmp_path: Path) -> None:
    """Building blocks would be alerts, or who asks for what is high see everything."""
    rule(tmp_path, level=BLOCK)
    correlation(tmp_path)
    events = [event(at, seq=at, device="d") for at in (1, 2, 3)]
    assert [each.name for each in alerts(loaded(tmp_path), events)] == ["c"]
    assert [each.name for each in alerts(loaded(tmp_path), events, level="high")] == ["c"]
    assert not alerts(loaded(tmp_path), events, level="critical")


def test_an_event_without_the_field_is_in_no_group(tmp_path: Path) -> None:
    """All events that lack a device would be taken for those of one."""
    rule(tmp_path, level=BLOCK)
    correlation(tmp_path)
    assert not alerts(loaded(tmp_path), [event(at, seq=at) for at in (1, 2, 3)])
