"""The shipper's memory: what it does after stops, crashes, mistakes and full disks."""

import fcntl
import os
from pathlib import Path

import orjson
import pytest

from audit.files import segments_in
from observability.cursor import Counters, Cursor, State, StateError
from observability.tail import LogError
from tests.observability.shipping import EVENTS, Ship, lines, write_log
from tests.observability.stub import Stub, bad, create, each, hang_up, refused, store
from tests.observability.synthetic import Scribe, health


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of 12 events."""
    return write_log(tmp_path / "log")


def test_each_event_arrives_once_as_it_is_in_the_log(log: Path) -> None:
    """A-90: what a SIEM shows would not be what was recorded."""
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
        assert [entry["record"] for entry in kept] == list(range(5))
        assert [entry.get("line") for entry in kept] == [line.decode() if line != b"\xff\xfe" else None for line in broken]
        assert "the hash of the event is" in kept[0]["answer"]
        assert sorted(stub.stored.values()) == [1] * EVENTS


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
        stops = iter([False, True])  # asked for while the batch is collected
        ship.decide = lambda _: next(stops, True)
        assert ship(batch_events=5) == Counters(read=5, created=5)
        assert ship.status()["pending"] == 0


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
        scribe.write([health(number) for number in range(1, EVENTS - 2)])
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
        stub.look_status = 403  # so that each batch is sent, although it is there
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
        b'{"version":1}',
        b'{"version":2,"position":{"segment":"0","offset":0,"number":0},"line_sha256":"","counters":{},"quarantine":{}}',
        b'{"version":2,"position":{"segment":0,"offset":0,"number":0},"line_sha256":"","counters":{},"quarantine":{"hash":1}}',
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


def test_what_the_system_forbids_is_said_in_words(log: Path) -> None:
    """A wrong owner of a file would show as a traceback."""
    with Stub() as stub:
        ship = Ship(log, stub)
        (log / "head.json").rename(log / "kept")
        (log / "head.json").mkdir()
        scribe = (log / "writer.lock").open("rb")
        fcntl.flock(scribe, fcntl.LOCK_EX)
        with pytest.raises(LogError, match=r"head\.json cannot be read"):
            ship()
        scribe.close()
        (log / "head.json").rmdir()
        (ship.state / "quarantine.jsonl").mkdir()
        with pytest.raises(StateError, match=r"quarantine\.jsonl cannot be used"):
            ship()
        (ship.state / "quarantine.jsonl").rmdir()
        assert ship().created == EVENTS
        (ship.log.parent / "state2").write_text("")
        ship.state = ship.log.parent / "state2"
        with pytest.raises(StateError, match="cannot be used"):
            ship()
