"""Keys age: they are replaced while in use, refused when too old, and their end is not the session's."""

import pytest

from core import limits
from core.client.states import State as ClientState
from core.reasons import Carrier, Cause, Event, Reason, Status
from core.session.states import State
from core.values import Instant
from core.wire.layout import Change
from lab.sim.device import arrive, confirm, here, inner_ip, judged, knock, payloads, says
from lab.sim.frames import there
from lab.sim.ways import leave
from lab.sim.world import MS, World

REKEY_MS, REJECT_MS = limits.REKEY_AFTER_NS // MS, limits.REJECT_AFTER_NS // MS


def test_keys_in_use_are_replaced_after_two_minutes_without_a_gap() -> None:
    """A long session would stay under one key, or stutter every two minutes."""
    world = World().connected()
    numbers = iter(range(10**6))
    first = world.session.active
    world.run(REKEY_MS - 200, lambda: world.host.say(next(numbers).to_bytes(4, "big")), step_ms=100)
    assert world.session.active is first
    world.run(400, lambda: world.host.say(next(numbers).to_bytes(4, "big")), step_ms=10)
    assert world.session.active is not first
    world.run(50)
    assert payloads(world) == [number.to_bytes(4, "big") for number in range(next(numbers))]
    assert world.reasons(Event.SESSION_MOVED) == [Reason.REKEYED]
    assert world.client_reasons(Event.CLIENT_MOVED) == [Reason.REKEYED]
    assert not world.reasons(Event.MOVE_MEASURED), "a rekey is not a move"


def test_a_client_that_only_receives_is_told_to_replace_its_keys() -> None:
    """A download would break off after three minutes."""
    world = World().connected()
    world.run(REKEY_MS + 3_000, world.host.tell, step_ms=200)
    assert Reason.REKEYED in world.reasons(Event.SESSION_MOVED)
    assert Reason.KEY_AGED in world.client_reasons(Event.CLIENT_CHANGED)
    assert world.client.state is ClientState.ATTACHED


def test_keys_that_nobody_uses_expire_and_the_session_goes_on() -> None:
    """An idle session would end with its keys, or come back under keys that are too old."""
    world = World().connected()
    correlation = world.session.correlation
    world.run(REJECT_MS + 1_000)
    assert Reason.KEY_EXPIRED in world.reasons(Event.SESSION_CHANGED)
    assert Reason.KEY_EXPIRED in world.client_reasons(Event.CLIENT_CHANGED)
    world.run(1_000)
    assert world.attached()
    assert world.session.correlation == correlation


def test_under_keys_that_are_too_old_the_gateway_opens_and_seals_nothing() -> None:
    """Keys would be in use for as long as their holder likes."""
    world = leave(World().connected())
    epoch, handle = world.client.committed, world.session.handle
    assert epoch
    while world.now < epoch.born + limits.REJECT_AFTER_NS - 10_000 * MS:
        world.run(5_000)
        says(world, epoch, inner_ip(world.host, b"alive"))
    count = len(world.delivered)
    world.now = Instant(world.now + 30_000 * MS)
    before = len(world.sent)
    world.gateway_does(lambda: world.gateway.send(handle, [b"E" + bytes(19)], world.now))
    says(world, epoch, inner_ip(world.host, b"too old"))
    assert len(world.sent) == before
    assert len(world.delivered) == count
    assert world.session.state is State.RECOVERING


def test_under_keys_that_are_too_old_the_gateway_opens_and_seals_nothing_while_a_commit_is_asked() -> None:
    """D-8: a slow store would lengthen the life of keys, as their clock is not judged until its answer."""
    world = leave(World().connected())
    old, session = world.client.committed, world.session
    assert old
    while world.now < old.born + limits.REJECT_AFTER_NS - 1_000 * MS:
        world.run(500)
        says(world, old, inner_ip(world.host, b"alive"))
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    epoch, _, _ = judged(world, attempt, arrive(world, attempt.frame, path))
    assert epoch
    world.store.silent = True
    says(world, epoch, confirm(world))
    world.run(1_500)
    assert session.commit_ticket
    delivered, sent = len(world.delivered), len(world.sent)
    says(world, old, inner_ip(world.host, b"too old"))
    world.host.tell()
    assert (len(world.delivered), len(world.sent)) == (delivered, sent)
    assert Reason.KEY_EXPIRED in world.reasons(Event.TRAFFIC_REFUSED)


