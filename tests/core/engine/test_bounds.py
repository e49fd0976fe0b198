"""Bounds at their very instant: one nanosecond, one second or one question before and after each."""

from typing import Final

import pytest

from core import limits
from core.client.states import State as ClientState
from core.reasons import CloseCode, Event, Reason, Status
from core.session.states import State
from core.values import CloseSession, Get, Instant, Tombstone
from core.wire.inner import encode
from core.wire.layout import Kind
from core.wire.records import Close, pack
from lab.sim.device import arrive, confirm, here, inner_ip, knock, proven, says
from lab.sim.ways import forgotten, leave
from lab.sim.world import MS, World
from tests.core.engine.test_handshake import born
from tests.core.engine.test_store import asked

SECOND: Final = limits.SECOND


def at(world: World, now: int) -> None:
    """Go to an instant; the session was heard just then."""
    world.now = world.session.heard_at = Instant(now)


def test_keys_are_too_old_at_the_instant_of_their_limit() -> None:
    """D-8: an epoch that nobody ends while the store is asked would open packets for longer than its peer may seal them."""
    world = leave(World().connected())
    old, active = world.client.committed, world.session.active
    assert old
    assert active
    limit = active.born + limits.REJECT_AFTER_NS
    at(world, limit - SECOND)
    epoch = proven(world, here(world.host, 777))
    world.store.silent = True
    says(world, epoch, confirm(world))
    world.now = Instant(limit - 1)
    says(world, old, inner_ip(world.host, b"old"))
    assert len(world.delivered) == 1
    world.now = Instant(limit)
    says(world, old, inner_ip(world.host, b"too old"))
    assert len(world.delivered) == 1
    assert world.reasons(Event.TRAFFIC_REFUSED) == [Reason.KEY_EXPIRED]


def test_hints_to_rekey_are_one_second_apart_and_not_more() -> None:
    """R-40: a client that lost one hint would wait longer for the next than the protocol says, or hear one with each packet."""
    world = leave(World().connected())
    session = world.session
    assert session.active
    first, hints = session.active.born + limits.REKEY_AFTER_NS + 1, []
    for now in (first, first + limits.HINT_INTERVAL_NS - 1, first + limits.HINT_INTERVAL_NS):
        at(world, now)
        before = len(world.sent)
        world.gateway_does(lambda: world.gateway.send(session.handle, [], world.now))
        hints.append(len(world.sent) - before)
    assert hints == [1, 0, 1]


def test_a_birth_counts_for_a_minute() -> None:
    """H-28: a device that waited as long as it was told would be refused again, until its second birth is a minute old too."""
    world = World()
    assert [born(world) for _ in range(limits.BIRTHS_PER_MINUTE)] == [None] * limits.BIRTHS_PER_MINUTE
    first = min(fact.at for fact in world.store.outbox if fact.event is Event.SESSION_ENDED)
    world.now = Instant(first + limits.MINUTE - 1)
    assert born(world) is Status.LIMIT_SESSIONS
    world.now = Instant(first + limits.MINUTE)
    assert born(world) is None


def test_a_handshake_that_the_store_is_asked_for_makes_no_room() -> None:
    """H-22: of two handshakes of a device one waits for the store; a third would stop the gateway, or end the birth that is under way."""
    world = World()
    world.store.silent = True
    assert born(world) is None
    assert born(world, over=False) is None
    birth, spare = world.desk.sessions.values()
    assert birth.commit_ticket
    assert born(world, over=False) is None
    assert spare.state is State.TERMINATED
    assert birth.state is State.PENDING
    assert len(world.desk.sessions) == limits.PENDING_PER_DEVICE == len(world.gateway._front.counts)


def test_a_question_that_the_store_left_open_counts_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-13: a store that swallows questions would keep others from theirs for longer than one is waited for; or not for as long."""
    monkeypatch.setattr(limits, "LOADS_MAX", 1)
    world = World().connected()
    frames = [knock(world.host, here(world.host)).frame for _ in range(3)]
    world.start_gateway()
    world.host.off = world.store.silent = True
    begin, counts = world.now, []
    for after, frame in zip((0, limits.STORE_TIMEOUT_NS - 1, limits.STORE_TIMEOUT_NS), frames, strict=True):
        world.now = Instant(begin + after)
        arrive(world, frame, here(world.host))
        counts.append(asked(world, Get))
    assert counts == [1, 1, 2]


def test_a_session_that_nobody_holds_is_not_ended_in_the_last_second_of_its_bound() -> None:
    """H-50: rows know whole seconds; the session of one that was written late in its second would be ended while it is in use elsewhere."""
    world = forgotten()
    begin = world.now - world.now % SECOND
    assert {row.born for row in world.store.rows.values()} == {world.desk.wall_s(Instant(begin))}
    early, late = (world.new_host(like=world.host) for _ in range(2))
    world.now = Instant(begin + limits.BOUND_NS)
    early.connect()
    assert early.client.state is ClientState.CLOSED
    assert world.reasons(Event.SESSION_ENDED) == []
    world.now = Instant(begin + limits.BOUND_NS + SECOND)
    late.connect()
    assert late.client.state is ClientState.ATTACHED
    assert world.reasons(Event.SESSION_ENDED) == [Reason.SUPERSEDED]


def test_an_end_is_asked_again_through_the_last_second_of_its_row() -> None:
    """An end would be given up, with no evidence of it, while the row is there."""
    world = leave(World().connected())
    session, world.store.failing = world.session, True
    world.gateway_does(lambda: world.gateway.command(CloseSession(session.handle), world.now))
    session.expires = world.desk.wall_s(world.now)
    world.run(20)
    assert world.desk.wall_s(world.now) == session.expires
    assert session.handle in world.desk.sessions
    world.store.failing = False
    world.run(limits.TOMBSTONE_RETRY_NS // MS + 50)
    assert asked(world, Tombstone) == 2
    assert world.reasons(Event.SESSION_ENDED) == [Reason.CLOSED_BY_OPERATOR]


def test_what_is_heard_again_and_again_arms_no_more_clocks() -> None:
    """A device that repeats itself while the store is asked would fill the gateway's memory, one clock a packet."""
    world = leave(World().connected())
    epoch, close = world.client.committed, encode(Kind.CLOSE, pack(Close(CloseCode.GOING)))
    assert epoch
    world.run(6_000)  # past the clocks of its birth, so that the store's is the next
    candidate = proven(world, here(world.host, 777))
    world.store.silent = True
    says(world, candidate, confirm(world))
    says(world, epoch, close)
    clocks = len(world.gateway._heap)
    for _ in range(100):
        says(world, epoch, close)
    assert len(world.gateway._heap) == clocks
