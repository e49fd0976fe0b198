"""What documents of keys do to a gateway: who may come in, whose sessions end, and which rows become tombstones."""

import pytest

from core import limits
from core.reasons import Event, Reason
from core.values import ROW_LIVE, ROW_TOMBSTONE, Admission, AllowList, Answer, Live, Outcome, Tombstone
from lab.sim.frames import v4
from lab.sim.world import World

STALE = Admission(Reason.REVOCATIONS_STALE)


def ordered(world: World, order: Admission | AllowList) -> World:
    """Give the gateway an order."""
    world.gateway_does(lambda: world.gateway.command(order, world.now))
    world.run(50)
    return world


def revoking(world: World) -> Admission:
    """Return the order that revokes the first host's key."""
    return Admission(None, {world.host.device.public: Reason.KEY_REVOKED})


def states(world: World) -> list[int]:
    """Return the states of all rows."""
    return [row.state for row in world.store.rows.values()]


def refused(world: World) -> set[Reason]:
    """Return why traffic was refused, all summaries counted."""
    world.run(11_000)
    return set(world.reasons(Event.TRAFFIC_REFUSED))


def test_while_nothing_fresh_is_known_nobody_new_comes_in() -> None:
    """[K-30] Whoever withholds the list of revocations lets revoked devices in; or the refusal has no reason, or an answer on the wire."""
    world = ordered(World(), STALE)
    world.host.connect(2_000)
    assert not world.attached()
    assert world.kinds("gateway") == []
    assert refused(world) == {Reason.REVOCATIONS_STALE}
    assert not world.store.rows
    ordered(world, Admission())
    world.new_host(like=world.host).connect()
    assert states(world) == [ROW_LIVE]


