"""A log beside a real node: each way in which the two can differ is found, and has its own name."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from audit.canonical import canonical, line_of
from audit.files import segments_in
from lab.opensearch_node import Node
from observability.bulk import document_id
from observability.names import Names
from observability.siem.findings import TOLD_MAX, Finding, Kind, Report
from observability.siem.reconcile import Known, reconcile, resend
from observability.tail import LogError
from tests.observability.real import as_documents, ship
from tests.observability.synthetic import Scribe, health
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE
LAST = 1_010  # more than a page


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of twelve events, 1 to 9 of them telemetry."""
    scribe = Scribe(tmp_path / "log", segment_bytes=4_000)
    scribe.write_together(health(number) for number in range(1, 10))
    scribe.close()
    return tmp_path / "log"


def look(client: OpenSearch, log: Path, prefix: str, **known: Any) -> Report:  # noqa: ANN401 - some fields of Known
    """Reconcile a log of one chain."""
    (report,) = reconcile(client, log, Names(prefix), Known(**known))
    return report


def put(client: OpenSearch, prefix: str, event: dict[str, Any], **other: Any) -> None:  # noqa: ANN401 - parts of a document
    """Store a document as the shipper would, but for some of its parts."""
    names = Names(prefix)
    place = names.telemetry if event["event_class"] == "telemetry" else names.month(event["time"])
    name = document_id(event["chain_id"], event["seq"], event["event_hash"])
    client.create(index=other.pop("index", place), id=other.pop("id", name), body=event | other)


def test_a_log_that_is_there_is_whole_page_after_page(tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str) -> None:
    """A finding that is none, each hour, and nobody would look any more."""
    scribe = Scribe(tmp_path / "log")
    scribe.write_together(health(number) for number in range(1, LAST - 2))
    scribe.close()
    ship(tmp_path / "log", opensearch_node, prefix)
    report = look(client, tmp_path / "log", prefix)
    assert report.whole
    assert (report.first, report.last, report.events, report.present) == (0, LAST - 1, LAST, LAST)
    assert report.as_json()["findings"] == []


def test_what_is_missing_is_named_by_its_ranges_and_comes_back(log: Path, client: OpenSearch, prefix: str) -> None:
    """A hole in the SIEM would stay, or nobody would know where it is."""
    for event in as_documents(log):
        if event["seq"] not in {0, 4, 5, 6, 11}:
            put(client, prefix, event)
    report = look(client, log, prefix)
    assert [(each.first, each.last) for each in report.missing] == [(0, 0), (4, 6), (11, 11)]
    assert (report.whole, report.present, report.others) == (False, 7, [])
    assert "events 4 to 6: missing in the cluster" in report.as_text()
    assert resend(client, log, Names(prefix), [report]) == (5, [])
    assert look(client, log, prefix).whole


EXCUSES: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({"settled": 9}, {"pending": 3}),
    ({"settled": 12}, {"missing": 3}),
    ({"quarantined": (9, 10)}, {"quarantined": 2, "missing": 1}),
    ({"evidence_since": "9"}, {"expired": 2, "missing": 1}),
    ({"telemetry_since": "9"}, {"expired": 1, "missing": 2}),
    ({"telemetry_since": "2026-09-21", "evidence_since": "2026-09-21"}, {"missing": 3}),
]


def test_what_need_not_be_there_is_no_finding(log: Path, client: OpenSearch, prefix: str) -> None:
    """Each look at a shipper that is at work, or at an old log, would be an alarm; or a real hole would be excused."""
    for event in as_documents(log)[:9]:
        put(client, prefix, event)
    for known, counts in EXCUSES:
        given = {"quarantined": [_ends(log)[number] for number in known["quarantined"]]} if "quarantined" in known else known
        report = look(client, log, prefix, **given)
        found = {name: getattr(report, name) for name in ("pending", "quarantined", "expired")}
        found["missing"] = report.counts[Kind.MISSING]
        assert {name: count for name, count in found.items() if count} == counts, known


def _ends(log: Path) -> list[tuple[int, int]]:
    found = []
    for path in segments_in(log):
        offset = 0
        for line in path.read_bytes().splitlines(keepends=True):
            offset += len(line)
            found.append((int(path.stem.removeprefix("audit-")), offset))
    return found


