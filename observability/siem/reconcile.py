"""Is everything there, and is it what was recorded? A log and the indices are walked side by side, in the order of the numbers.

    report = reconcile(client, Path("audit"), Names())

The cluster is looked at first, at one point in time, and the log after that: whatever the cluster may have, the log has. Each document is
judged by the hash of its whole content (A-95), not by what it says about itself.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from audit.canonical import canonical
from observability.bulk import Document, Unfit, document, send
from observability.classify import Verdict, classify
from observability.names import Names
from observability.siem.findings import Kind, Report
from observability.tail import LogError, Tail

PAGE: Final = 1_000
KEEP_ALIVE: Final = "5m"
RESENT: Final = 500  # events in one request
MOST: Final = 300  # characters of an answer
NOTHING: Final = (sys.maxsize, ())  # behind the last document
ADDED: Final = frozenset({"@timestamp", "event_hash", "ingest"})  # what a document has and its event has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What need not be there.

    Lines from ``settled`` on (their shipper has not come to them), lines in quarantine (segment, end), and what is older than retention
    keeps it (``telemetry_since``, ``evidence_since``: a time as events have it, or nothing).
    """

    settled: int | None = None
    quarantined: Collection[tuple[int, int]] = ()
    telemetry_since: str = ""
    evidence_since: str = ""

    def excuses(self, event: "Expected") -> str:
        """Return why an event need not be there: the name of a counter of ``Report``; or nothing."""
        end, since = event.document.line.end, self.telemetry_since if event.document.stream else self.evidence_since
        if (end.segment, end.offset) in self.quarantined:
            return "quarantined"
        if event.time < since:
            return "expired"
        return "pending" if self.settled is not None and end.number > self.settled else ""


class Expected(NamedTuple):
    """One event as the log has it."""

    chain: str
    seq: int
    hash: str
    time: str
    document: Document


class Stored(NamedTuple):
    """One document as the cluster has it: ``hash`` of its content; ``honest``: what it says about that and its time is so."""

    id: str
    where: str
    seq: int
    hash: str
    honest: bool


def reconcile(client: OpenSearch, log: Path, names: Names, known: Known | None = None) -> list[Report]:
    """Return a report for each chain in the log. Raises ``LogError`` and what ``opensearchpy`` raises."""
    with suppress(AuthorizationException):  # without it what came in the last second may be called missing
        client.indices.refresh(index=names.readable)
    pit = client.create_pit(index=names.readable, params={"keep_alive": KEEP_ALIVE})["pit_id"]
    try:
        chains = groupby(expected(log, names), key=lambda one: one.chain)
        return [_walk(client, pit, chain, events, known or Known()) for chain, events in chains]
    finally:
        client.delete_pit(body={"pit_id": [pit]})


def expected(log: Path, names: Names) -> Iterator[Expected]:
    """Yield the durable events of a log. What is no event is left out: it is in quarantine, and the verifier names it.

    Raises ``LogError``, also for a log whose numbers do not ascend.
    """
    tail, last = Tail(log), ("", -1)
    try:
        while (line := tail.next()) is not None:
            try:
                one = document(line, names.prefix)
            except Unfit:
                continue
            told = orjson.loads(line.raw)
            event = told["event"]
            if event["chain_id"] == last[0] and event["seq"] <= last[1]:
                raise LogError(f"{log}: event {event['seq']} stands behind event {last[1]}: `jvpn audit verify` says more")
            last = event["chain_id"], event["seq"]
            yield Expected(*last, told["hash"], event["time"], one)
    finally:
        tail.close()


def resend(client: OpenSearch, log: Path, names: Names, reports: Sequence[Report]) -> tuple[int, list[str]]:
    """Send what the reports call missing, once; return how many events are stored now, and what the cluster said of the others."""
    missing = {report.chain: report for report in reports}
    wanted = (one.document for one in expected(log, names) if one.chain in missing and missing[one.chain].misses(one.seq))
    stored, refused = 0, list[str]()
    while batch := list(islice(wanted, RESENT)):
        for judged in classify(send(client, batch), batch):
            if judged.verdict is Verdict.CREATED:
                stored += 1
            else:
                refused.append(f"{judged.verdict.name.lower()}: {judged.answer or 'the id is there already'}"[:MOST])
    return stored, refused


