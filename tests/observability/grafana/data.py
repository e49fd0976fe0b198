"""What the boards are shown: a story's logs, and logs with every event type, in a real node as evidence and telemetry lie there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk

from audit.files import segments_in
from audit.vocabulary import vocabulary
from core.keys.states import Kind as KeyKind
from core.keys.states import State as KeyState
from core.reasons import Event, Reason
from core.values import Fact, Instant
from lab.grafana.plugin import Span
from observability.grafana import TIME_FIELD
from observability.queries import Summary, events_in_log, summary
from observability.template import mappings
from tests.observability.story import write_story
from tests.observability.synthetic import SECOND, WALL, Scribe, every_fact, lost

MINUTES = 8
SPAN = Span(WALL // 1_000_000 - 15_000, WALL // 1_000_000 + MINUTES * 60_000)
BOOTS = b"\x0a" * 8, b"\x0b" * 8
MAPPINGS = mappings()


def _fields(properties: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, below in properties.items():
        yield from _fields(below["properties"], f"{above}{name}.") if "properties" in below else (above + name,)


MAPPED = frozenset(_fields(MAPPINGS["properties"]))


class Loaded(NamedTuple):
    """Where the data is, as the data source has it, and what the logs themselves say of it."""

    client: OpenSearch
    pattern: str
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
    """Write each event type and reason of a role over some minutes, garbage, a restart after a kill and one after a stop.

    Node and boot are its own, and so is its chain.
    """
    facts = [fact for fact in every_fact(directory.name) if fact.event not in {Event.KEY_CHANGED, Event.DOCUMENT_JUDGED}]
    facts += _of_keys(len(facts))
    first = Scribe(directory, role=directory.name, boot=boot, node=boot)
    first.write(fact._replace(at=Instant(place * MINUTES * 50 * SECOND // len(facts))) for place, fact in enumerate(facts))
    first.write_together([lost(1, 17)])
    first.garbage()
    first.crash()
    with segments_in(directory)[-1].open("ab") as torn:
        torn.write(b'{"event":')
    for _ in range(2):
        Scribe(directory, role=directory.name, boot=boot, node=boot, now=first.now).close()


def _of_keys(serial: int) -> Iterator[Fact]:
    """Yield the life of a key, and what became of documents."""
    pending, active, _, off, compromised, destroyed = KeyState
    life = (
        (Reason.KEY_LISTED, 0, pending), (Reason.KEY_VALID, pending, active), (Reason.KEY_EXPORTED, active, active),
        (Reason.KEY_OUTDATED, active, off), (Reason.KEY_REVOKED, off, compromised), (Reason.KEY_DESTROYED, compromised, destroyed),
    )  # fmt: skip
    for version, (reason, before, after) in enumerate(life):
        yield Fact(Event.KEY_CHANGED, reason, serial + version + 1, 0, Instant(0), state_from=before, state_to=after,
                   state_version=version, carrier_to=KeyKind.DEVICE, device=bytes(31) + b"k")  # fmt: skip
    for place, name in enumerate(vocabulary().kinds["DOCUMENT_JUDGED"].reasons):
        yield Fact(Event.DOCUMENT_JUDGED, Reason[name], serial + 10 + place, 0, Instant(0), carrier_to=2, binding_version=1)


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
