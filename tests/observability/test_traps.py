"""What a real node does with a request that has one bad line, or meets a pipeline of somebody else's: nothing good may be thrown away."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from lab.opensearch_node import Node
from observability.breaker import Breaker
from observability.connect import Cluster
from observability.cursor import Counters, State
from observability.names import Names
from observability.shipper import Shipper, ShipperConfig, to_cluster
from tests.observability.real import as_documents, ship, stored
from tests.observability.ship import ShipProcess
from tests.observability.synthetic import Scribe, health
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE


class Garbling:
    """The client of a real node, on whose way one event is damaged in each request that has it."""

    def __init__(self, client: OpenSearch, event: bytes) -> None:
        """`event`: some bytes that only this event has."""
        self._client, self._event = client, event
        self.indices, self.search = client.indices, client.search

    def bulk(self, *, body: bytes) -> object:
        """Send it, cut in the middle of that event's line."""
        lines = body.splitlines(keepends=True)
        return self._client.bulk(body=b"".join(line[:40] + b"\n" if self._event in line else line for line in lines))


@contextmanager
def pipeline(client: OpenSearch, index: str, processor: dict[str, Any]) -> Iterator[None]:
    """Put a pipeline before everything that goes to an index or stream."""
    client.ingest.put_pipeline(id=index, body={"processors": [processor]})
    client.indices.put_settings(index=index, body={"index.default_pipeline": index})
    try:
        yield
    finally:
        client.indices.put_settings(index=index, body={"index.default_pipeline": "_none"})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of twelve events, nine of them telemetry."""
    scribe = Scribe(tmp_path / "log")
    scribe.write_together(health(number) for number in range(1, 10))
    scribe.close()
    return tmp_path / "log"


def test_a_malformed_line_behind_a_pipeline_takes_no_other_event_with_it(
    tmp_path: Path, log: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """The pipeline makes the node refuse a whole request with 400 for one bad line: eleven good events would go to quarantine."""
    events = as_documents(log)
    garbling = Garbling(client, b'"event_hash":"%b"' % events[5]["event_hash"].encode())
    (refused,) = {
        item["create"]["status"]
        for item in garbling.bulk(body=b"".join(_lines(prefix, events)))["items"]  # type: ignore[index]  # the node's answer
    }
    assert refused == 400  # the trap is there
    config = ShipperConfig(log=log, state=tmp_path / "state", cluster=Cluster(url=opensearch_node.url), prefix=prefix, follow=False)
    state = State(config.state)
    counters = Shipper(config, to_cluster(garbling, config), state, lambda _: False, Breaker(lambda: 0.0)).run()
    state.close()
    assert counters == Counters(read=12, created=11, quarantined=1, retried=9)  # all that went to the same place
    assert stored(client, prefix) == [*events[:5], *events[6:]]


def _lines(prefix: str, events: list[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        yield json.dumps({"create": {"_id": event["event_id"], "_index": Names(prefix).telemetry}}).encode() + b"\n"
        yield json.dumps(event, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("processor", [{"drop": {}}, {"fail": {"message": "no"}}], ids=["drop", "fail"])
def test_what_somebody_s_pipeline_drops_or_refuses_is_kept(
    log: Path, opensearch_node: Node, client: OpenSearch, prefix: str, processor: dict[str, Any]
) -> None:
    """A node says 200 and `errors: false` of an event that a pipeline dropped: it would be gone, and counted as stored."""
    (name,) = processor
    where = {name: {"if": "ctx.seq == 4", **processor[name]}}
    with pipeline(client, Names(prefix).telemetry, where):
        assert ship(log, opensearch_node, prefix, name)["quarantined"] == 1
    events = as_documents(log)
    assert stored(client, prefix) == [*events[:4], *events[5:]]
    (kept,) = [json.loads(line) for line in (log.parent / name / "quarantine.jsonl").read_text().splitlines()]
    assert json.loads(kept["line"])["hash"] == events[4]["event_hash"]
    assert kept["answer"].get("result") == "noop" or kept["answer"]["error"]["type"] == "fail_processor_exception"


def test_a_pipeline_that_is_gone_stops_shipping_and_quarantines_nothing(
    log: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """An administrator who removes a pipeline would send the whole log to quarantine."""
    client.indices.put_settings(index=Names(prefix).telemetry, body={"index.default_pipeline": f"{prefix}-gone"})
    with ShipProcess(log, log.parent / "state", opensearch_node.url, prefix, follow=False) as process:
        status = process.until(lambda status: status["failures_in_a_row"] > 0)
        assert "does not exist" in status["why"]
        client.indices.put_settings(index=Names(prefix).telemetry, body={"index.default_pipeline": "_none"})
        assert process.wait() == 0
        assert process.status()["quarantined"] == 0
    assert stored(client, prefix) == as_documents(log)


def test_telemetry_stored_after_a_time_out_and_a_rollover_is_counted_once(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """What hangs is stored when the node goes on: sent again behind a rollover, it would be there twice, and nobody would have looked."""
    scribe = Scribe(tmp_path / "log")
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, prefix, request_seconds=1) as process:
        scribe.write_together([health(1)])  # the first telemetry of a process is looked for, and this node hangs
        scribe.log.write_head()
        process.until(lambda status: status["created"] == 2)
        opensearch_node.pause()
        try:
            scribe.write_together(health(number) for number in range(2, 51))
            scribe.close()
            process.until(lambda status: status["failures_in_a_row"] > 0)
            process.kill()  # so that the rollover is between answer and repetition
        finally:
            opensearch_node.resume()
    client.indices.refresh(index=Names(prefix).telemetry)
    client.indices.rollover(alias=Names(prefix).telemetry)
    with ShipProcess(tmp_path / "log", tmp_path / "state", opensearch_node.url, prefix, follow=False) as process:
        assert process.wait() == 0
        assert process.status()["duplicate"] >= 49
    assert stored(client, prefix) == as_documents(tmp_path / "log")
