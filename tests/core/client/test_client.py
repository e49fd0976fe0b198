"""What a client hears and does nothing about, or refuses: events of paths, orders, clocks that are due at once, and forged inner frames."""

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.client.states import State
from core.errors import Invariant
from core.reasons import Carrier, Event, Reason
from core.session.desk import Policy
from core.values import Admission, AllowList, Connect, Instant, Keyring, Order, PathEvent
from core.wire.epoch import Epoch
from core.wire.inner import Ack, encode
from core.wire.layout import Kind
from core.wire.records import Probe, pack
from lab.sim.frames import Health, Sent
from lab.sim.ways import CLIENT_WAYS
from lab.sim.world import STRAIGHT, World
from tests.core.engine.knocking import crowd

MAC2 = slice(1_336, 1_352)


def says(world: World, epoch: Epoch | None, inner: bytes) -> None:
    """Let the gateway's end of an epoch say one inner frame to the first host."""
    assert epoch
    (run,) = epoch.seal([inner])
    world.host.hears(run.frames[0], world.host.paths[Carrier.UDP])


def ack(world: World, mtu: int, locators: int) -> bytes:
    """Return an ACK's inner frame of this M with so many locators."""
    device = world.host.device
    body = Ack(world.session.binding_version, mtu, device.inner4, device.inner6, bytes(16), (bytes(16),) * locators)
    return encode(Kind.ACK, body.pack())


def inits(world: World) -> list[Sent]:
    """Return the INITs that clients sent."""
    return [sent for sent in world.sent if (sent.sender, sent.kind) == ("client", "INIT")]


@pytest.mark.parametrize("state", [State.IDLE, State.ATTACHED, State.SEEKING, State.CLOSED])
def test_a_path_that_is_too_small_matters_only_for_a_handshake(state: State) -> None:
    """H-31: one large packet that the network refuses would start handshakes beside a session that lives."""
    world = CLIENT_WAYS[state]()
    before, path = len(inits(world)), world.host.paths.get(Carrier.UDP)
    world.host.dial(Carrier.UDP)
    at = world.host.paths[Carrier.UDP]
    world.host.does(lambda: world.client.path_event(path or at, PathEvent.TOO_BIG, world.now))
    assert world.client.state is state
    assert len(inits(world)) == before
    assert not world.client.hands


@pytest.mark.parametrize("state", [State.IDLE, State.ATTACHED])
@pytest.mark.parametrize("order", [AllowList({}), Keyring((), ()), Admission(Reason.KEY_REVOKED)], ids=["list", "keys", "admission"])
def test_orders_to_a_gateway_do_nothing_to_a_client(order: Order, state: State) -> None:
    """An order that went to the wrong engine would end the session, or stop the program."""
    world = CLIENT_WAYS[state]()
    before = world.client.facts()
    assert not world.client.command(order, world.now)
    assert world.client.facts() == before


def test_a_copy_of_a_client_forgets_all_keys() -> None:
    """D-9: the copy of a process would seal under the same counters, under the new keys or under those that drain."""
    world = World().connected()
    world.host.move(world.host.address[:15] + b"\x63")
    world.run_until(lambda: world.client.draining is not None)
    epochs = world.client.epochs()
    assert {epoch for epoch in (world.client.committed, world.client.draining) if epoch} <= set(epochs)
    world.client.forget()
    for epoch in epochs:
        with pytest.raises(Invariant, match="forgotten"):
            epoch.seal([b"x"])


def test_a_copy_of_a_gateway_forgets_all_keys() -> None:
    """D-9: the same at the other end, for all sessions."""
    world = World().connected()
    world.new_host().connect()
    epochs = [epoch for _, epoch in world.desk.indices.values()]
    assert len(epochs) == 2
    world.gateway.forget()
    for epoch in epochs:
        with pytest.raises(Invariant, match="forgotten"):
            epoch.seal([b"x"])


def test_an_end_stops_the_clocks_that_were_due_beside_it() -> None:
    """C-41: a machine that wakes up late would find two clocks due, the first of which ends the handshake, and stop at the second."""
    world = World()
    world.refused = {Carrier.TCP}
    world.network = lambda _sender, _kind, _frame: ()
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run_until(lambda: world.client.hand_tries == limits.HANDSHAKE_TRIES - 1 and f"dial {Carrier.TCP}" in world.client.at)
    world.now = Instant(max(world.client.at.values()) + limits.SECOND)
    assert len(world.client.at) > 1
    world.host.does(lambda: world.client.tick(world.now))
    assert world.client.state is State.CLOSED
    assert world.client_reasons(Event.CLIENT_ENDED) == [Reason.HANDSHAKE_UNANSWERED]
    assert not world.client.at


@pytest.mark.parametrize("inner", ["ack", "health", "probe"])
def test_only_an_ack_with_locators_is_a_birth(inner: str) -> None:
    """H-33: a client would believe in a session without a way to move it, or without an answer to its CONFIRM."""
    world = World()
    world.network = lambda _sender, kind, _frame: () if kind == "ACK" else STRAIGHT
    world.host.connect(30)
    frames = {
        "ack": lambda: ack(world, world.policy.mtu, 0),
        "health": lambda: encode(Kind.HEALTH, Health.unpack(bytes(80)).pack()),
        "probe": lambda: encode(Kind.PROBE, pack(Probe(1, world.now))),
    }
    says(world, world.session.active, frames[inner]())
    assert world.client.state is State.CONNECTING
    assert world.client.newborn
    says(world, world.session.active, ack(world, world.policy.mtu, 1))
    assert world.attached()


def test_an_ack_of_another_mtu_is_refused() -> None:
    """R-22: client and gateway would have two ideas of what fits, and that path might carry only the smaller."""
    world = World(policy=Policy(mtu=max(limits.MTU_ALLOWED)), client_policy=ClientPolicy(mtu=max(limits.MTU_ALLOWED))).connected()
    life = world.client.life
    assert life
    before = dict(life.locators)
    says(world, world.session.active, ack(world, min(limits.MTU_ALLOWED), 2))
    assert life.locators == before
    world.run(limits.SUMMARY_NS / limits.MILLISECOND)
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.INNER_MALFORMED]


def test_three_cookies_a_handshake() -> None:
    """H-25: whoever can answer for the gateway would have a client send INITs for as long as it likes."""
    world = World()
    crowd(world, limits.PENDING_PER_PREFIX)
    world.cut = {Carrier.TCP}
    world.network = lambda _sender, kind, frame: () if kind == "INIT" and any(frame[MAC2]) else STRAIGHT
    world.host.connect(4_000)
    assert world.kinds("gateway").count("COOKIE") > limits.COOKIES_PER_HANDSHAKE
    assert sum(any(sent.frame[MAC2]) for sent in inits(world)) == limits.COOKIES_PER_HANDSHAKE
    assert Reason.UNEXPECTED_MESSAGE in world.client_reasons(Event.TRAFFIC_REFUSED)
