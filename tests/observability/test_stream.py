"""The indices, the shipper and the numbers on a real OpenSearch node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from lab.opensearch_node import Node
from observability.names import Names
from observability.queries import events_in_log, events_in_stream, summary
from tests.meta.documents import Wrong, as_after_a_demo, blocks, python
from tests.observability.real import as_documents, ship, stored
from tests.observability.ship import ShipProcess
from tests.observability.synthetic import Scribe, health, write_everything
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import ROOT

pytestmark = NEEDS_NODE


@pytest.mark.parametrize("role", ["gateway", "client"])
def test_every_event_type_fits_and_arrives_as_it_is(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str, role: str
) -> None:
    """An event type would be quarantined in production because its mapping was forgotten."""
    events = write_everything(tmp_path / "log", role)
    assert ship(tmp_path / "log", opensearch_node, prefix) == {"read": events, "created": events}
    assert stored(client, prefix) == as_documents(tmp_path / "log")


def attacks(client: OpenSearch, name: str, hit: dict[str, Any]) -> list[Callable[[], object]]:
    """Return ways to change or add what was never recorded, for one document in the index or stream `name`."""
    index, document, forged = hit["_index"], hit["_id"], {**hit["_source"], "outcome": "failure"}
    return [
        lambda: client.index(index=index, id=document, body=forged, params={"if_seq_no": 0, "if_primary_term": 1}),
        lambda: client.update(index=index, id=document, body={"doc": forged}),
        lambda: client.delete(index=index, id=document),
        lambda: client.delete_by_query(index=name, body={"query": {"match_all": {}}}),
        lambda: client.update_by_query(index=name, body={"query": {"match_all": {}}, "script": "ctx._source.outcome='failure'"}),
        lambda: client.indices.put_settings(index=name, body={"index.append_only.enabled": False}),
        lambda: client.create(index=name, id="x", body={**forged, "extra": 1}),
    ]


def test_what_is_stored_cannot_be_changed_by_one_who_may_write(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """The shipper's own password would be enough to rewrite history in the SIEM."""
    Scribe(tmp_path / "log").close()
    scribe = Scribe(tmp_path / "more" / "log", boot=bytes(8))
    scribe.write([health(1)])
    scribe.close()
    ship(tmp_path / "log", opensearch_node, prefix)
    ship(tmp_path / "more" / "log", opensearch_node, prefix)
    before = stored(client, prefix)
    for name in (Names(prefix).month(before[0]["time"]), Names(prefix).telemetry):
        (hit, *_) = client.search(index=name)["hits"]["hits"]
        for attack in attacks(client, name, hit):
            with pytest.raises(RequestError):
                attack()
    assert stored(client, prefix) == before


def test_two_thousand_events_arrive_once_although_node_and_shipper_are_killed(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """The SIEM would have holes or doubles after the first bad day."""
    node, log, state = opensearch_node, tmp_path / "log", tmp_path / "state"
    scribe = Scribe(log, segment_bytes=200_000)

    def write(first: int, last: int) -> None:
        for begin in range(first, last, 50):
            scribe.write_together(health(number) for number in range(begin, min(begin + 50, last)))
        scribe.log.write_head()

    def arrived(process: ShipProcess, least: int) -> None:
        process.until(lambda status: status["created"] + status["duplicate"] >= least)

    try:
        with ShipProcess(log, state, node.url, prefix, batch=40) as process:
            write(1, 600)
            arrived(process, 200)
            node.kill()
            write(600, 1_000)
            node.start()
            arrived(process, 700)
            process.kill()
        with ShipProcess(log, state, node.url, prefix, batch=40) as process:
            write(1_000, 1_600)
            arrived(process, 1_100)
            process.kill()
            node.kill()
        with ShipProcess(log, state, node.url, prefix, batch=40) as process:
            write(1_600, 1_998)
            scribe.close()
            node.start()
            arrived(process, 2_000)
            assert process.stop() == 0
            status = process.status()
    finally:
        if not node.running:
            node.start()
    assert status["read"] == 2_000 == status["created"] + status["duplicate"]
    assert (status["quarantined"], status["pending"], status["unsettled_bytes"]) == (0, 0, 0)
    assert stored(client, prefix) == as_documents(log)


def test_a_node_that_hangs_stores_late_and_has_no_second_copy(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """A request that timed out is stored when the node goes on; what is sent again would be there twice."""
    scribe = Scribe(tmp_path / "log")
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, prefix, request_seconds=1) as process:
        process.until(lambda status: status["created"] == 1)
        opensearch_node.pause()
        try:
            scribe.write_together(health(number) for number in range(1, 100))
            scribe.close()
            process.until(lambda status: status["failures_in_a_row"] > 1)
        finally:
            opensearch_node.resume()
        process.until(lambda status: status["read"] == 102 and status["pending"] == 0)
        assert process.stop() == 0
    assert stored(client, prefix) == as_documents(tmp_path / "log")


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_blocked_index_stops_shipping_and_loses_nothing(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str, block: str
) -> None:
    """A full disk of the cluster would send good events to quarantine, as if they were at fault."""
    name = f"index.blocks.{block}"
    readable = Names(prefix).readable
    client.indices.put_settings(index=readable, body={name: True})
    Scribe(tmp_path / "log").close()
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, prefix, follow=False) as process:
        status = process.until(lambda status: status["failures_in_a_row"] > 0)
        assert "cluster_block_exception" in status["why"]
        client.indices.put_settings(index=readable, body={name: None})
        assert process.wait() == 0
        assert (process.status()["read"], process.status()["quarantined"], process.status()["pending"]) == (3, 0, 0)
    assert stored(client, prefix)[-3:] == as_documents(tmp_path / "log")


