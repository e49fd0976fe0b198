"""What the boards are shown: the logs of a story, and of both roles with every event type, in a real node as evidence and telemetry lie there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk

from audit.files import segments_in
from lab.grafana.plugin import Span
from observability.grafana import TIME_FIELD
from observability.queries import Summary, events_in_log, summary
from observability.template import index_template
from tests.observability.story import write_story
from tests.observability.synthetic import WALL, Scribe, every_fact, lost

MINUTES = 8
SPAN = Span(WALL // 1_000_000 - 15_000, WALL // 1_000_000 + MINUTES * 60_000)
BOOTS = bytes(7) + b"\x0a", bytes(7) + b"\x0b"
MAPPINGS = index_template()["template"]["mappings"]


class Loaded(NamedTuple):
    """Where the data is, as the data source has it, and what the logs themselves say of it."""

    client: OpenSearch
    index: str
    summary: Summary
    events: list[dict[str, Any]]


def reference(directory: Path) -> list[Path]:
    """Write the logs; return their directories."""
    gateway, client = write_story(directory / "story", sessions=9, minutes=MINUTES - 1)
    every = [directory / "every" / role for role in ("gateway", "client")]
    for path, boot in zip(every, BOOTS, strict=True):
        _everything(path, boot)
    return [gateway, client, *every]


def _everything(directory: Path, boot: bytes) -> None:
    """Write each event type and reason of a role, garbage, a restart after a kill and one after a stop; boots of its own, so its own chain."""
    first = Scribe(directory, role=directory.name, boot=boot)
    first.write(every_fact(directory.name))
    first.write_together([lost(1, 17)])
    first.garbage()
    first.crash()
    with segments_in(directory)[-1].open("ab") as torn:
        torn.write(b'{"event":')
    for _ in range(2):
        Scribe(directory, role=directory.name, boot=boot).close()


def load(client: OpenSearch, prefix: str, logs: list[Path]) -> Loaded:
    """Put the events of the logs under the pattern `prefix-*`: evidence and integrity into one index, telemetry into another."""
    found = [event for log in logs for event in events_in_log(log)]
    for kind in ("evidence-2026.09", "telemetry"):
        client.indices.create(index=f"{prefix}-{kind}", body={"settings": {"number_of_replicas": 0}, "mappings": MAPPINGS})
    bulk(client, (_document(prefix, line) for log in logs for line in _lines(log)))
    client.indices.refresh(index=f"{prefix}-*")
    return Loaded(client, f"{prefix}-*", summary(found), found)


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for path in segments_in(log):
        yield from (orjson.loads(line) for line in path.read_bytes().splitlines())


def _document(prefix: str, line: dict[str, Any]) -> dict[str, Any]:
    event = line["event"]
    kind = "telemetry" if event["event_class"] == "telemetry" else "evidence-2026.09"
    return {
        "_op_type": "create",
        "_index": f"{prefix}-{kind}",
        "_id": f"{event['chain_id']}-{event['seq']}",
        "_source": {**event, TIME_FIELD: event["time"], "event_hash": line["hash"]},
    }