def _walk(client: OpenSearch, pit: str, chain: str, events: Iterable[Expected], known: Known) -> Report:
    """Go through one chain: for each number what the log has, and what the cluster has."""
    report = Report(chain)
    documents = groupby(_stored(client, pit, chain), key=lambda one: one.seq)
    seq, there = next(documents, NOTHING)
    unseen: list[Expected] = []
    for event in events:
        while seq < event.seq:
            _strangers(report, there)
            seq, there = next(documents, NOTHING)
        found = False
        if seq == event.seq:
            found = _judge(report, event, list(there))
            seq, there = next(documents, NOTHING)
        report.take(event.seq, present=found)
        if found:
            continue
        if excuse := known.excuses(event):
            report.excuse(excuse)
        else:
            report.miss(event.seq)
            unseen.append(event)
            if len(unseen) == PAGE:
                _taken(client, pit, report, unseen)
    while seq != NOTHING[0]:
        _strangers(report, there)
        seq, there = next(documents, NOTHING)
    _taken(client, pit, report, unseen)
    return report


def _judge(report: Report, event: Expected, documents: Sequence[Stored]) -> bool:
    """Judge all documents under the number of an event; return whether the event is among them."""
    true = [one for one in documents if one.hash == event.hash and one.id == event.document.id and one.honest]
    for one in documents:
        if one in true:
            if not _in_place(one, event):
                report.find(Kind.MISPLACED, event.seq, f"it is in {one.where}, its place is {event.document.target}")
        elif one.id == event.document.id:
            report.find(Kind.DIFFERENT, event.seq, f"{one.where} has other content under its id {one.id}")
        else:
            report.find(Kind.FOREIGN, event.seq, f"{one.where} has {one.id} under its number")
    report.copies += max(0, len(true) - 1)
    return bool(true)


def _strangers(report: Report, documents: Iterable[Stored]) -> None:
    """Note documents under a number that the log has not: older than what is left of it, or never recorded."""
    for one in documents:
        if report.first is None:
            report.earlier += 1
        else:
            report.find(Kind.FOREIGN, one.seq, f"{one.where} has {one.id}, the log has no event {one.seq}")


def _taken(client: OpenSearch, pit: str, report: Report, unseen: list[Expected]) -> None:
    """Find documents that have the id of a missing event, and say to be of another chain or number."""
    by_id = {event.document.id: event for event in unseen}
    unseen.clear()
    if not by_id:
        return
    body = {"size": PAGE, "query": {"ids": {"values": list(by_id)}}, "pit": {"id": pit, "keep_alive": KEEP_ALIVE}}
    for hit in client.search(body=body)["hits"]["hits"]:
        event = by_id[hit["_id"]]
        if (hit["_source"].get("chain_id"), hit["_source"].get("seq")) != (event.chain, event.seq):
            report.find(Kind.DIFFERENT, event.seq, f"{hit['_index']} has another event under its id {hit['_id']}")


def _stored(client: OpenSearch, pit: str, chain: str) -> Iterator[Stored]:
    """Yield the documents of a chain in the order of their numbers."""
    body: dict[str, Any] = {
        "size": PAGE,
        "query": {"term": {"chain_id": chain}},
        "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
        "sort": ["seq", "_shard_doc"],
        "track_total_hits": False,
    }
    while hits := client.search(body=body)["hits"]["hits"]:
        for hit in hits:
            source: Mapping[str, Any] = hit["_source"]
            event = {name: value for name, value in source.items() if name not in ADDED}
            digest = sha256(canonical(event)).hexdigest()
            honest = (source.get("event_hash"), source.get("@timestamp")) == (digest, event.get("time"))
            yield Stored(hit["_id"], hit["_index"], source.get("seq", -1), digest, honest)
        body["search_after"] = hits[-1]["sort"]


def _in_place(one: Stored, event: Expected) -> bool:
    place = event.document.target
    return one.where.startswith(f".ds-{place}-") if event.document.stream else one.where == place