def test_the_cluster_and_the_log_give_the_same_numbers_even_after_a_rollover(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """The SIEM's numbers would be believed although they are not those of the log."""
    gateway, other = tmp_path / "gateway" / "log", tmp_path / "client" / "log"
    events = write_everything(gateway, "gateway")
    write_everything(other, "client")
    ship(gateway, opensearch_node, prefix)
    ship(other, opensearch_node, prefix)
    names = Names(prefix)
    client.indices.rollover(alias=names.telemetry)
    assert ship(gateway, opensearch_node, prefix, "second state") == {"read": events, "duplicate": events}
    copy = client.search(index=names.telemetry, body={"size": 1, "sort": ["seq"]})["hits"]["hits"][0]
    client.create(index=names.telemetry, id=copy["_id"], body=copy["_source"])  # what was on its way when it was looked for
    client.indices.refresh(index=names.readable)
    (chain,) = {event["chain_id"] for event in events_in_log(gateway)}
    both = [*events_in_log(gateway), *events_in_log(other)]
    told = summary(events_in_stream(client, names.readable, [chain]))
    assert told == summary(events_in_log(gateway))
    assert summary(events_in_stream(client, f"{prefix}-*")) == summary(both)
    assert client.count(index=names.readable)["count"] == len(both) + 1
    assert told.events == events
    assert told.refusals["MAC1_WRONG"] > 1
    assert told.recovery_us.values == 2
    assert told.telemetry_lost == 17


def test_evidence_is_there_once_whatever_happens_between_answer_and_repetition(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """A-91: ids hold in one index only: evidence would double at a rollover, or at the end of a month."""
    events = write_everything(tmp_path / "log", "gateway")
    kept = [event for event in as_documents(tmp_path / "log") if event["event_class"] != "telemetry"]
    ship(tmp_path / "log", opensearch_node, prefix)
    client.indices.rollover(alias=Names(prefix).telemetry)
    assert ship(tmp_path / "log", opensearch_node, prefix, "another state") == {"read": events, "duplicate": events}
    client.indices.refresh(index=Names(prefix).evidence)
    found = client.search(index=Names(prefix).evidence, body={"size": 10_000, "sort": ["seq"]})["hits"]["hits"]
    assert [hit["_source"]["event_hash"] for hit in found] == [event["event_hash"] for event in kept]
    assert {hit["_index"] for hit in found} == {Names(prefix).month(event["time"]) for event in kept}
    assert {hit["_source"]["event_class"] for hit in found} == {"evidence", "integrity"}


def test_the_guide_s_comparison_holds(tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str) -> None:
    """Who compares the cluster with the log as the guide says would find a difference that is none, or never one."""
    guide = (ROOT / "docs" / "guides" / "siem.md").read_text(encoding="utf-8")
    (program,) = [block.text for block in blocks(guide) if block.kind == "python" and "events_in_stream" in block.text]
    program = program.replace("http://127.0.0.1:9200", opensearch_node.url).replace("jvpn-audit", prefix)
    as_after_a_demo(tmp_path)
    log = tmp_path / "demo-report" / "run" / "gateway-audit"
    with pytest.raises(Wrong, match="AssertionError"):
        python(program, tmp_path)
    ship(log, opensearch_node, prefix)
    client.indices.refresh(index=Names(prefix).readable)
    python(program, tmp_path)
