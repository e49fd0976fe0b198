"""Each output against each fault: nothing is lost, and what comes twice is recognised by its hash [A-82]."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.observability.outputs.sending import Sending
from tests.observability.outputs.sinks import SINKS, Sink
from tests.observability.shipping import EVENTS, lines, write_log

FAULTS = ("reset", "hang", "503", "slow", "lost", "end")
TWICE = {"lost", "end"}  # kept by the destination, unknown to us


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    """Return a destination of each kind."""
    with SINKS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def sending(tmp_path: Path) -> Sending:
    """Return a shipper for a log of twelve events."""
    return Sending(write_log(tmp_path / "audit"))


def hashes(sending: Sending) -> list[str]:
    """Return the hashes of the log's events, in order."""
    return [orjson.loads(line)["hash"] for line in lines(sending.log)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", [0, 1])
def test_nothing_is_lost(sink: Sink, sending: Sending, fault: str, place: int) -> None:
    """An event would be missing from the SIEM after a fault that every network has, or would be there twice and nobody could tell."""
    if sink.kind == "syslog" and fault == "503":
        fault = "hang"  # syslog answers nothing
    sink.start()
    sink.script.extend([*["200"] * place, fault])
    counters = sending(sink.destination(request_seconds=1.0 if fault == "hang" else 5.0), most=5)
    wanted = hashes(sending)
    assert list(dict.fromkeys(sink.hashes)) == wanted, "all of them, in order"
    twice = [each for each in set(sink.hashes) if sink.hashes.count(each) > 1]
    assert (counters.created, counters.pending, counters.quarantined) == (EVENTS, 0, 0)
    assert len(twice) == (5 if fault in TWICE else 0)
    assert sending.status()["circuit"] == "closed"


def test_refused_connections_are_waited_for(sink: Sink, sending: Sending) -> None:
    """Events that come while the SIEM restarts would be gone."""
    sending.at_wait = lambda: sink.start() if len(sending.waits) == 3 else None
    counters = sending(sink.destination(request_seconds=1.0))
    assert sink.hashes == hashes(sending)
    assert counters.created == EVENTS
    assert sending.waits[:3] == [0.25, 0.5, 1.0]


def test_a_stop_in_between_loses_nothing(sink: Sink, sending: Sending) -> None:
    """A restart of the shipper while the SIEM is away would skip what was not settled."""
    sink.start()
    sink.script.extend(["200", "reset", "reset", "reset", "reset", "reset", "reset"])
    sending.stop_after = 1
    first = sending(sink.destination(), most=5)
    assert (first.created, sending.status()["pending"]) == (5, 5)
    sink.script.clear()
    sending.stop_after = 100
    again = sending(sink.destination(), most=5)
    assert sink.hashes == hashes(sending)
    assert again.created == EVENTS


def test_somebody_else_answers(sink: Sink, sending: Sending, tmp_path: Path) -> None:
    """Events, and the token, would go to whoever sits on the way."""
    sink.start()
    other = type(sink)(tmp_path)  # makes another certificate in the same place, which is the one that is trusted
    with other:
        sending.stop_after = 2
        counters = sending(sink.destination(request_seconds=1.0))
    assert (counters.created, sink.hashes) == (0, [])
    assert "certificate verify failed" in sending.status()["why"].lower().replace("_", " ")
