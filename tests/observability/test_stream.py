"""The data stream, the shipper and the numbers on a real OpenSearch node."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from audit.files import segments_in
from lab.opensearch_node import Node
from observability.connect import Cluster, connect, install
from observability.queries import events_in_log, events_in_stream, summary
from observability.shipper import ShipperConfig, run
from observability.template import index_template
from tests.meta.documents import Wrong, as_after_a_demo, blocks, python
from tests.observability.ship import ShipProcess
from tests.observability.synthetic import Scribe, health, write_everything
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import ROOT

pytestmark = NEEDS_NODE


@pytest.fixture
def client(opensearch_node: Node) -> Iterator[OpenSearch]:
    """A client of the run's node."""
    made = connect(Cluster(url=opensearch_node.url, request_seconds=60))
    yield made
    made.close()


@pytest.fixture
def stream(client: OpenSearch, request: pytest.FixtureRequest) -> str:
    """A fresh stream of this test's own."""
    name: str = "jvpn-audit-" + request.node.originalname.removeprefix("test_")[:40].replace("_", "-")
    install(client, name)
    return name


def ship(log: Path, node: Node, stream: str, state: str = "state") -> dict[str, int]:
    """Ship a log to its end; return the counters that are not 0."""
    config = ShipperConfig(log=log, state=log.parent / state, cluster=Cluster(url=node.url), stream=stream, follow=False)
    counters = run(config)
    found = {name: getattr(counters, name) for name in ("read", "created", "duplicate", "quarantined")}
    return {name: value for name, value in found.items() if value}


def stored(client: OpenSearch, stream: str) -> list[dict[str, Any]]:
    """Return all documents of a stream, in the order of their numbers."""
    client.indices.refresh(index=stream)
    found = client.search(index=stream, body={"size": 10_000, "sort": ["chain_id", "seq"]})
    return [hit["_source"] for hit in found["hits"]["hits"]]


def as_documents(log: Path) -> list[dict[str, Any]]:
    """Return what a log's documents must be."""
    lines = [orjson.loads(line) for path in segments_in(log) for line in path.read_bytes().splitlines()]
    return [{**line["event"], "@timestamp": line["event"]["time"], "event_hash": line["hash"]} for line in lines]


def test_installing_twice_is_installing_once(client: OpenSearch, stream: str) -> None:
    """A second start of the set-up would fail, or leave the stream with yesterday's fields."""
    install(client, stream)
    (found,) = client.indices.get_data_stream(name=stream)["data_streams"]
    assert (found["status"], len(found["indices"])) == ("GREEN", 1)
    put = client.indices.get_index_template(name=stream)["index_templates"][0]["index_template"]
    assert put["template"]["mappings"] == index_template(stream)["template"]["mappings"]
    assert put["template"]["settings"]["index"]["append_only"]["enabled"] == "true"
    install(client, stream + "-two", replicas=2)
    (index,) = client.indices.get_settings(index=stream + "-two").values()
    assert index["settings"]["index"]["number_of_replicas"] == "2"


def test_an_older_stream_learns_new_fields(client: OpenSearch, stream: str) -> None:
    """After an upgrade every event of a new type would land in quarantine until somebody rolls the stream over."""
    template = index_template(stream + "-old")
    del template["template"]["mappings"]["properties"]["metrics"]["properties"]["recovery_us"]
    client.indices.put_index_template(name=stream + "-old", body=template)
    client.indices.create_data_stream(name=stream + "-old")
    install(client, stream + "-old")
    (index,) = client.indices.get_mapping(index=stream + "-old").values()
    assert "recovery_us" in index["mappings"]["properties"]["metrics"]["properties"]
    assert index["mappings"]["dynamic"] == "strict"


@pytest.mark.parametrize("role", ["gateway", "client"])
def test_every_event_type_fits_and_arrives_as_it_is(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str, role: str
) -> None:
    """An event type would be quarantined in production because its mapping was forgotten."""
    stream = f"{stream}-{role}"
    install(client, stream)
    events = write_everything(tmp_path / "log", role)
    assert ship(tmp_path / "log", opensearch_node, stream) == {"read": events, "created": events}
    assert stored(client, stream) == as_documents(tmp_path / "log")


