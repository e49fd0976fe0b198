"""What the tests with a real OpenSearch node share: a set-up of each test's own, shipping into it, and what is there afterwards."""

from pathlib import Path
from typing import Any

import orjson
from opensearchpy import OpenSearch

from audit.files import segments_in
from lab.opensearch_node import Node
from observability.connect import Cluster
from observability.names import Names
from observability.shipper import ShipperConfig, run
from observability.siem.api import Api
from observability.siem.documents import Setup
from observability.siem.plan import apply, compare


def install(client: OpenSearch, prefix: str, **settings: Any) -> Setup:  # noqa: ANN401 - some fields of Setup
    """Set up under a prefix; return the settings."""
    setup = Setup(prefix=prefix, **settings)
    api = Api(client)
    apply(api, compare(api, setup))
    return setup


def ship(log: Path, node: Node, prefix: str, state: str = "state") -> dict[str, int]:
    """Ship a log to its end; return the counters that are not 0."""
    config = ShipperConfig(log=log, state=log.parent / state, cluster=Cluster(url=node.url), prefix=prefix, follow=False)
    counters = run(config)
    found = {name: getattr(counters, name) for name in ("read", "created", "duplicate", "quarantined")}
    return {name: value for name, value in found.items() if value}


def stored(client: OpenSearch, prefix: str) -> list[dict[str, Any]]:
    """Return all documents under a prefix, in the order of their numbers, without what the cluster added."""
    readable = Names(prefix).readable
    client.indices.refresh(index=readable)
    found = client.search(index=readable, body={"size": 10_000, "sort": ["chain_id", "seq"]})
    sources: list[dict[str, Any]] = [hit["_source"] for hit in found["hits"]["hits"]]
    assert all(source.pop("ingest")["received"] > "2020" for source in sources)
    return sources


def as_documents(log: Path) -> list[dict[str, Any]]:
    """Return what a log's documents must be."""
    lines = [orjson.loads(line) for path in segments_in(log) for line in path.read_bytes().splitlines()]
    return [{**line["event"], "@timestamp": line["event"]["time"], "event_hash": line["hash"]} for line in lines]
