"""The SIEM is down, slow, or lies (T-19).

ATTACK
    Whoever runs the SIEM, or the network before it, refuses, hangs up, answers with success pages, or stores and says that it did not.

EXPECTED REFUSAL
    The gateway does not know the SIEM: what it decides and records stays the same, and never waits [A-41]. The shipper repeats until
    the answer is sure, so each event arrives once; while it cannot, its status says so. Other outputs get each event at least once, and a
    redirect, a success page or a refusal of everything is no answer that settles one [A-82, A-83].

EXPECTED EVIDENCE
    verdict VERIFIED
    status.json: circuit, retried, duplicate
"""

from pathlib import Path

from audit.show import events
from audit.verdict import Verdict
from audit.verify import verify
from core.reasons import Event
from lab.sim.frames import v4
from lab.sim.world import World
from tests.audit.made import a_log, events_of
from tests.observability.outputs.sending import Sending
from tests.observability.outputs.sinks import OtlpSink
from tests.observability.shipping import Ship
from tests.observability.stub import Stub, hang_up, say, stored_but


def test_each_event_arrives_once_when_it_is_back(tmp_path: Path) -> None:
    """What happened during the outage of a SIEM would be missing there for ever, or stand there twice."""
    world = World().connected()
    world.host.move(v4(77))
    world.run(500)
    assert Event.SESSION_MOVED in {fact.event for fact in world.store.outbox}
    log = a_log(tmp_path / "log", world.story())
    lies = [
        hang_up,
        say(503),
        say(200, b"<html>welcome</html>", "text/html"),
        say(429),
        say(403),
        stored_but(say(500)),
        stored_but(hang_up),
    ]
    with Stub() as stub:
        ship = Ship(log, stub)
        ship.stop_after = 3
        stub.script.extend([hang_up] * 5)
        ship()
        assert not stub.stored
        assert ship.status()["circuit"] != "closed"
        assert ship.status()["retried"]
        stub.script.clear()
        stub.script.extend(lies)
        ship.stop_after = None
        ship()
        told = {event["event_id"] for event in events_of(log)}
        assert {document["event_id"] for document in stub.documents} == told
        assert list(stub.stored.values()) == [1] * len(told)
        assert ship.status()["duplicate"] >= 1
        assert ship.status()["circuit"] == "closed"
    assert verify(log).verdict is Verdict.VERIFIED


def test_other_outputs_take_no_lie_for_an_answer(tmp_path: Path) -> None:
    """A collector that redirects, or takes and does not answer, would swallow what happened."""
    world = World().connected()
    log = a_log(tmp_path / "log", world.story())
    told = [event["hash"] for event in events(log)]
    with OtlpSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["302", "401", "lost", "end", "reset"])
        sending = Sending(log)
        assert sending(sink.destination()).created == len(told)
        assert list(dict.fromkeys(sink.hashes)) == told
        assert sending.status()["retried"]
        assert sending.status()["circuit"] == "closed"
    assert verify(log).verdict is Verdict.VERIFIED