WRONG: dict[str, tuple[Callable[[OpenSearch, str, dict[str, Any]], None], Kind, str]] = {
    "changed content, its own id and hash": (
        lambda client, prefix, event: put(client, prefix, event, outcome="unknown"), Kind.DIFFERENT, "other content under its id"),
    "changed, hash recomputed": (
        lambda client, prefix, event: put(client, prefix, event, outcome="unknown", event_hash="0" * 64), Kind.DIFFERENT, "other content"),
    "another time for dashboards": (
        lambda client, prefix, event: put(client, prefix, event, **{"@timestamp": "2020-01-01T00:00:00.000000Z"}), Kind.DIFFERENT, "other"),
    "its id under another number": (
        lambda client, prefix, event: put(client, prefix, event, seq=3_000), Kind.DIFFERENT, "another event under its id"),
    "its id in another chain": (
        lambda client, prefix, event: put(client, prefix, event, chain_id="0" * 32), Kind.DIFFERENT, "another event under its id"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_another_document_under_an_event_s_id_is_a_finding_of_its_own(
    log: Path, opensearch_node: Node, client: OpenSearch, prefix: str, case: str
) -> None:
    """A-95: who knows an event before the shipper sends it stores a lie under its id; the shipper hears 409 and takes it for the event."""
    wrong, kind, said = WRONG[case]
    victim = as_documents(log)[0]
    wrong(client, prefix, victim)
    assert ship(log, opensearch_node, prefix) == {"read": 12, "created": 11, "duplicate": 1}  # the shipper cannot know
    report = look(client, log, prefix)
    assert report.counts[kind] == 1
    (found,) = [each for each in report.others if each.kind is kind]
    assert found.first == victim["seq"]
    assert said in found.what
    assert report.counts[Kind.MISSING] == 1
    assert resend(client, log, Names(prefix), [report])[0] == 0  # nothing can put it right


def test_what_was_never_recorded_is_found(log: Path, opensearch_node: Node, client: OpenSearch, prefix: str) -> None:
    """Somebody who may write invents a harmless session; or the log was cut behind what it had shipped."""
    ship(log, opensearch_node, prefix)
    true = as_documents(log)[3]
    put(client, prefix, true, seq=12, id="invented")
    put(client, prefix, true, id="a second one under a true number", outcome="unknown")
    report = look(client, log, prefix)
    assert [(each.kind, each.first) for each in report.others] == [(Kind.FOREIGN, 3), (Kind.FOREIGN, 12)]
    assert report.counts[Kind.MISSING] == 0


def test_a_log_that_was_cut_is_found_and_one_that_was_put_away_is_not(
    log: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """A log that lost its end would be called whole; retention of the log's own old segments would be an alarm."""
    ship(log, opensearch_node, prefix)
    first, *_, last = segments_in(log)
    lines = len(first.read_bytes().splitlines())
    first.unlink()
    report = look(client, log, prefix)
    assert (report.whole, report.earlier, report.first) == (True, lines, lines)
    content = last.read_bytes()
    last.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
    (log / "head.json").unlink()
    report = look(client, log, prefix)
    assert [(each.kind, each.first) for each in report.others] == [(Kind.FOREIGN, 11)]


def test_copies_of_telemetry_are_counted_and_evidence_in_a_foreign_index_is_found(
    log: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """Evidence in two indices could say two things; a copy of telemetry, which a rollover allows, would be an alarm."""
    ship(log, opensearch_node, prefix)
    events = as_documents(log)
    client.indices.rollover(alias=Names(prefix).telemetry)
    put(client, prefix, events[2])
    report = look(client, log, prefix)
    assert (report.whole, report.copies) == (True, 1)
    put(client, prefix, events[0], index=f"{prefix}-evidence-2026.10")
    report = look(client, log, prefix)
    assert [(each.kind, each.first) for each in report.others] == [(Kind.MISPLACED, 0)]


def test_a_log_out_of_order_is_sent_to_the_verifier(log: Path, client: OpenSearch, prefix: str) -> None:
    """The walk would call half of it missing."""
    (first, *_) = segments_in(log)
    lines = first.read_bytes().splitlines(keepends=True)
    event = orjson.loads(lines[1])["event"] | {"seq": 0}
    raw = canonical(event)
    first.write_bytes(lines[0] + line_of(raw, sha256(raw).hexdigest()) + b"".join(lines[2:]))
    with pytest.raises(LogError, match="event 0 stands behind event 0"):
        look(client, log, prefix)


def test_a_report_of_thousands_is_short() -> None:
    """A cluster that lost a month would fill the terminal, and hide what else is wrong."""
    report = Report("c")
    for seq in range(0, 1_000, 2):
        report.miss(seq)
        report.find(Kind.FOREIGN, seq, "x")
    text = report.as_text()
    assert text.count("\n") < 2 * TOLD_MAX + 5
    assert f"{500 - TOLD_MAX} more missing" in text
    assert f"{500 - TOLD_MAX} more there, and never recorded" in text
    assert report.as_json()["counts"] == {"missing": 500, "different": 0, "foreign": 500, "misplaced": 0}
    assert report.missing[0] == Finding(Kind.MISSING, 0, 0)
