"""Rollover by condition, and what goes when, on a real node."""

from calendar import timegm
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from lab.opensearch_node import Node
from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import Setup
from observability.siem.retention import DELETE, ROLLOVER, Step, carry_out, due
from tests.observability.real import ship
from tests.observability.synthetic import WALL, Scribe, health
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE
DAY = 86_400
NOW = WALL // 1_000_000_000 + 100  # just behind the events


@pytest.fixture
def filled(tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str) -> str:
    """A prefix with twelve events: three of evidence, nine of telemetry, in a stream that was rolled over."""
    scribe = Scribe(tmp_path / "log")
    scribe.write_together(health(number) for number in range(1, 10))
    scribe.close()
    ship(tmp_path / "log", opensearch_node, prefix)
    client.indices.rollover(alias=Names(prefix).telemetry)
    client.indices.refresh(index=Names(prefix).readable)
    return prefix


def test_telemetry_goes_when_its_newest_event_is_over_its_days(client: OpenSearch, filled: str) -> None:
    """Events would be deleted before their time, or kept beyond it, against what was promised to people."""
    api, setup = Api(client), Setup(prefix=filled, telemetry_days=30)
    first, second = (f".ds-{filled}-telemetry-{number:06}" for number in (1, 2))
    assert due(api, setup, NOW + 29 * DAY) == []
    steps = due(api, setup, NOW + 31 * DAY)
    assert steps == [Step(DELETE, first, "its newest event is older than 30 days")]
    assert due(api, Setup(prefix=filled, telemetry_days=0), NOW + 10_000 * DAY) == []
    assert client.indices.exists(index=first)  # looking changed nothing
    carry_out(api, setup, steps)
    assert not client.indices.exists(index=first)
    assert client.indices.exists(index=second)  # the one that is written to stays, however old and empty
    assert due(api, setup, NOW + 1_000 * DAY) == []


def test_evidence_goes_month_by_month_and_only_when_told_to(client: OpenSearch, filled: str) -> None:
    """Evidence would be gone with the telemetry, or the month that an event is in be deleted while it lasts."""
    api, month = Api(client), Names(filled).month("2026-09")
    end = timegm((2026, 10, 1, 0, 0, 0))
    client.indices.create(index=f"{filled}-evidence-notes")
    client.indices.create(index=f"{filled}-evidence-2026.12")
    assert DELETE not in {step.what for step in due(api, Setup(prefix=filled, telemetry_days=0), NOW + 10_000 * DAY)}
    setup = Setup(prefix=filled, telemetry_days=0, evidence_days=365)
    assert due(api, setup, end + 365 * DAY - 1) == []
    steps = due(api, setup, end + 366 * DAY)
    assert steps == [Step(DELETE, month, "its month ended more than 365 days ago")]
    carry_out(api, setup, steps)
    assert not client.indices.exists(index=month)
    assert [step.name for step in due(api, setup, end + 10_000 * DAY)] == [f"{filled}-evidence-2026.12"]


def test_the_stream_is_rolled_over_by_condition_and_never_when_it_is_empty(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One index would grow for ever, or a quiet week would leave a heap of empty ones."""
    api, setup = Api(client), Setup(prefix=filled, telemetry_days=0)
    assert due(api, setup, NOW) == []
    reached = {"conditions": {"max_docs": 5}}  # of age and size no test can make enough
    monkeypatch.setattr("observability.siem.retention.conditions", lambda _: reached)
    assert due(api, setup, NOW) == []  # the one that is written to is empty
    scribe = Scribe(tmp_path / "more" / "log", boot=bytes(8))
    scribe.write_together(health(number) for number in range(1, 10))
    scribe.close()
    ship(tmp_path / "more" / "log", opensearch_node, filled)
    client.indices.refresh(index=Names(filled).telemetry)
    steps = due(api, setup, NOW)
    assert steps == [Step(ROLLOVER, f"{filled}-telemetry", "max_docs: 5")]
    carry_out(api, setup, steps)
    carry_out(api, setup, steps)  # the condition holds no more
    (stream,) = client.indices.get_data_stream(name=f"{filled}-telemetry")["data_streams"]
    assert len(stream["indices"]) == 3