def test_what_is_stored_cannot_be_changed_by_one_who_may_write(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str
) -> None:
    """The shipper's own password would be enough to rewrite history in the SIEM."""
    Scribe(tmp_path / "log").close()
    ship(tmp_path / "log", opensearch_node, stream)
    before = stored(client, stream)
    index, name = f".ds-{stream}-000001", client.search(index=stream)["hits"]["hits"][0]["_id"]
    forged = {**before[0], "outcome": "failure"}
    attacks: list[Callable[[], object]] = [
        lambda: client.index(index=index, id=name, body=forged, params={"if_seq_no": 0, "if_primary_term": 1}),
        lambda: client.update(index=index, id=name, body={"doc": forged}),
        lambda: client.delete(index=index, id=name),
        lambda: client.delete_by_query(index=stream, body={"query": {"match_all": {}}}),
        lambda: client.update_by_query(index=stream, body={"query": {"match_all": {}}, "script": "ctx._source.outcome='failure'"}),
        lambda: client.indices.put_settings(index=stream, body={"index.append_only.enabled": False}),
        lambda: client.create(index=stream, id="x", body={**forged, "extra": 1}),
    ]
    for attack in attacks:
        with pytest.raises(RequestError):
            attack()
    assert stored(client, stream) == before


def test_two_thousand_events_arrive_once_although_node_and_shipper_are_killed(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str
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
        with ShipProcess(log, state, node.url, stream, batch=40) as process:
            write(1, 600)
            arrived(process, 200)
            node.kill()
            write(600, 1_000)
            node.start()
            arrived(process, 700)
            process.kill()
        with ShipProcess(log, state, node.url, stream, batch=40) as process:
            write(1_000, 1_600)
            arrived(process, 1_100)
            process.kill()
            node.kill()
        with ShipProcess(log, state, node.url, stream, batch=40) as process:
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
    assert stored(client, stream) == as_documents(log)


def test_a_node_that_hangs_stores_late_and_has_no_second_copy(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str
) -> None:
    """A request that timed out is stored when the node goes on; what is sent again would be there twice."""
    scribe = Scribe(tmp_path / "log")
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, stream, request_seconds=1) as process:
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
    assert stored(client, stream) == as_documents(tmp_path / "log")


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_blocked_index_stops_shipping_and_loses_nothing(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str, block: str
) -> None:
    """A full disk of the cluster would send good events to quarantine, as if they were at fault."""
    name = f"index.blocks.{block}"
    client.indices.put_settings(index=stream, body={name: True})
    Scribe(tmp_path / "log").close()
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, stream, follow=False) as process:
        status = process.until(lambda status: status["failures_in_a_row"] > 0)
        assert "cluster_block_exception" in status["why"]
        client.indices.put_settings(index=stream, body={name: None})
        assert process.wait() == 0
        assert (process.status()["read"], process.status()["quarantined"], process.status()["pending"]) == (3, 0, 0)
    assert stored(client, stream)[-3:] == as_documents(tmp_path / "log")


def test_the_cluster_and_the_log_give_the_same_numbers_even_after_a_rollover(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str
) -> None:
    """The SIEM's numbers would be believed although they are not those of the log; ids do not hold across a rollover."""
    gateway, other = tmp_path / "gateway" / "log", tmp_path / "client" / "log"
    events = write_everything(gateway, "gateway")
    write_everything(other, "client")
    ship(gateway, opensearch_node, stream)
    ship(other, opensearch_node, stream)
    client.indices.rollover(alias=stream)
    assert ship(gateway, opensearch_node, stream, "second state") == {"read": events, "created": events}  # the trap: all of them twice
    client.indices.refresh(index=stream)
    (chain,) = {event["chain_id"] for event in events_in_log(gateway)}
    both = [*events_in_log(gateway), *events_in_log(other)]
    told = summary(events_in_stream(client, stream, [chain]))
    assert told == summary(events_in_log(gateway))
    assert summary(events_in_stream(client, stream)) == summary(both)
    assert told.events == events
    assert told.refusals["MAC1_WRONG"] > 1
    assert told.recovery_us.values == 2
    assert told.telemetry_lost == 17


def test_the_guide_s_comparison_holds(tmp_path: Path, opensearch_node: Node, client: OpenSearch, stream: str) -> None:
    """Who compares the cluster with the log as the guide says would find a difference that is none, or never one."""
    guide = (ROOT / "docs" / "guides" / "siem.md").read_text(encoding="utf-8")
    (program,) = [block.text for block in blocks(guide) if block.kind == "python" and "events_in_stream" in block.text]
    program = program.replace("http://127.0.0.1:9200", opensearch_node.url).replace("jvpn-audit", stream)
    as_after_a_demo(tmp_path)
    log = tmp_path / "demo-report" / "run" / "gateway-audit"
    with pytest.raises(Wrong, match="AssertionError"):
        python(program, tmp_path)
    ship(log, opensearch_node, stream)
    client.indices.refresh(index=stream)
    python(program, tmp_path)
