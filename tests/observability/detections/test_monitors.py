"""Monitors: the form is checked as a contract, since no node of ours has the alerting plugin; what is inside runs on a real node."""

from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from audit.event import rfc3339
from lab.detections import node
from lab.detections.corpus import stories
from lab.detections.made import START_US, Who, event_of
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.detections import findings
from observability.detections.load import load
from observability.detections.lucene import query_string
from observability.detections.monitors import INDICES, LOOK_MINUTES, QUERIES_MAX, condition, monitors, search
from tests.opensearch_fixture import NEEDS_NODE

RULES = load()
MADE = dict(monitors(RULES))
DAY_US = 86_400_000_000
NEVER = {"another group", "one less", "one value twice", "the other way round", "one of them twice"}
MINUTE_US = LOOK_MINUTES * 60_000_000


def test_each_rule_and_correlation_is_in_one_monitor() -> None:
    """A rule would be in the folder and never looked at in the cluster."""
    queries = [query for made in MADE.values() if made["monitor_type"] == "doc_level_monitor" for query in inside(made)["queries"]]
    assert sorted(query["id"] for query in queries) == sorted(rule.name for rule in RULES.rules.values() if rule.alerts)
    assert {query["id"]: query["query"] for query in queries} == {
        rule.name: query_string(rule) for rule in RULES.rules.values() if rule.alerts
    }
    buckets = {name.removeprefix("jvpn-") for name, made in MADE.items() if made["monitor_type"] == "bucket_level_monitor"}
    assert buckets == set(RULES.correlations)
    assert len(MADE) == len(list(monitors(RULES))), "no name twice"


def inside(monitor: dict[str, Any]) -> dict[str, Any]:
    """Return the input of a monitor of documents."""
    (given,) = monitor["inputs"]
    made: dict[str, Any] = given["doc_level_input"]
    return made


@pytest.mark.parametrize("name", MADE)
def test_the_form(name: str) -> None:
    """The plugin would refuse it, or take it and never run it."""
    made = MADE[name]
    assert set(made) == {"type", "monitor_type", "name", "enabled", "schedule", "inputs", "triggers"}
    assert (made["type"], made["name"], made["enabled"]) == ("monitor", name, True)
    assert made["schedule"] == {"period": {"interval": LOOK_MINUTES, "unit": "MINUTES"}}
    (trigger,) = made["triggers"]
    if made["monitor_type"] == "doc_level_monitor":
        given, on = inside(made), trigger["document_level_trigger"]
        assert 1 <= len(given["queries"]) <= QUERIES_MAX
        assert given["indices"] == [findings.INDEX if "verifier" in name else INDICES]
        assert all(query["tags"] == [on["name"]] for query in given["queries"])
        assert on["condition"]["script"]["source"] == f"query[tag={on['name']}]"
    else:
        given, on = made["inputs"][0]["search"], trigger["bucket_level_trigger"]
        assert given["indices"] == [INDICES]
        assert on["condition"]["parent_bucket_path"] in given["query"]["aggregations"]
        assert on["condition"]["script"]["lang"] == "painless"
    assert on["severity"] in {"1", "2", "3", "4"}
    assert on["actions"] == [], "who is told, the operator decides"


@pytest.fixture(scope="module")
def told(opensearch_node: Node) -> Iterator[tuple[OpenSearch, str]]:
    """Return a client and an index with all stories, a day apart, each about groups of its own."""
    events = []
    for number, story in enumerate(stories(), 1):
        for seq, step in enumerate(story.steps, 1):
            who = dict.fromkeys(Who._fields, number * 10_000)
            if story.of.value in who:
                who[story.of.value] += step.value
            who[story.of.group] += 100 * step.group
            events.append(event_of(step.spec, began(number) + step.at, number * 100 + seq, Who(**who)))
    index = "jvpn-test-monitors"
    with connect(Cluster(url=opensearch_node.url, request_seconds=120.0)) as client:
        node.install(client, index, RULES, events)
        yield client, index
        node.remove(client, index)


def began(number: int) -> int:
    """Return when a story begins."""
    return START_US + number * DAY_US


def fired(client: OpenSearch, index: str, name: str, end_us: int) -> int:
    """Return for how many groups a look at this time fires: the monitor's own search and condition, run by the node."""
    body = search(RULES.correlations[name], RULES, rfc3339(end_us * 1_000))
    body["query"]["bool"]["filter"][0]["range"]["@timestamp"].pop("format")  # the plugin puts milliseconds there
    paths, script = condition(RULES.correlations[name])
    body["aggregations"]["groups"].setdefault("aggs", {})["fires"] = {"bucket_selector": {"buckets_path": paths, "script": script}}
    return len(client.search(index=index, body=body)["aggregations"]["groups"]["buckets"])


@pytest.mark.parametrize("name", [pytest.param(name, marks=NEEDS_NODE) for name in RULES.correlations])
def test_a_look_finds_what_the_exact_window_finds(told: tuple[OpenSearch, str], name: str) -> None:
    """A monitor would miss what is told offline, when the events lie around a minute's turn; or fire at one group for another."""
    for number, story in enumerate(stories(), 1):
        last = began(number) + story.steps[-1].at
        if story.of.name == name:
            looks = [fired(*told, name, last + late) for late in (0, MINUTE_US // 2, MINUTE_US)]
            if story.true:
                assert looks == [1, 1, 1], story.what
            elif story.what in NEVER:
                assert looks == [0, 0, 0], story.what
