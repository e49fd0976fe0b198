"""Telemetry whose fate is not known is looked for before it is sent again; evidence need not be."""

from pathlib import Path

import pytest

from observability.cursor import Counters
from tests.observability.shipping import EVENTS, Ship, write_log
from tests.observability.stub import STREAM, Said, Stub, each, hang_up, item, refused, say, store, stored_but


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of 12 events."""
    return write_log(tmp_path / "log")


def forgetful(stub: Stub, ids: list[str]) -> Said | None:
    """Store all under whatever id, as a stream does behind a rollover."""
    stub.script.append(forgetful)
    for name in ids:
        stub.stored[name] = stub.stored.get(name, 0) + 1
    return each(lambda _, name: item(name, 201, result="created"))(stub, ids)


def telemetry(stub: Stub) -> set[str]:
    """Return the ids that were sent to the stream."""
    return {name for name, target in stub.targets.items() if target == STREAM}


def test_after_a_rollover_no_telemetry_is_there_twice(log: Path) -> None:
    """An answer that was lost before a rollover would double every event of its request."""
    with Stub([stored_but(hang_up), forgetful]) as stub:
        assert Ship(log, stub)() == Counters(read=EVENTS, created=3, duplicate=EVENTS - 3, retried=EVENTS)
        assert len(telemetry(stub)) == EVENTS - 3
        assert {stub.stored[name] for name in telemetry(stub)} == {1}


def test_a_process_that_begins_doubts_what_the_one_before_it_sent_last(log: Path) -> None:
    """A crash between answer and cursor, with a rollover behind it, would double a batch; so would shipping a log again."""
    with Stub() as stub:
        ship = Ship(log, stub)
        ship()
        (ship.state / "cursor.json").unlink()
        stub.script.append(forgetful)
        assert ship(batch_events=5) == Counters(read=EVENTS, created=3, duplicate=EVENTS - 3)
        assert {stub.stored[name] for name in telemetry(stub)} == {1}


def test_what_nobody_doubts_is_not_looked_for(log: Path) -> None:
    """Each batch would cost a refresh and a search, for ever."""
    with Stub([each(lambda place, name: refused(name, 429, "rejected_execution_exception") if place == 2 else None)]) as stub:
        assert Ship(log, stub)(batch_events=4).created == EVENTS
        assert [len(ids) for ids in stub.looked] == [3]  # of the first batch, of which one event is no telemetry


@pytest.mark.parametrize(("status", "looks"), [(403, 1), (503, 3)])
def test_one_who_may_not_look_ships_and_one_who_cannot_waits(log: Path, status: int, looks: int) -> None:
    """The least role of before would ship no more; or an outage during the look would be taken for an empty stream."""
    with Stub([stored_but(say(500))]) as stub:
        ship = Ship(log, stub)
        stub.look_status = status
        ship.stop_after = 3
        counters = ship()
        if status == 403:
            assert counters == Counters(read=EVENTS, duplicate=EVENTS, retried=EVENTS)
        else:
            assert telemetry(stub) == set()
            assert counters.read == 1  # the event before the first one of telemetry
            assert "HTTP 503" in ship.status()["why"]
        assert len(ship.waits) <= looks


def test_one_found_event_ends_an_outage(log: Path) -> None:
    """A batch that was stored before the outage would take a pause for each of its events: half an hour for five hundred."""
    with Stub([store, stored_but(hang_up)]) as stub:
        ship = Ship(log, stub)
        assert ship(batch_events=5) == Counters(read=EVENTS, created=7, duplicate=5, retried=5)
        assert len(ship.waits) == 1
        assert ship.status()["circuit"] == "closed"
