"""What a session does with what waits for the store, what its records say of before, and what it promises with an ACK."""

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, CloseCode, Event, Reason
from core.session.states import Input, State
from core.values import CompareAndSet, Fact, Output, Route
from core.wire.inner import Ack, encode
from core.wire.inner import parse as parse_inner
from core.wire.layout import Kind
from core.wire.messages import parse_data
from core.wire.records import Close, pack
from lab.sim.device import confirm, here, proven, says
from lab.sim.frames import located, opened
from lab.sim.ways import attached, leave, recovering
from lab.sim.world import World

CLOSE = encode(Kind.CLOSE, pack(Close(CloseCode.GOING)))
HEARD = {Event.SESSION_CHANGED, Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED}


def asking(carrier: Carrier = Carrier.TCP) -> World:
    """Return a world whose store is asked for a move and does not answer; the client does nothing more."""
    world = World(client_policy=ClientPolicy((carrier,))).connected()
    world.host.off = True
    epoch = proven(world, here(world.host, 777))
    world.store.silent = True
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket
    return world


def of_session(world: World) -> list[Fact]:
    """Return the facts of what sessions heard, in order."""
    return [fact for fact in world.story() if fact.event in HEARD]


def test_what_waits_for_the_store_waits_once() -> None:
    """G-50: a device that says the same again and again would fill the memory while the store is slow."""
    world = asking()
    epoch = world.client.committed
    assert epoch
    for _ in range(5):
        says(world, epoch, CLOSE)
    assert [heard for heard, _ in world.session.waiting] == [Input.PEER_CLOSED]
    world.release()
    world.run(20)
    assert world.ends() == [Reason.CLOSED_BY_PEER]


def test_what_waited_is_heard_in_its_order_of_priority() -> None:
    """G-51: what a record says would depend on which of two packets was faster."""
    world = asking()
    epoch, row = world.client.committed, world.store.rows[world.session.handle]
    assert epoch
    says(world, epoch, CLOSE)
    world.host.close(Carrier.TCP)
    assert [heard for heard, _ in world.session.waiting] == [Input.PEER_CLOSED, Input.PATH_CLOSED]
    world.store.rows[row.handle] = row._replace(binding_version=2)  # so that the move is lost, and the session stays where it was
    world.broken = True  # a row that nobody wrote has no evidence
    world.release()
    world.run(20)
    told = [fact.reason for fact in of_session(world)]
    assert told.index(Reason.VERSION_STALE) < told.index(Reason.PATH_CLOSED) < told.index(Reason.CLOSED_BY_PEER)


def test_each_record_names_the_one_before() -> None:
    """G-54: the story of a session would fall into pieces that nobody can put in order."""
    world = leave(World().connected())
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    world.run(limits.SILENCE_NS / limits.MILLISECOND + 100)
    story = of_session(world)
    assert {Reason.HANDSHAKE_COMPLETED, Reason.MOVED_PATH_DEAD, Reason.PATH_SILENT} < {fact.reason for fact in story}
    by_serial = {fact.serial: fact for fact in story}
    assert [fact for fact in story if fact.caused_by not in by_serial] == story[:1]
    assert len({fact.caused_by for fact in story}) == len(story)


def test_a_session_that_comes_back_says_from_where() -> None:
    """R-21: who reads the evidence would not see which path was left, as the session had none in between."""
    world = recovering()
    (silent,) = [fact for fact in of_session(world) if fact.reason is Reason.PATH_SILENT]
    assert (silent.carrier_from, silent.carrier_to) == (Carrier.UDP, 0)
    (left,) = [fact for fact in of_session(world) if fact.reason is Reason.BIRTH_ASKED]
    assert left.carrier_from == 0
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    world.run(20)
    moved = world.store.outbox[-1]
    assert (moved.event, moved.carrier_from, moved.carrier_to) == (Event.SESSION_MOVED, Carrier.UDP, Carrier.UDP)


def test_a_move_that_is_written_routes_the_inner_addresses_here() -> None:
    """D-7: the machine would not send a device's packets into the tunnel."""
    world = asking(Carrier.UDP)
    (ask,) = [ask for ask, _ in world.store.kept if isinstance(ask.operation, CompareAndSet)]
    answer, outputs = world.store.execute(ask), list[Output]()
    world.store.kept = []

    def answered() -> list[Output]:
        outputs.extend(world.gateway.answer([answer], world.now))
        return outputs

    world.gateway_does(answered)
    device = world.host.device
    assert [output for output in outputs if isinstance(output, Route)] == [
        Route(world.session.handle, (device.inner4, device.inner6), up=True)
    ]


@pytest.mark.parametrize("attempt", [limits.ATTEMPT_MAX - 4, limits.ATTEMPT_MAX - 1, limits.ATTEMPT_MAX])
def test_locators_end_with_the_last_attempt(attempt: int) -> None:
    """R-22: a client would be given a locator for a number that no attempt can have, or not the last one."""
    world = attached()
    session, mine = world.session, world.client.committed
    assert session.active
    assert mine
    session.active.attempt = attempt
    before = len(world.sent)
    says(world, mine, confirm(world))
    (frame,) = [sent.frame for sent in world.sent[before:]]
    _, body = parse_inner(opened(mine, frame, parse_data(frame)[1], keep=False))
    minted = [located(world.desk.locators[0], locator) for locator in Ack.unpack(body).locators]
    assert minted == [(session.handle, number) for number in range(attempt + 1, limits.ATTEMPT_MAX + 1)]
    assert session.state is State.ATTACHED


def test_a_refusal_of_a_session_says_after_what_and_under_which_attempt() -> None:
    """D-21: who reads of a refusal would not know under which binding it happened."""
    world = leave(World().connected())
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    world.run(20)
    says(world, epoch, encode(Kind.HEALTH, bytes(80)))
    says(world, epoch, encode(Kind.ACK, Ack(1, world.policy.mtu, bytes(4), bytes(16), bytes(16), ()).pack()))
    (refused,) = [fact for fact in world.facts if fact.event is Event.SESSION_REFUSED]
    assert (refused.reason, refused.attempt, refused.binding_version) == (Reason.UNEXPECTED_MESSAGE, 1, 2)
    assert refused.caused_by == of_session(world)[-1].serial
    world.run(limits.SILENCE_NS / limits.MILLISECOND + 100)
    (silent,) = [fact for fact in of_session(world) if fact.reason is Reason.PATH_SILENT]
    assert silent.attempt == 1
    world.run(limits.RECOVERY_WINDOW_NS / limits.MILLISECOND + 100)
    assert of_session(world)[-1].attempt == 0
