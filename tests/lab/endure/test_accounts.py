"""The account of endurance: it finds what is lost, what is there again, and what nothing explains. Without a node."""

import base64
import hashlib
import json
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lab.endure import accounts
from lab.endure.accounts import of_index, of_log
from lab.endure.feed import Feed
from lab.endure.records import Stream

EARLY = 20


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stream]:
    """A log of a real writer that was killed on the way, and what was fed."""
    stream = Stream(Random(7), 600)
    feed = Feed(tmp_path_factory.mktemp("endure") / "log" / "audit", stream)
    try:
        while feed.events() < 200:
            feed.feed(50)
            feed.turn()
        feed.feed(400)
        while not feed.kill("writer"):
            feed.turn()
        feed.feed(100)
        feed.close()
    finally:
        feed.end()
    return feed.log, stream


def changed(log: Path, target: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """A copy of a log of one segment whose lines were changed."""
    target.mkdir()
    (segment,) = log.glob("audit-*.jsonl")
    (target / segment.name).write_bytes(b"".join(change(segment.read_bytes().splitlines(keepends=True))))
    return target


def found(log: Path, stream: Stream) -> accounts.Log:
    """The account of it."""
    return of_log(log, stream.telemetry, stream.evidence, [])


def at(lines: list[bytes], what: bytes) -> int:
    """The place of an early event of a kind: what the killed writer had in hand comes late."""
    return next(place for place, line in enumerate(lines) if place >= EARLY and what in line)


def test_what_was_fed_is_accounted_for_although_the_writer_was_killed(written: tuple[Path, Stream]) -> None:
    """The run would end with sums that do not add up, or add up because nobody looked."""
    log, stream = written
    account = found(log, stream)
    assert account.wrong == []
    assert account.evidence == len(stream.evidence)
    assert account.telemetry + account.counted + account.in_hand == len(stream.telemetry)
    assert (account.resumed, account.events) == (1, account.evidence + account.telemetry + account.integrity)
    assert len(account.months) >= 2


@pytest.mark.parametrize("kind", [b'"event_class":"telemetry"', b'"event_class":"evidence"'])
@pytest.mark.parametrize("change", ["lost", "again"])
def test_an_event_that_is_lost_or_there_again_is_found(written: tuple[Path, Stream], tmp_path: Path, kind: bytes, change: str) -> None:
    """A million events would be called exact with one missing."""
    log, stream = written

    def spoil(lines: list[bytes]) -> list[bytes]:
        place = at(lines, kind)
        return lines[:place] + ([lines[place]] * 2 if change == "again" else []) + lines[place + 1 :]

    assert found(changed(log, tmp_path / "log", spoil), stream).wrong


def test_telemetry_that_a_killed_writer_had_is_no_excuse_elsewhere(written: tuple[Path, Stream]) -> None:
    """Any loss would pass for one of a killed writer."""
    log, stream = written
    more = array("Q", stream.telemetry)
    more.insert(20, more[20] - 1)
    assert any("are missing, 0 were counted" in said for said in of_log(log, more, stream.evidence, []).wrong)


class Cluster:
    """Answers as far as the account asks."""

    def __init__(self, hits: list[dict[str, Any]]) -> None:
        self.indices, self._pages = self, iter([hits, []])

    def refresh(self, **_: object) -> None:
        """Nothing."""

    def create_pit(self, **_: object) -> dict[str, str]:
        """A point in time."""
        return {"pit_id": "p"}

    def delete_pit(self, **_: object) -> None:
        """Nothing."""

    def search(self, **_: object) -> dict[str, Any]:
        """The next page."""
        return {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": next(self._pages)}}

    def count(self, **_: object) -> dict[str, int]:
        """How many there are."""
        return {"count": 4}


def hit(seq: int, digest: str) -> dict[str, Any]:
    """A document as it should be."""
    name = base64.urlsafe_b64encode(hashlib.sha256(f"c|{seq}|{digest}".encode()).digest()).decode()[:22]
    fields = {"chain_id": ["c"], "seq": [seq], "event_hash": [digest], "event_class": ["evidence"]}
    return {"_id": name, "_index": "i", "sort": [seq], "fields": fields}


@pytest.mark.parametrize(
    ("spoil", "missing", "again", "wrong"),
    [
        (lambda hits: hits, 0, 0, 0),
        (lambda hits: hits[1:], 1, 0, 0),
        (lambda hits: [*hits, hits[0]], 0, 1, 0),
        (lambda hits: [hits[0] | {"_id": "x" * 22}, *hits[1:]], 1, 0, 1),
        (lambda hits: [*hits, hit(9, "00" * 32)], 0, 0, 1),
    ],
)
def test_a_document_that_is_missing_or_there_again_or_foreign_is_found(
    spoil: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], missing: int, again: int, wrong: int
) -> None:
    """0 lost and 0 duplicate would be said of a cluster that has holes or doubles."""
    hashes = [hashlib.sha256(bytes((number,))).digest() for number in range(4)]
    hits = [hit(seq, digest.hex()) for seq, digest in enumerate(hashes)]
    index = of_index(Cluster(spoil(hits)), "i", hashes)  # type: ignore[arg-type]  # the five calls that are used
    assert (index.missing, index.again, len(index.wrong)) == (missing, again, wrong + bool(missing))


def test_lines_are_read_without_the_product(written: tuple[Path, Stream]) -> None:
    """The account would repeat the product's own mistakes."""
    rows: Iterator[bytes] = (line for path in sorted(written[0].glob("audit-*.jsonl")) for line in path.read_bytes().splitlines())
    assert all(json.loads(line)["hash"] == digest.hex() for line, (_, digest) in zip(rows, accounts.lines(written[0]), strict=True))