def test_a_hint_to_move_does_not_hide_the_hint_to_rekey() -> None:
    """R-40: whoever copies a packet a second would keep a client that only receives from renewing its keys."""
    world = leave(World().connected())
    epoch, path = world.client.committed, here(world.host)
    assert epoch
    while world.now <= epoch.born + limits.REKEY_AFTER_NS:
        world.run(1_000)
        says(world, epoch, inner_ip(world.host, b"alive"))
    (hint,) = says(world, epoch, inner_ip(world.host, b"copied"), here(world.host, 777))
    before = len(world.sent)
    world.host.tell()
    assert next(len(sent.frame) for sent in world.sent[before:] if sent.path == there(path)) == len(hint)
    before = len(world.sent)
    world.host.tell()
    assert len(hint) not in [len(sent.frame) for sent in world.sent[before:]], "once a second"


def test_under_keys_that_are_too_old_the_client_opens_and_seals_nothing() -> None:
    """The same at the other end, where the old epoch is kept until another is found."""
    world = World().connected()
    theirs, path = world.session.active, world.host.paths[1]
    assert theirs
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.run(REJECT_MS - 1_000, world.host.say, step_ms=1_000)
    before = world.kinds("client").count("DATA")
    world.host.say()
    assert world.kinds("client").count("DATA") == before + 1
    world.run(2_000)
    world.host.say()
    assert world.kinds("client").count("DATA") == before + 1
    ((frame,),) = [run.frames for run in theirs.seal([inner_ip(world.host, b"too old")])]
    world.host.hears(frame, path)
    assert not world.host.down
    assert Reason.KEY_EXPIRED in world.client_reasons(Event.TRAFFIC_REFUSED)


def test_a_rekey_that_the_store_does_not_take_costs_no_attempts() -> None:
    """During an outage of the store a client would use up its numbers within seconds, and so its session."""
    world = World().connected()
    correlation = world.session.correlation
    world.run(REKEY_MS - 1_000, world.host.say, step_ms=500)
    world.store.failing = True
    world.run(60_000, world.host.say, step_ms=100)
    assert world.client.life
    assert world.client.life.next < limits.LOCATORS_PER_ACK
    world.store.failing = False
    world.run(2 * limits.PATIENCE_NS // MS, world.host.say, step_ms=100)
    assert world.attached()
    assert world.session.correlation == correlation


def test_without_attempts_left_the_clock_does_not_spin() -> None:
    """A client that cannot rekey would busy its processor, and fill its log, for a minute."""
    world = World().connected()
    assert world.client.life
    world.client.life.locators.clear()
    before = len(world.host.facts)
    world.run(REJECT_MS + 3_000, world.host.say, step_ms=500)
    assert len(world.host.facts) - before < 60
    assert world.attached()


@pytest.mark.parametrize("late_ms", [0, 4_000])
def test_a_rekey_that_is_never_confirmed_does_not_degrade_the_session(late_ms: int) -> None:
    """Whoever loses a CONFIRM would lose a healthy session."""
    world = leave(World().connected())
    epoch = world.client.committed
    assert epoch
    path = here(world.host)
    attempt = knock(world.host, path, change=Change.REKEY, cause=Cause.REKEY)
    assert judged(world, attempt, arrive(world, attempt.frame, path))[1] is Status.OK
    world.run(late_ms)
    says(world, epoch, inner_ip(world.host, b"still here"))
    assert payloads(world) == [b"still here"]
    assert world.session.state is State.ATTACHED
    world.run(limits.CANDIDATE_NS // MS + 1 - late_ms)
    assert world.session.candidate is None
    assert world.session.state is State.ATTACHED
    assert Reason.CANDIDATE_EXPIRED in world.reasons(Event.SESSION_CHANGED)


def test_a_lost_ack_is_said_again() -> None:
    """A client whose ACK was lost would have no locators, and so no next move."""
    world = leave(World().connected())
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    epoch, _, _ = judged(world, attempt, arrive(world, attempt.frame, path))
    assert epoch
    says(world, epoch, confirm(world))
    world.run(10)
    before = world.kinds("gateway").count("ACK")
    facts = world.session.facts()
    says(world, epoch, confirm(world))
    assert world.kinds("gateway").count("ACK") == before + 1
    assert world.session.facts() == facts
