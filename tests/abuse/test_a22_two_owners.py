"""Two gateways on one store speak for one session (T-22).

ATTACK
    An old gateway process hangs, and a new one has taken its sessions; the network goes on leading some packets to the old one, which
    believes that nothing has happened, and whose clocks go on. Or somebody leads a copied REATTACH to a second gateway, which then holds a
    session that it never owned.

EXPECTED REFUSAL
    A move is won by the first that writes the next version [R-21] [O-6]. The other loses, is fenced, and stops at once [G-37], in
    silence: it must not end for the client what another owns. Its own clocks end only what it owns [G-55] [O-7], and a birth there ends
    no session that another may have bound [H-50].

EXPECTED EVIDENCE
    SESSION_CHANGED / OWNER_FENCED
    SESSION_CHANGED / TAKEN_OVER
"""

from core import limits
from core.client.attempts import Attempt
from core.client.states import State as ClientState
from core.engine.gateway import Gateway
from core.reasons import Cause, Event, Reason
from core.session.desk import Desk
from core.session.states import State
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.messages import parse
from core.wire.records import Confirm, ReattachResp, pack
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, from_elsewhere, let_pass, own_path, withhold

Owner = tuple[Desk, Gateway, int]


def owner(world: World) -> Owner:
    """Return the gateway to which the network leads now."""
    return world.desk, world.gateway, world.boots


def lead_to(world: World, gateway: Owner) -> None:
    """Let the network lead to another gateway; the two would have a log each, which a world does not tell apart."""
    world.broken = True
    world.desk, world.gateway, world.boots = gateway


def test_the_old_one_is_fenced() -> None:
    """Two bindings of one session would be believed at once, and inner traffic go to both."""
    world = World().connected()
    old = owner(world)
    world.start_gateway()
    new = owner(world)
    world.host.move(v4(77))
    world.run(500)
    assert Reason.TAKEN_OVER in world.reasons(Event.SESSION_CHANGED)
    (row,) = world.store.rows.values()
    lead_to(world, old)
    stale = world.session
    world.host.move(v4(78))
    world.run_until(lambda: stale.state is State.TERMINATED)
    assert Reason.OWNER_FENCED in world.reasons(Event.SESSION_CHANGED)
    assert world.store.rows == {row.handle: row}
    lead_to(world, new)
    world.run(10_000, world.host.chat)
    assert (world.session.handle, world.client.state) == (row.handle, ClientState.ATTACHED)
    versions = [fact.binding_version for fact in world.store.outbox]
    assert versions == list(range(1, len(versions) + 1))


def let_its_clocks_run(world: World, other: Owner, leading: Owner) -> None:
    """Let the gateway to which nothing leads judge its clocks, and hear the store."""
    if (at := other[1].deadline()) is not None and at <= world.now:
        lead_to(world, other)
        world.gateway_does(lambda: world.gateway.tick(world.now))
        world.run(5)
        lead_to(world, leading)


def test_the_old_ones_clocks_end_nothing() -> None:
    """A quarter of an hour after a session moved on, the gateway that lost it would end it for client and owner, in evidence."""
    world = World().connected()
    old, stale, life = owner(world), world.session, world.client.life
    world.start_gateway()
    new = owner(world)
    world.host.move(v4(77))
    world.run(500, world.host.chat)

    def step() -> None:
        world.host.chat()
        let_its_clocks_run(world, old, new)

    world.run(limits.TRANSPORT_LOSS_NS / limits.MILLISECOND + 60_000, step, step_ms=250)
    assert (stale.state, old[0].sessions) == (State.TERMINATED, {})
    assert world.ends() == [Reason.OWNER_FENCED]
    assert world.client.life is life
    assert world.session.state is State.ATTACHED


def test_one_that_only_heard_a_copied_attempt_ends_nothing() -> None:
    """Whoever copies one REATTACH that got no answer could end the session, by leading the copy to a second gateway."""
    world = World().connected()
    first, life = owner(world), world.client.life
    world.start_gateway()
    second = owner(world)
    lead_to(world, first)
    withhold(world, "REATTACH")
    world.host.move(v4(77))
    world.run(30)
    let_pass(world)
    lead_to(world, second)
    world.inject(captured(world, "REATTACH")[-1], from_elsewhere(own_path(world.host)))
    world.run(10)
    assert Reason.TAKEN_OVER in world.reasons(Event.SESSION_CHANGED)
    lead_to(world, first)
    world.run(1_000, world.host.chat)

    def step() -> None:
        world.host.chat()
        let_its_clocks_run(world, second, first)

    world.run(limits.TRANSPORT_LOSS_NS / limits.MILLISECOND + 60_000, step, step_ms=250)
    assert not second[0].sessions
    assert world.ends() == [Reason.OWNER_FENCED]
    assert world.client.life is life
    assert world.session.state is State.ATTACHED


def test_the_fenced_one_ends_nothing_for_the_client() -> None:
    """The client would end its session at the word of a gateway that does not own it."""
    world = World().connected()
    old, stale, life = owner(world), world.session, world.client.life
    assert life
    world.start_gateway()
    new = owner(world)
    withhold(world, "REATTACH_RESP", "ACK")  # the client makes an attempt at the new one, and never hears that it was committed
    attempt = Attempt(world.client.keys, world.entropy, life, world.host.paths[1], Change.MOVE, Cause.BETTER, 0, world.now)
    world.inject(attempt.frame, own_path(world.host))
    world.run(5)
    answer = parse(captured(world, "REATTACH_RESP", "gateway")[-1])
    assert isinstance(answer, ReattachResp)
    epoch, _, _ = attempt.answer(answer, world.now)
    assert epoch
    world.inject(epoch.seal([encode(Kind.CONFIRM, pack(Confirm(limits.MTU_DEFAULT)))])[0].frames[0], own_path(world.host))
    world.run(5)
    assert world.session.binding_version == 2
    let_pass(world)
    lead_to(world, old)
    world.run_until(lambda: stale.state is State.TERMINATED, 150_000, world.host.chat)  # it fails to renew its keys
    assert Reason.OWNER_FENCED in world.reasons(Event.SESSION_CHANGED)
    lead_to(world, new)
    world.run(10_000, world.host.chat)
    assert world.client_reasons(Event.CLIENT_ENDED) == []
    assert world.client.life is life
    assert world.attached()
