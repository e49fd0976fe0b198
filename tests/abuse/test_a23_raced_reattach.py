"""A REATTACH is raced (T-23).

ATTACK
    Somebody on the path copies the client's REATTACH and is the first to deliver it, from their own address: once, or each one. Or they
    lead the answer on to the client, and race its CONFIRM as well; or deliver it, or an INIT, over another carrier than it states.

EXPECTED REFUSAL
    They get an answer that they cannot use: only the client has the keys that CONFIRM needs [R-20]. The client's own copy is a replay
    [R-31] until the candidate is gone; its next attempt wins [R-17] [R-55] [R-56]. Who races CONFIRM too has the session bound to their
    address, in evidence, until that attempt: they get sealed packets that they cannot read. Nobody reads or ends anything; a move is
    delayed. What states another carrier is refused in silence, and the genuine message counts as if there were no copy [R-18] [H-29].

EXPECTED EVIDENCE
    SESSION_REFUSED / REATTACH_REPLAYED
    SESSION_MOVED / MOVED_ADDRESS_CHANGED
    TRAFFIC_REFUSED / TRANSPORT_MISMATCH
"""

from functools import partial

import pytest

from core.client.contact import ClientPolicy
from core.reasons import Carrier, Event, Reason
from core.values import Path
from lab.sim.frames import v4
from lab.sim.world import GATEWAY_AT, World
from tests.abuse.attack import ELSEWHERE, Seen, from_elsewhere, own_path
from tests.core.exposed import laid_open


@pytest.mark.parametrize("carriers", [(Carrier.UDP,), (Carrier.UDP, Carrier.TCP)], ids=["one carrier", "two carriers"])
@pytest.mark.parametrize("copies", [1, 10**6])
def test_a_move_is_delayed_and_nothing_else(copies: int, carriers: tuple[Carrier, ...]) -> None:
    """One copied message would be enough to end a session, or to draw its traffic off."""
    world = World(client_policy=ClientPolicy(carriers=carriers)).connected()
    host, session, left = world.host, world.session, [copies]

    def race(_sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if kind == "REATTACH" and left[0]:
            left[0] -= 1
            world.inject(frame, from_elsewhere(own_path(host)))
        return (0,)

    host.close(1)
    host.address = v4(77)
    world.network = race
    host.dial(1)
    world.run(10_000, host.chat)
    assert Reason.REATTACH_REPLAYED in world.reasons(Event.SESSION_REFUSED)
    assert ELSEWHERE not in {fact.remote for fact in world.store.outbox}
    assert not [sent for sent in world.sent if sent.path.remote == ELSEWHERE and sent.kind not in {"REATTACH_RESP", "RESP"}]
    assert host.client.life
    if copies == 1:  # who never stops makes the client begin anew
        assert world.gateway.session_for(host.device.inner4) == session.handle
        assert host.client.life.session_id.expose() == laid_open(session.secrets)[0]
    assert world.attached()


def test_who_races_the_confirmation_too_is_bound_until_the_next_attempt() -> None:
    """A log would be read as saying where the client was, when it says only where its frames came from."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,))).connected()
    host, life, left = world.host, world.client.life, {"REATTACH": 1, "CONFIRM": 1}

    def race(sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if sender == "client" and left.get(kind):
            left[kind] -= 1
            before = len(world.sent)
            world.inject(frame, from_elsewhere(own_path(host)))
            for sent in world.sent[before:]:
                if sent.kind == "REATTACH_RESP":  # led on to the client, who takes it for an answer to its own copy
                    world.later(partial(host.hears, sent.frame, host.paths[Carrier.UDP]))
        return (0,)

    world.network = race
    host.close(Carrier.UDP)
    host.address = v4(77)
    before = len(host.down)
    host.dial(Carrier.UDP)
    world.run_until(lambda: len(host.down) > before, 10_000, host.chat)
    moves = [(fact.reason, fact.remote == ELSEWHERE) for fact in world.store.outbox if fact.event is Event.SESSION_MOVED]
    assert moves == [(Reason.MOVED_ADDRESS_CHANGED, True), (Reason.MOVED_HINTED, False)]
    assert host.client.life is life
    assert world.session.active
    assert world.session.active.path.remote.address == v4(77)


def relay(world: World, kind: str) -> None:
    """Copy each message of a kind over TCP, to arrive first, and hand the client every answer on its own path."""
    copier = Path(Carrier.TCP, 999, GATEWAY_AT, ELSEWHERE)

    def network(_sender: str, what: str, frame: bytes) -> tuple[int, ...]:
        if what == kind:
            before = len(world.sent)
            world.inject(frame, copier)
            for sent in world.sent[before:]:
                if sent.path == copier:
                    world.later(partial(world.host.hears, sent.frame, world.host.paths[1]))
        return (0,)

    world.network = network


def test_a_handshake_over_another_carrier() -> None:
    """One copied INIT would bring forth a proven refusal, which ends the client's try."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,)))
    seen = Seen(world, None)
    relay(world, "INIT")
    world.host.connect(200)
    assert world.attached()
    assert seen.refusals() == {Reason.TRANSPORT_MISMATCH: 1}
    assert not [sent for sent in world.sent if sent.path.remote == ELSEWHERE]


def test_a_reattach_over_another_carrier() -> None:
    """A copy of each attempt would keep the session without a path for a minute, as long as the client is told to wait."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,))).connected()
    life, seen = world.client.life, Seen(world, None)
    relay(world, "REATTACH")
    for number in range(5):
        world.host.move(v4(77 + number))
        world.run(100, world.host.chat)
        assert world.attached()
    assert world.client.life is life
    assert seen.refusals() == {Reason.TRANSPORT_MISMATCH: 5}
    assert not [sent for sent in world.sent if sent.path.remote == ELSEWHERE]
