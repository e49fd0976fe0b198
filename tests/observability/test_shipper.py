"""The shipper against a cluster that can be told to misbehave; the real client is in between."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit.files import segments_in
from observability.breaker import Breaker
from observability.connect import Cluster, connect
from observability.cursor import Counters, Cursor, State, StateError
from observability.shipper import Shipper, ShipperConfig
from observability.tail import LogError
from tests.observability.stub import (
    Step,
    Stub,
    create,
    each,
    error,
    hang,
    hang_up,
    refused,
    say,
    store,
    stored_but,
)
from tests.observability.stub import item as one_item
from tests.observability.synthetic import Scribe, health

EVENTS = 12  # with LOG_OPENED and LOG_CLOSED


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of 12 events."""
    scribe = Scribe(tmp_path / "log", segment_bytes=4_000)
    scribe.write([health(number) for number in range(1, EVENTS - 1)])
    scribe.close()
    return tmp_path / "log"


class Ship:
    """Runs shippers on one log and state directory; waiting takes no time, and every wait is written down."""

    def __init__(self, log: Path, stub: Stub) -> None:
        """Nothing is started yet."""
        self.log = log
        self.state = log.parent / "state"
        self.stub = stub
        self.waits: list[float] = []
        self.stop_after: int | None = None  # so many waits that last
        self.decide: Callable[[float], bool] = self._wait

    def __call__(self, **settings: Any) -> Counters:  # noqa: ANN401 - fields of ShipperConfig
        """Ship to the log's end."""
        cluster = Cluster(url=self.stub.url, request_seconds=settings.pop("request_seconds", 5.0))
        config = ShipperConfig(log=self.log, state=self.state, cluster=cluster, follow=False, **settings)
        client, state = connect(cluster), State(self.state)
        try:
            return Shipper(config, client, state, self.decide, Breaker(lambda: 1.0)).run()
        finally:
            client.close()
            state.close()

    def status(self) -> dict[str, Any]:
        """Read the status file, and check the conserved sum in it."""
        status: dict[str, Any] = orjson.loads((self.state / "status.json").read_bytes())
        assert status["read"] == status["created"] + status["duplicate"] + status["quarantined"] + status["pending"]
        return status

    def quarantined(self) -> list[dict[str, Any]]:
        """Read the quarantine file."""
        path = self.state / "quarantine.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def _wait(self, seconds: float) -> bool:
        if seconds:
            self.waits.append(seconds)
            assert len(self.waits) < 100, "it will never end"
        return self.stop_after is not None and len(self.waits) >= self.stop_after


def lines(log: Path) -> list[bytes]:
    """Return the log's lines."""
    return [line for path in segments_in(log) for line in path.read_bytes().splitlines()]


def test_each_event_arrives_once_as_it_is_in_the_log(log: Path) -> None:
    """What a SIEM shows would not be what was recorded."""
    with Stub() as stub:
        ship = Ship(log, stub)
        assert ship() == Counters(read=EVENTS, created=EVENTS)
        assert ship() == Counters(read=EVENTS, created=EVENTS)
        assert [len(ids) for ids in stub.requests] == [EVENTS]
        for document, line in zip(stub.documents, lines(log), strict=True):
            told = orjson.loads(line)
            assert document.pop("@timestamp") == told["event"]["time"]
            assert document.pop("event_hash") == told["hash"]
            assert document == told["event"]
        assert (ship.status()["circuit"], ship.status()["settled_up_to"], ship.status()["unsettled_bytes"]) == ("closed", EVENTS, 0)


