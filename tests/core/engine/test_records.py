"""What the gateway's records say: from where, how often, after what, and at which version."""

from collections.abc import Callable
from typing import Final

import pytest

from core import limits
from core.reasons import Event, Reason, Status
from core.session.states import State
from core.values import AllowList, Fact, Path
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Hint, pack
from lab.sim.device import arrive, here, inner_ip, knock, says
from lab.sim.frames import there
from lab.sim.ways import forgotten, leave
from lab.sim.world import MS, World
from tests.core.engine.test_bursts import sealed
from tests.core.engine.test_handshake import born


def malformed(world: World) -> Path:
    """Let the device say something that is no inner frame; return from where."""
    assert world.client.committed
    says(world, world.client.committed, b"\x63" + bytes(15))
    return here(world.host)


def unexpected(world: World) -> Path:
    """Let the device say what only a gateway says; return from where."""
    assert world.client.committed
    says(world, world.client.committed, encode(Kind.HINT, pack(Hint(Change.MOVE))))
    return here(world.host)


def replayed(world: World) -> Path:
    """Let a copy of an attempt arrive from elsewhere; return from where."""
    attempt = knock(world.host, here(world.host, 777))
    arrive(world, attempt.frame, attempt.path)
    arrive(world, attempt.frame, here(world.host, 778))
    return here(world.host, 778)


REFUSALS: Final[dict[Reason, Callable[[World], Path]]] = {
    Reason.INNER_MALFORMED: malformed,
    Reason.UNEXPECTED_MESSAGE: unexpected,
    Reason.REATTACH_REPLAYED: replayed,
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_of_a_session_says_from_where(reason: Reason) -> None:
    """D-21: who reads of an attack with a device's keys, or with copies of its messages, would not know where it came from."""
    world = leave(World().connected())
    source = REFUSALS[reason](world)
    refused = [(fact.reason, fact.remote, fact.times) for fact in world.facts if fact.event is Event.SESSION_REFUSED]
    assert refused == [(reason, there(source).remote, 1)]


def test_a_refused_handshake_is_recorded_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit would count more refusals than there were handshakes."""
    monkeypatch.setattr(limits, "BIRTHS_PER_MINUTE", 2)
    world = World()
    assert [born(world) for _ in range(4)] == [None, None, Status.LIMIT_SESSIONS, Status.LIMIT_SESSIONS]
    refused = [fact for fact in world.facts if fact.event is Event.HANDSHAKE_REFUSED]
    assert [(fact.times, fact.device) for fact in refused] == [(1, world.host.device.public)] * 2


def test_a_hint_hides_nothing_that_came_before_it() -> None:
    """R-40, D-20: who puts a copied packet behind a forged one would keep the forgery out of the record."""
    world = leave(World().connected())
    epoch, elsewhere = world.client.committed, there(here(world.host, 777))
    assert epoch
    frame = sealed(epoch, inner_ip(world.host, b"copied"))
    forged, before = b"\x04\0\0\0" + bytes(4) + frame[8:], len(world.sent)
    world.gateway_does(lambda: world.gateway.receive([forged, frame], elsewhere, world.now))
    assert [sent.path for sent in world.sent[before:]] == [elsewhere], "the hint"
    assert world.reasons(Event.TRAFFIC_REFUSED) == [Reason.INDEX_UNKNOWN]
    assert world.reasons(Event.SESSION_REFUSED) == [Reason.UNBOUND_PATH]


def test_the_first_record_of_a_session_is_named_by_the_second() -> None:
    """G-54: what a birth follows from, the proven handshake, would be missing from the story."""
    world = leave(World().connected())
    proof, birth, *_ = [fact for fact in world.story() if fact.handle == world.session.handle]
    assert (proof.reason, proof.caused_by) == (Reason.HANDSHAKE_PROVEN, 0)
    assert birth.caused_by == proof.serial


def end(world: World) -> Fact:
    """Return the one record of an end in the store."""
    (ended,) = [fact for fact in world.store.outbox if fact.event is Event.SESSION_ENDED]
    return ended


def test_the_end_of_a_row_that_nobody_holds_follows_from_no_record() -> None:
    """[K-34] H-50: an end would be told as the consequence of a record that has nothing to do with it, or not be writable at all."""
    world = World().connected()
    world.start_gateway()
    world.gateway_does(lambda: world.gateway.command(AllowList({}), world.now))
    world.run(50)
    assert (end(world).reason, end(world).caused_by) == (Reason.KEY_REVOKED, 0)
    world = forgotten()
    world.run(limits.BOUND_NS // MS + 2_000)
    world.new_host(like=world.host).connect()
    assert (end(world).reason, end(world).caused_by) == (Reason.SUPERSEDED, 0)


def test_the_end_of_a_superseded_session_is_its_next_version() -> None:
    """G-36: the story of a session that made room for another would have a gap, as if a record had been taken away."""
    world = World().connected()
    for _ in range(3):
        world.new_host(like=world.host).connect()
    world.host.off = True
    world.run_until(lambda: any(each.active is None for each in world.desk.sessions.values()))
    (session,) = [each for each in world.desk.sessions.values() if each.active is None]
    version = session.version
    world.new_host(like=world.host).connect()
    assert session.state is State.TERMINATED
    assert (end(world).handle, end(world).state_version) == (session.handle, version + 1)
    assert session.version == version + 1
