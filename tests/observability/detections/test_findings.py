"""Findings: what the verifier found, as a document that a cluster takes and rules match."""

from pathlib import Path

import jsonschema
import pytest

from audit.verdict import Fault, Result, Verdict
from audit.verify import verify
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.detections.evaluate import matching
from observability.detections.findings import ABOUT_THE_LOG, INDEX, document, finding, index_template, schema
from observability.detections.load import load
from tests.audit.made import a_log, lines_of, replaced, story
from tests.opensearch_fixture import NEEDS_NODE

NOW = 1_795_000_000_123_456_789


def test_a_log_that_was_changed(tmp_path: Path) -> None:
    """Nobody who watches the SIEM would hear that the log beside the gateway was changed."""
    lines = lines_of(a_log(tmp_path / "log", story(3)))
    lines[2] = lines[2].replace(b"BIRTH_ASKED", b"BIRTH_LOST", 1)
    made = finding(verify(replaced(tmp_path / "log", tmp_path / "other", lines)), NOW)
    assert made
    jsonschema.Draft202012Validator(schema()).validate(made)
    assert (made["seq"], made["file"], made["line"]) == (2, "audit-00000000000000000000.jsonl", 3)
    assert made["time"] == "2026-11-18T11:06:40.123456Z"
    assert matching(load(), made) == {"log-altered"}


def test_nothing_is_found_in_what_is_sound(tmp_path: Path) -> None:
    """Each verification would raise an alarm."""
    assert finding(verify(a_log(tmp_path / "log", story(3))), NOW) is None
    for verdict in (Verdict.INTERNAL, Verdict.UNREADABLE):
        assert finding(Result("log", Fault(verdict, "no log")), NOW) is None


@pytest.mark.parametrize("verdict", sorted(ABOUT_THE_LOG))
def test_every_verdict_about_a_log_is_a_finding(verdict: Verdict) -> None:
    """A new class of faults would be found and told to nobody; text out of a log reach a terminal through the SIEM."""
    made = finding(Result("log", Fault(verdict, "found \x1b[2J" + "x" * 2_000)), NOW)
    assert made
    jsonschema.Draft202012Validator(schema()).validate(made)
    assert made["finding"] == verdict.name
    assert len(matching(load(), made)) == 1


@pytest.mark.parametrize("index", [pytest.param(INDEX, marks=NEEDS_NODE)])
def test_a_cluster_takes_it(opensearch_node: Node, index: str) -> None:
    """The template of the events would refuse it, and the alarm be lost."""
    made = finding(Result("log", Fault(Verdict.SEAL_WRONG, "another tree", 5, "seals/0", 0)), NOW)
    assert made
    with connect(Cluster(url=opensearch_node.url)) as client:
        client.indices.put_index_template(name=index, body=index_template(index, 0))
        try:
            client.create(index=index, id=made["finding_id"], body=document(made), params={"refresh": "true"})
            hits = client.search(index=index, body={"query": {"query_string": {"query": "finding:SEAL_WRONG"}}})["hits"]["hits"]
            assert [hit["_source"]["found"] for hit in hits] == ["another tree"]
        finally:
            client.indices.delete(index=index)
            client.indices.delete_index_template(name=index)