MISBEHAVIOUR: dict[str, tuple[list[Step], int, int]] = {  # script, events found to be stored already, sendings repeated
    "answer lost": ([stored_but(hang_up)], 12, 12),
    "reset": ([hang_up], 0, 12),
    "hang": ([hang], 0, 12),
    "500 that stored": ([stored_but(say(500, {"error": "oops"}))], 12, 12),
    "502 in html": ([say(502, b"<html>Bad gateway</html>", "text/html")], 0, 12),
    "503 with an array": ([say(503, [])], 0, 12),
    "503 text": ([say(503, b"OpenSearch Security not initialized.", "text/plain")], 0, 12),
    "200 in html that stored": ([stored_but(say(200, b"<html>captive portal</html>", "text/html"))], 12, 12),
    "200 empty": ([say(200)], 0, 12),
    "200 not JSON": ([say(200, b"{]")], 0, 12),
    "200 too deep": ([say(200, b"[" * 100_000)], 0, 12),
    "200 not text": ([say(200, b"\xff\xfe")], 0, 12),
    "200 short list": ([stored_but(say(200, {"items": [one_item("x", 201)]}))], 12, 12),
    "408": ([say(408)], 0, 12),
    "429 whole": ([error(429, "rejected_execution_exception")], 0, 12),
    "401 text": ([say(401, b"Unauthorized", "text/plain")], 0, 12),
    "403 whole": ([error(403, "cluster_block_exception")], 0, 12),
    "404 whole": ([error(404, "index_not_found_exception")], 0, 12),
    "302": ([say(302)], 0, 12),
    "item 429": ([each(lambda place, name: refused(name, 429, "rejected_execution_exception") if place % 2 else None)], 0, 6),
    "item 503": ([each(lambda place, name: refused(name, 503, "unavailable_shards_exception") if place == 3 else None)], 0, 1),
    "item 403": ([each(lambda _, name: refused(name, 403, "cluster_block_exception"))], 0, 12),
    "item disk full": ([each(lambda _, name: refused(name, 429, "cluster_block_exception"))], 0, 12),
    "item 500": ([each(lambda place, name: refused(name, 500, "i_o_exception") if place > 5 else None)], 0, 6),
    "no pipeline": ([each(lambda _, name: refused(name, 400, "illegal_argument_exception", "pipeline with id [p] does not exist"))], 0, 12),
    "siblings refused": ([each(lambda _, name: refused(name, 400, "parse_exception"))], 0, 12),
    "whole 400": ([error(400, "illegal_argument_exception")], 0, 12),
    "413": ([say(413)], 0, 12),
    "413 twice": ([say(413), say(413)], 0, 18),
    "not a stream": ([each(lambda _, name: one_item(name, 201, result="created", _index="jvpn-audit"))], 0, 12),
}


@pytest.mark.parametrize("case", MISBEHAVIOUR)
def test_a_cluster_that_misbehaves_gets_everything_once_in_the_end(log: Path, case: str) -> None:
    """Events would be lost, stored twice or thrown away because a cluster had a bad moment."""
    script, duplicates, retried = MISBEHAVIOUR[case]
    with Stub(script) as stub:
        ship = Ship(log, stub)
        counters = ship(request_seconds=0.3 if case == "hang" else 5.0)
        assert counters == Counters(read=EVENTS, created=EVENTS - duplicates, duplicate=duplicates, retried=retried)
        assert sorted(stub.stored.values()) == [1] * EVENTS
        assert ship.quarantined() == []
        assert ship.status()["circuit"] == "closed"


def bad(wanted: int, refuse: Callable[[str], dict[str, Any]]) -> Step:
    """Refuse the event with this number, whenever and with whomever it comes."""

    def judge(stub: Stub, ids: list[str]) -> Any:  # noqa: ANN401 - what a step returns
        order = list(dict.fromkeys(name for request in stub.requests for name in request))
        stub.script.append(judge)
        return each(lambda _, name: refuse(name) if name == order[wanted] else None)(stub, ids)

    return judge


@pytest.mark.parametrize(
    "refuse",
    [
        lambda name: refused(name, 400, "strict_dynamic_mapping_exception", "[x] within [_doc] is not allowed"),
        lambda name: refused(name, 400, "mapper_parsing_exception"),
        lambda name: refused(name, 500, "fail_processor_exception"),
        lambda name: one_item(name, 200, result="noop"),
    ],
    ids=["strict", "parsing", "fail processor", "drop processor"],
)
def test_a_refused_event_is_kept_with_the_answer_and_the_others_arrive(log: Path, refuse: Callable[[str], dict[str, Any]]) -> None:
    """One event that does not fit would stop the log, or vanish."""
    with Stub([bad(4, refuse)]) as stub:
        ship = Ship(log, stub)
        assert ship(batch_events=5) == Counters(read=EVENTS, created=EVENTS - 1, quarantined=1, retried=1)
        (kept,) = ship.quarantined()
        assert kept["line"].encode() == lines(log)[4]
        assert kept["answer"] == refuse(kept["id"])["create"]
        assert ship.status()["circuit"] == "closed"


def test_all_refused_in_one_request_because_of_one_are_judged_alone(log: Path) -> None:
    """With an ingest pipeline a node refuses a whole request because of one line: eleven good events would be thrown away."""

    def pipeline(stub: Stub, ids: list[str]) -> Any:  # noqa: ANN401 - what a step returns
        stub.script.append(pipeline)
        bad_one = stub.requests[0][7]
        return each(lambda _, name: refused(name, 400, "parse_exception") if bad_one in ids else None)(stub, ids)

    with Stub([pipeline]) as stub:
        ship = Ship(log, stub)
        assert ship() == Counters(read=EVENTS, created=EVENTS - 1, quarantined=1, retried=EVENTS)
        assert [entry["line"].encode() for entry in ship.quarantined()] == [lines(log)[7]]


