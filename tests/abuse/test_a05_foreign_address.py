"""DATA and CONFIRM from an address to which the epoch is not bound (T-05).

ATTACK
    Somebody on the path takes the client's DATA and sends it from their own address: copies, packets that they held back so that they
    arrive there first, and the CONFIRM of a move. The hints that this brings forth they hand to the client, for ten minutes.

EXPECTED REFUSAL
    The path is judged before window and AEAD [D-5]: nothing is delivered, the window stays, nothing commits [R-20]. The session never
    roams in silence. A genuine packet that is newer than all others gets a hint, one in a second, no longer than the packet [R-40]
    [F-11]. A client that obeys them renews its keys on the bound path, eight times a minute, and counts that for no jump [R-16]; after a
    refusal it obeys none until it may again [C-43].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / UNBOUND_PATH
    SESSION_REFUSED / UNBOUND_PATH
    SESSION_REFUSED / SWITCH_LIMIT
"""

from functools import partial

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, Event, Reason
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import ELSEWHERE, Seen, captured, from_elsewhere, let_pass, own_path, untouched, withhold


def test_copies() -> None:
    """Whoever copies one packet would draw the session's traffic to themselves."""
    world = World().connected()
    world.host.say()
    world.run(20)
    with untouched(world) as seen:
        for frame in captured(world, "DATA"):
            world.inject(frame, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert set(seen.refusals(Event.TRAFFIC_REFUSED)) == {Reason.UNBOUND_PATH}


def test_packets_that_were_held_back() -> None:
    """The first to arrive would be taken for the client, or make the gateway refuse the client's own copy."""
    world = World().connected()
    withhold(world, "DATA")
    before = len(captured(world, "DATA"))
    for _ in range(5):
        world.host.say(b"held back")
    held = captured(world, "DATA")[before:]
    with untouched(world) as seen:
        for frame in held:
            world.inject(frame, from_elsewhere(own_path(world.host)))
        (hint,) = seen.answers()
        assert hint.path == from_elsewhere(own_path(world.host))
        assert len(hint.frame) <= min(map(len, held))
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.UNBOUND_PATH: 1}
        assert seen.refusals(Event.TRAFFIC_REFUSED) == {Reason.UNBOUND_PATH: 4}
    let_pass(world)
    for frame in held:
        world.inject(frame, own_path(world.host))
    assert len(world.delivered) == 5


def test_the_confirm_of_a_move() -> None:
    """The one durable write of a move would be asked for by somebody who cannot receive what follows."""
    world = World().connected()
    before = len(captured(world, "CONFIRM"))
    withhold(world, "CONFIRM")
    world.host.move(v4(77))
    world.run_until(lambda: len(captured(world, "CONFIRM")) > before)
    with untouched(world) as seen:
        asked = len(world.store.asked)
        world.inject(captured(world, "CONFIRM")[before], from_elsewhere(own_path(world.host)))
        assert len(world.store.asked) == asked
        assert not seen.answers()
        assert seen.refusals() == {Reason.UNBOUND_PATH: 1}


@pytest.mark.parametrize("resting_s", [0, 75])
def test_hints_that_are_relayed(resting_s: int) -> None:
    """A copy of one packet a second would use up what a jump needs, or what new keys need until the old ones are too old."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,))).connected()
    host, session, life, last = world.host, world.session, world.client.life, [world.now]
    assert life
    oldest = [0]

    def network(sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        resting = resting_s and (world.now // limits.SECOND) % (60 + resting_s) >= 60
        if sender == "client" and kind == "DATA" and not resting and world.now - last[0] > limits.HINT_INTERVAL_NS:
            last[0], before = world.now, len(world.sent)
            world.inject(frame, from_elsewhere(own_path(host)))
            for sent in world.sent[before:]:
                if sent.path.remote == ELSEWHERE:
                    world.later(partial(host.hears, sent.frame, host.paths[1]))
        return (0,)

    def chat() -> None:
        host.chat()
        assert session.active
        oldest[0] = max(oldest[0], world.now - session.active.born)
        assert life.next in life.locators

    seen, down = Seen(world, None), len(host.down)
    world.network = network
    world.run(600_000, chat, step_ms=100)
    assert len(host.down) - down >= 6_000 - 2, "not a packet is missing"
    assert oldest[0] < limits.REKEY_AFTER_NS + limits.SECOND
    assert seen.refusals(Event.SESSION_REFUSED).keys() == {Reason.UNBOUND_PATH, Reason.SWITCH_LIMIT}
    assert set(world.client_reasons(Event.CLIENT_MOVED)) <= {Reason.MOVED_HINTED, Reason.REKEYED}
    assert {name for _, name in session.moves} == {"rekey"}
    for number in range(limits.FORCED_PER_MINUTE):
        host.move(v4(100 + number))
        world.run(50, host.chat, step_ms=10)
        assert world.attached()
    assert world.client.life is life
