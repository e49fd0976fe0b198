"""For each row of the client's table a playbook: what has to happen in the world for the row to be taken."""

from collections.abc import Callable
from typing import Final

from core.client.contact import ClientPolicy
from core.reasons import Carrier, Reason
from core.session.desk import Policy
from core.values import Admission, CloseSession, Endpoint
from lab.sim.frames import v4
from lab.sim.ways import born, born_on_tcp, closed, connecting
from lab.sim.world import MS, STRAIGHT, World


def gateways_key_is_over(reason: Reason) -> Callable[[], World]:
    """Return the way to a client that hears that its gateway's key is not accepted any more."""

    def play() -> World:
        world = born()
        order = Admission(None, {world.static.public: reason})
        world.host.does(lambda: world.client.command(order, world.now))
        return world

    return play


def unanswered() -> World:
    """Nobody answers for as long as the client tries."""
    world = connecting()
    world.run(60_000)
    return world


def refused() -> World:
    """A fifth session of a device whose four others are bound."""
    world = born()
    for _ in range(4):
        world.new_host(like=world.host).connect()
    return world


def black_hole() -> World:
    """UDP dies under traffic; TCP works."""
    world = born()
    world.cut = {Carrier.UDP}
    world.run(1_000, world.host.chat)
    return world


def stream_closed() -> World:
    """The connection of a client that knows only TCP is reset."""
    world = born_on_tcp()
    world.host.close(Carrier.TCP)
    world.run(1_000)
    return world


def readdressed() -> World:
    """The client gets another address, and notices."""
    world = born()
    world.host.move(v4(99))
    world.run(100)
    return world


def key_unused() -> World:
    """A client sends nothing for three minutes."""
    world = born()
    world.run(181_000)
    return world


def translated() -> World:
    """A router gives the client another address, unnoticed, and the gateway tells it."""
    world = born()
    world.host.nat = Endpoint(v4(250), 4_444)
    world.run(100, world.host.chat)
    return world


def key_used() -> World:
    """A client sends for longer than two minutes."""
    world = born()
    world.run(121_000, world.host.say, step_ms=500)
    return world


def better() -> World:
    """UDP works again."""
    world = black_hole()
    world.cut = set()
    world.run(5_000, world.host.say, step_ms=100)
    return world


def too_small() -> World:
    """The new path answers, but does not carry frames of the length L."""
    world = born()
    world.network = lambda _sender, kind, _frame: () if kind in {"CONFIRM", "ACK"} else STRAIGHT
    world.host.move(v4(99))
    world.run(5_000)
    return world


def gone() -> World:
    """The gateway has lost session and row."""
    world = born()
    world.store.rows.clear()
    world.start_gateway()
    world.run(6_000, world.host.chat)
    return world


def closed_by_gateway() -> World:
    """An operator ends the session."""
    world = born()
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(50)
    return world


def lived_out() -> World:
    """The session reaches its end while the gateway is silent."""
    world = World(policy=Policy(lifetime_s=60)).connected()
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.run(70_000)
    return world


def lost() -> World:
    """No path works again."""
    world = World(client_policy=ClientPolicy(transport_loss_ns=20_000 * MS)).connected()
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.run(40_000)
    return world


def contradictory() -> World:
    """The client's facts and its table disagree, which only a fault of the program can do."""
    world = born()
    world.broken = True
    world.client.life = None
    world.host.move(v4(99))
    world.run(100)
    return world


PLAYBOOKS: Final[dict[str, Callable[[], World]]] = {
    "C-1": born,
    "C-2": born,
    "C-3": born,
    "C-4": unanswered,
    "C-5": refused,
    "C-10": black_hole,
    "C-11": stream_closed,
    "C-12": readdressed,
    "C-13": key_unused,
    "C-14": translated,
    "C-15": key_used,
    "C-16": better,
    "C-20": readdressed,
    "C-21": readdressed,
    "C-22": too_small,
    "C-23": gone,
    "C-24": gone,
    "C-25": gone,
    "C-26": gone,
    "C-30": closed_by_gateway,
    "C-31": closed,
    "C-35": gateways_key_is_over(Reason.KEY_REVOKED),
    "C-36": gateways_key_is_over(Reason.KEY_OUTDATED),
    "C-32": lived_out,
    "C-33": lost,
    "C-34": contradictory,
}