def test_one_event_that_is_too_large_alone_is_quarantined(log: Path) -> None:
    """The log would stand still for ever before an event that the cluster does not let in."""

    def small(stub: Stub, ids: list[str]) -> Any:  # noqa: ANN401 - what a step returns
        stub.script.append(small)
        return (413, "text/plain", b"") if stub.requests[0][2] in ids else store(stub, ids)

    with Stub([small]) as stub:
        ship = Ship(log, stub)
        counters = ship()
        assert (counters.created, counters.quarantined) == (EVENTS - 1, 1)
        assert [entry["line"].encode() for entry in ship.quarantined()] == [lines(log)[2]]


def test_a_line_that_is_no_event_is_quarantined_not_shipped(log: Path) -> None:
    """A forged line would look like evidence in the SIEM, or stop everything behind it."""
    (segment, *_) = segments_in(log)
    true = segment.read_bytes().splitlines()
    forged = true[1].replace(b'"outcome":"success"', b'"outcome":"unknown"')
    assert forged != true[1]
    broken = [forged, b"not JSON", b"", b"\xff\xfe", true[2].replace(b'{"event":{', b'{"event":{ ')]
    segment.write_bytes(b"\n".join([true[0], *broken, *true[1:]]) + b"\n")
    with Stub() as stub:
        ship = Ship(log, stub)
        assert ship() == Counters(read=EVENTS + 5, created=EVENTS, quarantined=5)
        kept = ship.quarantined()
        assert [entry.get("line") for entry in kept] == [line.decode() if line != b"\xff\xfe" else None for line in broken]
        assert "the hash of the event is" in kept[0]["answer"]
        assert sorted(stub.stored.values()) == [1] * EVENTS


def test_the_pause_doubles_and_ends_at_thirty_seconds_and_one_event_goes_first(log: Path) -> None:
    """A cluster in trouble would be hammered, or not be noticed for hours when it is back."""
    with Stub([error(403, "cluster_block_exception")] * 12) as stub:
        ship = Ship(log, stub)
        assert ship().created == EVENTS
        assert ship.waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
        assert [len(ids) for ids in stub.requests] == [EVENTS] + [1] * 12 + [EVENTS - 1]


def test_too_busy_for_some_is_a_pause_and_not_a_stop(log: Path) -> None:
    """Overload of one shard would be answered by full speed, or by a full stop."""
    busy = each(lambda place, name: refused(name, 429, "rejected_execution_exception") if place else None)
    with Stub([busy] * 3) as stub:
        ship = Ship(log, stub)
        assert ship().created == EVENTS
        assert ship.waits == [0.25] * 3
        assert [len(ids) for ids in stub.requests] == [12, 11, 10, 9]


def test_told_to_stop_while_the_cluster_is_away_it_remembers_what_was_settled(log: Path) -> None:
    """A stop during an outage would take for ever, or lose or repeat more than it must."""
    halfway = each(lambda place, name: refused(name, 403, "cluster_block_exception") if place >= 7 else None)
    with Stub([halfway, *[hang_up] * 50]) as stub:
        ship = Ship(log, stub)
        ship.stop_after = 3
        assert ship() == Counters(read=7, created=7, retried=7)
        status = ship.status()
        assert (status["read"], status["created"], status["pending"], status["circuit"]) == (EVENTS, 7, 5, "open")
        assert "away" not in status["why"]
        assert status["why"]
        stub.script.clear()
        ship.stop_after = None
        assert ship() == Counters(read=EVENTS, created=EVENTS, retried=7)
        assert sorted(stub.stored.values()) == [1] * EVENTS


def test_told_to_stop_it_finishes_the_batch_it_has(log: Path) -> None:
    """A restart in normal service would send a batch twice."""
    with Stub() as stub:
        ship = Ship(log, stub)
        stops = iter([False, False, True])
        ship.decide = lambda _: next(stops, True)
        assert ship(batch_events=5) == Counters(read=5, created=5)
        assert ship.status()["pending"] == 0


def test_a_missing_stream_is_waited_for(log: Path) -> None:
    """Writing to a name without a stream makes a plain index with guessed types, which nobody can repair."""
    with Stub() as stub:
        stub.stream_status = 404
        ship = Ship(log, stub)
        ship.stop_after = 3
        ship()
        assert stub.requests == []
        assert "must install it" in ship.status()["why"]
        stub.stream_status = 403  # the least role may not look, and ships nevertheless
        ship.stop_after = None
        assert ship().created == EVENTS


