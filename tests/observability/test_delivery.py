"""Delivery to a cluster that misbehaves in one way at a time; the real client is in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observability.cursor import Counters
from tests.observability.shipping import EVENTS, Ship, lines, write_log
from tests.observability.stub import STREAM, Said, Step, Stub, bad, each, error, hang, hang_up, refused, say, store, stored_but
from tests.observability.stub import item as one_item


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of 12 events."""
    return write_log(tmp_path / "log")


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
    "not a stream": ([each(lambda _, name: one_item(name, 201, result="created", _index="jvpn-audit-telemetry"))], 0, 12),
    "an alias": ([each(lambda _, name: one_item(name, 201, result="created", _index="jvpn-audit-evidence-1970.01"))], 0, 12),
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
        assert kept["answer"] == refuse(kept["id"])["create"] | {"_index": f".ds-{STREAM}-000001"}
        assert ship.status()["circuit"] == "closed"


def test_all_refused_in_one_request_because_of_one_are_judged_alone(log: Path) -> None:
    """With an ingest pipeline a node refuses a whole request because of one line: eleven good events would be thrown away."""

    def pipeline(stub: Stub, ids: list[str]) -> Said | None:
        stub.script.append(pipeline)
        bad_one = stub.requests[0][7]
        return each(lambda _, name: refused(name, 400, "parse_exception") if bad_one in ids else None)(stub, ids)

    with Stub([pipeline]) as stub:
        ship = Ship(log, stub)
        assert ship() == Counters(read=EVENTS, created=EVENTS - 1, quarantined=1, retried=EVENTS)
        assert [entry["line"].encode() for entry in ship.quarantined()] == [lines(log)[7]]


def test_one_event_that_is_too_large_alone_is_quarantined(log: Path) -> None:
    """The log would stand still for ever before an event that the cluster does not let in."""

    def small(stub: Stub, ids: list[str]) -> Said | None:
        stub.script.append(small)
        return (413, "text/plain", b"") if stub.requests[0][2] in ids else store(stub, ids)

    with Stub([small]) as stub:
        ship = Ship(log, stub)
        counters = ship()
        assert (counters.created, counters.quarantined) == (EVENTS - 1, 1)
        assert [entry["line"].encode() for entry in ship.quarantined()] == [lines(log)[2]]


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


def test_a_missing_stream_is_waited_for(log: Path) -> None:
    """Writing to a name without a stream makes a plain index with guessed types, which nobody can repair."""
    with Stub() as stub:
        stub.set_up_status = 404
        ship = Ship(log, stub)
        ship.stop_after = 3
        ship()
        assert stub.requests == []
        assert "`jvpn siem install`" in ship.status()["why"]
        stub.set_up_status, stub.stream = 200, False
        ship.stop_after = len(ship.waits) + 2
        ship()
        assert stub.requests == []
        assert "is not a data stream" in ship.status()["why"]
        stub.set_up_status = 403  # the least role may not look, and ships nevertheless
        ship.stop_after = None
        assert ship().created == EVENTS