def test_while_nothing_fresh_is_known_nobody_moves_and_live_sessions_go_on() -> None:
    """[K-30] A stolen device jumps on while its revocation is withheld; or everybody is thrown out because a list is late."""
    world = ordered(World().connected(), STALE)
    session = world.session
    world.run(3_000, world.host.chat)
    assert world.session is session
    assert world.attached()
    before = len(world.sent)
    world.host.move(v4(99))
    world.run(1_000)
    assert "REATTACH" in [sent.kind for sent in world.sent[before:]]
    assert "REATTACH_RESP" not in [sent.kind for sent in world.sent[before:]]
    assert Reason.REVOCATIONS_STALE in refused(world)
    ordered(world, Admission())
    world.run(3_000)
    assert world.attached()
    assert world.session is session
    ordered(world, STALE)
    world.run(limits.REJECT_AFTER_NS // limits.MILLISECOND + 5_000, world.host.chat, step_ms=100)
    assert not world.attached(), "its keys are not renewed while nothing fresh is known"
    ordered(world, Admission())
    world.run(60_000, world.host.chat, step_ms=100)
    assert world.attached()
    assert world.session is session, "the session waited"


def test_a_revoked_device_does_not_come_in_again() -> None:
    """[K-34] A device that is on both lists, the allowed and the revoked, makes a new session."""
    world = ordered(World(), revoking(World()))
    assert world.host.device.public in world.desk.admission.ended
    world.host.connect(2_000)
    assert not world.attached()
    assert refused(world) == {Reason.KEY_REVOKED}


def test_who_is_shut_out_keeps_the_session_and_begins_nothing() -> None:
    """[K-35] A clock that is set forward throws a device out for good; or a device whose time is over makes a session, or moves one."""
    world = World().connected()
    session = world.session
    ordered(world, Admission(shut={world.host.device.public: Reason.KEY_OUTDATED}))
    world.run(1_000, world.host.chat)
    assert world.session is session
    assert world.attached()
    assert not world.reasons(Event.SESSION_ENDED)
    before = len(world.sent)
    world.host.move(v4(99))
    world.run(1_000)
    assert "REATTACH_RESP" not in [sent.kind for sent in world.sent[before:]]
    assert states(world) == [ROW_LIVE]
    assert Reason.KEY_OUTDATED in refused(world)
    other = ordered(World(), Admission(shut={World().host.device.public: Reason.KEY_OUTDATED}))
    other.host.connect(2_000)
    assert not other.attached()
    assert refused(other) == {Reason.KEY_OUTDATED}


def test_rows_of_sessions_that_nobody_holds_become_tombstones() -> None:
    """[K-34] After a restart a revoked device's sessions live on in the store, for the gateway that reads it next."""
    world = World().connected()
    world.start_gateway()
    assert states(world) == [ROW_LIVE]
    ordered(world, revoking(world))
    assert states(world) == [ROW_TOMBSTONE]
    assert world.store.outbox[-1].reason is Reason.KEY_REVOKED
    assert world.store.outbox[-1].device == world.host.device.public


def test_rows_of_a_device_that_leaves_the_allow_list_become_tombstones() -> None:
    """[K-34] The same for a device that was taken off the list."""
    world = World().connected()
    world.start_gateway()
    ordered(world, AllowList({}))
    assert states(world) == [ROW_TOMBSTONE]
    assert world.reasons(Event.SESSION_ENDED) == [Reason.KEY_REVOKED]


def test_a_row_that_is_read_meanwhile_is_refused() -> None:
    """[K-34] A REATTACH that is faster than the tombstone takes a revoked device's session up again."""
    world = World().connected()
    world.start_gateway()
    world.store.silent = True
    ordered(world, revoking(world))
    world.host.move(v4(99))
    world.store.kept = []  # the questions about rows are lost; the next reads are answered
    world.release()
    world.run(1_000)
    assert not world.desk.sessions
    assert Reason.KEY_REVOKED in refused(world)


def test_a_row_whose_session_is_held_is_ended_by_its_session_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-34] An end that the store did not take at once would be asked for twice, and recorded under two names."""
    world = World().connected()
    execute = world.store.execute
    monkeypatch.setattr(
        world.store, "execute", lambda ask: Answer(ask.ticket, Outcome.FAILED) if isinstance(ask.operation, Tombstone) else execute(ask)
    )
    ordered(world, revoking(world))
    asked = [ask.operation for ask in world.store.asked if isinstance(ask.operation, Live | Tombstone)]
    assert [type(each) for each in asked] == [Tombstone, Live]
    monkeypatch.undo()
    world.run(limits.TOMBSTONE_RETRY_NS / limits.MILLISECOND + 50)
    assert states(world) == [ROW_TOMBSTONE]
    assert world.reasons(Event.SESSION_ENDED) == [Reason.KEY_REVOKED]


def test_a_store_that_fails_is_asked_again_and_one_that_answered_is_not() -> None:
    """[K-34] Rows outlive the revocation when the store was away for a moment; or it is asked the same for ever."""
    world = World().connected()
    world.start_gateway()
    world.store.failing = True
    ordered(world, revoking(world))
    world.store.failing = False
    assert states(world) == [ROW_LIVE]
    for _ in range(3):
        ordered(world, revoking(world))
    assert states(world) == [ROW_TOMBSTONE]
    assert sum(isinstance(ask.operation, Live) for ask in world.store.asked) == 2
    ordered(world, Admission())
    ordered(world, revoking(world))
    assert sum(isinstance(ask.operation, Live) for ask in world.store.asked) == 3


@pytest.mark.parametrize("reason", [Reason.KEY_REVOKED, Reason.KEY_OUTDATED])
def test_a_gateway_whose_own_key_is_over_ends_all(reason: Reason) -> None:
    """[K-34] [G-38] Sessions under a gateway's key that others hold go on."""
    world = World().connected()
    ordered(world, Admission(reason, {world.static.public: reason}))
    assert world.reasons(Event.SESSION_ENDED) == [reason]
    assert states(world) == [ROW_TOMBSTONE]
    assert not any(isinstance(ask.operation, Live) for ask in world.store.asked)
    world.new_host(like=world.host).connect()
    assert not world.attached()
    assert reason in refused(world)