def test_a_crash_before_the_cursor_repeats_the_batch_and_counts_it_once(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut the numbers would not add up, or an event would be twice in quarantine."""
    reject = bad(2, lambda name: refused(name, 400, "mapper_parsing_exception"))
    with Stub([reject]) as stub:
        ship = Ship(log, stub)
        with monkeypatch.context() as patch:
            patch.setattr(State, "save", _power_cut)
            with pytest.raises(KeyboardInterrupt):
                ship()
        assert len(ship.quarantined()) == 1
        with (ship.state / "quarantine.jsonl").open("ab") as file:
            file.write(b'{"segment":0,"torn')
        assert ship() == Counters(read=EVENTS, duplicate=EVENTS - 1, quarantined=1, retried=1)
        assert len(ship.quarantined()) == 1


def _power_cut(_state: State, _cursor: Cursor) -> None:
    raise KeyboardInterrupt


def test_a_full_local_disk_delays_but_loses_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused event would be dropped, or kept in half, because the quarantine file could not take it."""
    reject = bad(2, lambda name: refused(name, 400, "mapper_parsing_exception"))
    write = os.write
    with Stub([reject]) as stub:
        ship = Ship(log, stub)
        ship.stop_after = 3
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda file, data: write(file, data[:50]))
            ship()
        assert "quarantine file cannot be written" in ship.status()["why"]
        assert (ship.status()["created"], ship.status()["pending"]) == (EVENTS - 1, 1)
        assert ship.quarantined() == []
        ship.stop_after = None
        assert ship().quarantined == 1
        assert len(ship.quarantined()) == 1


def test_the_wrong_log_is_refused(log: Path, tmp_path: Path) -> None:
    """After a mistake in a path one log would be shipped in parts, another not at all."""
    with Stub() as stub:
        ship = Ship(log, stub)
        ship(batch_events=5)
        log.rename(tmp_path / "old")
        scribe = Scribe(log, boot=bytes(8), segment_bytes=4_000)
        scribe.write([health(number) for number in range(1, EVENTS - 1)])
        scribe.close()
        with pytest.raises(LogError, match=r"is not the log that was shipped so far|no line ends"):
            ship()


def test_shipped_segments_may_be_removed_others_not(log: Path) -> None:
    """Retention would stop the shipper, or hide that events were removed before they were shipped."""
    first, second, *_ = segments_in(log)
    lines_in_first = len(first.read_bytes().splitlines())
    with Stub() as stub:
        ship = Ship(log, stub)
        ship.stop_after = 1
        stub.script.extend([store, *[hang_up] * 9])
        ship(batch_events=lines_in_first)
        assert ship.status()["settled_up_to"] == lines_in_first
        stub.script.clear()
        ship.stop_after = None
        content = first.read_bytes()
        first.unlink()
        assert ship(batch_events=1).created == EVENTS
        (ship.state / "cursor.json").unlink()
        stub.script.extend([store, *[hang_up] * 9])
        ship.stop_after = len(ship.waits) + 1
        first.write_bytes(content)
        ship(batch_events=2)
        first.unlink()
        with pytest.raises(LogError, match="is gone"):
            ship()
        assert second.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"version":2}',
        b'{"version":1,"position":{"segment":"0","offset":0,"number":0},"line_sha256":"","counters":{},"quarantine_bytes":0}',
    ],
)
def test_a_cursor_that_cannot_be_understood_is_an_error_with_a_way_out(log: Path, content: bytes) -> None:
    """The shipper would die with a traceback, or ship from somewhere."""
    with Stub() as stub:
        ship = Ship(log, stub)
        ship()
        (ship.state / "cursor.json").write_bytes(content)
        with pytest.raises(StateError, match="move it away"):
            ship()
        (ship.state / "cursor.json").unlink()
        assert ship() == Counters(read=EVENTS, duplicate=EVENTS)


def test_two_shippers_do_not_share_a_state(log: Path) -> None:
    """Each would move the other's cursor."""
    with Stub() as stub:
        ship = Ship(log, stub)
        state = State(ship.state)
        with pytest.raises(StateError, match="another shipper"):
            ship()
        state.close()
        ship()
        assert ship.state.stat().st_mode & 0o777 == 0o700


def test_batches_are_bounded_in_bytes(log: Path) -> None:
    """A burst of long events would make a request that the cluster refuses."""
    with Stub() as stub:
        assert Ship(log, stub)(batch_bytes=3_000).created == EVENTS
        assert max(len(ids) for ids in stub.requests) < EVENTS
        assert sum(len(ids) for ids in stub.requests) == EVENTS


def test_the_environment_says_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable would send audit events, and credentials, through somebody else's machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
    with Stub() as stub:
        assert Ship(log, stub)().created == EVENTS


def test_duplicates_of_the_stub_are_what_the_shipper_counts(log: Path) -> None:
    """The stub itself would hide a double: this is the test of the test."""
    with Stub() as stub:
        create(stub, "x")
        assert create(stub, "x")["create"]["status"] == 409
        assert Ship(log, stub)().created == EVENTS
