"""The guide for whoever watches: what it shows works, offline and on a real node, and what it names is there."""

import re
from pathlib import Path

import pytest

from lab.detections.made import document
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.detections.load import load
from observability.queries import events_in_log
from observability.template import mappings as event_mappings
from tests.meta.documents import as_after_a_demo, blocks, broken_links, python, run
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import ROOT

GUIDE = ROOT / "docs" / "guides" / "detections.md"
TEXT = GUIDE.read_text(encoding="utf-8")
CLUSTER = "http://127.0.0.1:9200"
LINES_MAX = 150


def test_every_command_works(tmp_path: Path) -> None:
    """The first thing that an analyst types would fail."""
    as_after_a_demo(tmp_path)
    assert run(TEXT, tmp_path) >= 6


def test_every_rule_that_it_names_is_there_and_of_that_level() -> None:
    """An analyst would look for a rule under a name that it never had."""
    named = load().named()
    rows = re.findall(r"^\| (critical|high|medium|low|informational) \|.*\| (.*) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 5
    for level, names in rows:
        assert {named[name].level for name in re.findall(r"`([a-z-]+)`", names)} == {level}
    critical = next(names for level, names in rows if level == "critical")
    assert set(re.findall(r"`([a-z-]+)`", critical)) == {each.name for each in named.values() if each.level == "critical"}


def test_it_fits_a_page() -> None:
    """A guide that nobody reads to its end guides nobody."""
    assert len(TEXT.splitlines()) <= LINES_MAX
    assert not broken_links(GUIDE)


@pytest.mark.parametrize("mark", [pytest.param("with a cluster", marks=NEEDS_NODE)])
def test_what_it_shows_on_a_cluster_works(tmp_path: Path, opensearch_node: Node, mark: str) -> None:
    """Who follows it would find nothing in the cluster."""
    as_after_a_demo(tmp_path)
    log = tmp_path / "demo-report" / "run" / "gateway-audit"
    (shown,) = (block.text.replace(CLUSTER, opensearch_node.url) for block in blocks(TEXT) if block.mark == mark)
    with connect(Cluster(url=opensearch_node.url)) as client:
        client.indices.create(index="jvpn-audit-guide", body={"mappings": event_mappings()})
        try:
            for event in events_in_log(log):
                told = {name: value for name, value in event.items() if name != "hash"}
                client.index(index="jvpn-audit-guide", body=document(told), params={"refresh": "true"})
            said = python(shown, tmp_path)
            assert "of LOG_OPENED" in said
            assert "jvpn-audit-critical-1 " in said
        finally:
            client.indices.delete(index="jvpn-audit-guide")
