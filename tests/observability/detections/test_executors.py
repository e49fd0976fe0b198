"""Three executors say the same of every event, two of them in a real node: query strings and the percolator; a difference is seen."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opensearchpy import OpenSearch

from lab.detections.corpus import corpus
from lab.detections.judged import judge
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.detections.load import Ruleset, load
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE
EVENTS = 1_200
AGREED = {
    "rules: own evaluator": 0, "rules: query strings": 0, "rules: percolator": 0,
    "correlations: own evaluator": 0, "correlations: aggregations": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def client(opensearch_node: Node) -> Iterator[OpenSearch]:
    """Return a client of the run's node."""
    with connect(Cluster(url=opensearch_node.url, request_seconds=120.0)) as made:
        yield made


def test_all_agree_with_the_labels(client: OpenSearch) -> None:
    """A rule would fire in the SIEM and not offline, or never in either."""
    judged = judge(client, "jvpn-test-executors", load(), corpus(5, EVENTS))
    assert judged.differences == AGREED, judged.examples
    assert judged.events >= EVENTS
    assert judged.rules_fired > EVENTS // 20
    assert judged.correlations_fired == 30


def test_a_difference_is_seen(client: OpenSearch) -> None:
    """The agreement above would prove nothing."""
    rules = load()
    quiet = replace(rules.rules["audit-stopped"], matches=lambda _event: False)
    later = replace(rules.correlations["switch-storm"], timespan_us=60_000_001)
    spoiled = Ruleset({**rules.rules, "audit-stopped": quiet}, {**rules.correlations, "switch-storm": later})
    judged = judge(client, "jvpn-test-differences", spoiled, corpus(5, 100))
    assert judged.differences["rules: own evaluator"] > 0
    assert judged.differences["rules: query strings"] == judged.differences["rules: percolator"] == 0
    assert judged.differences["correlations: aggregations"] == 1, "the story on the edge"
    assert any("switch-storm" in example for example in judged.examples)
