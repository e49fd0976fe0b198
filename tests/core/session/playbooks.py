"""For each row of the gateway's table a playbook: what has to happen in the world for the row to be taken."""

from collections.abc import Callable
from typing import Final

from core.reasons import Carrier, Reason
from core.session.desk import Policy
from core.session.session import Session
from core.values import Admission, AllowList, CloseSession, CompareAndSet
from lab.sim.frames import v4
from lab.sim.ways import born, born_on_tcp, degraded, leave, pending, recovering, suspended, terminated, unbound, volatile
from lab.sim.world import MS, World


def birth_lost() -> World:
    """Two of five clients of one device confirm at once, when three are bound already."""
    world = born()
    others = [world.new_host(like=world.host) for _ in range(4)]
    for host in others[:2]:
        host.connect()
    world.store.silent = True
    for host in others[2:]:
        host.connect(20)
    world.release()
    world.run(50)
    return world


def birth_without_store() -> World:
    """A device connects while the store fails."""
    world = World()
    world.store.failing = True
    return world.connected()


def birth_forgotten() -> World:
    """A client vanishes after RESP."""
    world = pending()
    world.run(6_000)
    return world


def moved() -> World:
    """A client gets another address."""
    world = born()
    world.host.move(v4(99))
    world.run(100)
    return world


def beaten_by_its_own_past() -> World:
    """A write that the store had reported as failed takes effect later, and then beats the next one."""
    world = suspended()
    world.host.off = world.store.failing = False
    world.run_until(lambda: not world.session.suspended)
    late = next(ask.operation for ask in world.store.asked if isinstance(ask.operation, CompareAndSet))
    world.store.rows[late.row.handle] = late.row
    world.store.keep(late.fact)
    world.run(5_000, world.host.chat)
    return world


def half_moved() -> World:
    """A client's REATTACH is proven, but its CONFIRM never comes."""
    world = born()
    world.host.move(v4(99))
    world.run(3)
    leave(world).run(6_000)
    return world


def uncertain() -> World:
    """The store fails in the middle of a move, and comes back."""
    world = suspended()
    world.store.failing = False
    world.run(2_000)
    return world


def stream_closed() -> World:
    """The connection of a client that knows only TCP is reset."""
    world = born_on_tcp()
    world.host.close(Carrier.TCP)
    return world


def silent() -> World:
    """A client is switched off."""
    world = leave(born())
    world.run(16_000)
    return world


def key_aged() -> World:
    """A client that has nothing to send keeps its first key for three minutes."""
    world = born()
    world.run(181_000)
    return world


def loss_ended() -> World:
    """Loss makes a session VOLATILE, and then stops."""
    world = volatile()
    world.host.off = False
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(8_000, world.host.say)
    return world


def lived_out() -> World:
    """A session reaches the end of its lifetime."""
    world = World(policy=Policy(lifetime_s=60)).connected()
    world.run(61_000)
    return world


def lost() -> World:
    """A client never comes back."""
    world = leave(World(policy=Policy(transport_loss_ns=20_000 * MS)).connected())
    world.run(40_000)
    return world


def closed_by_operator() -> World:
    """An operator ends a session."""
    world = born()
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(50)
    return world


def revoked() -> World:
    """A device is taken off the allow list."""
    world = born()
    world.gateway_does(lambda: world.gateway.command(AllowList({}), world.now))
    world.run(50)
    return world


def outdated() -> World:
    """The time of the gateway's own key is over."""
    world = born()
    ended = Admission(Reason.KEY_OUTDATED, {world.static.public: Reason.KEY_OUTDATED})
    world.gateway_does(lambda: world.gateway.command(ended, world.now))
    world.run(50)
    return world


def closed_by_peer() -> World:
    """A user ends a session."""
    world = born()
    world.host.does(lambda: world.client.command(CloseSession(), world.now))
    world.run(50)
    return world


def contradictory() -> World:
    """A session's facts and its table disagree, which only a fault of the program can do."""
    world = leave(born())
    world.broken = True
    session: Session = world.session
    session.suspended = True
    world.run(16_000)
    return world


def superseded() -> World:
    """A device with four sessions, one of which is not bound, makes a fifth."""
    world = recovering()
    for _ in range(4):
        world.new_host(like=world.host).connect()
    return world


def fenced() -> World:
    """While ownership is uncertain the session is taken over by another gateway."""
    world = suspended()
    handle = world.session.handle
    row = world.store.rows[handle]
    world.store.rows[handle] = row._replace(binding_version=row.binding_version + 3, node=b"node-two")
    world.store.failing = False
    world.run(10_000)
    return world


def late_commit() -> World:
    """An operator ends a session while the store is slow with its move."""
    world = born()
    world.store.silent = True
    world.host.move(v4(99))
    world.run_until(lambda: world.session.commit_ticket != 0)
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.release()
    world.run(50)
    return world


def end_unconfirmed() -> World:
    """A session ends while the store fails."""
    world = terminated()
    world.run(6_000)
    world.store.failing = False
    world.run(6_000)
    return world


PLAYBOOKS: Final[dict[str, Callable[[], World]]] = {
    "G-1": born,
    "G-2": born,
    "G-3": birth_lost,
    "G-4": birth_without_store,
    "G-5": birth_forgotten,
    "G-10": moved,
    "G-11": moved,
    "G-12": moved,
    "G-13": beaten_by_its_own_past,
    "G-14": half_moved,
    "G-15": uncertain,
    "G-16": uncertain,
    "G-20": stream_closed,
    "G-21": silent,
    "G-22": key_aged,
    "G-23": volatile,
    "G-24": degraded,
    "G-25": loss_ended,
    "G-26": unbound,
    "G-30": lived_out,
    "G-31": lost,
    "G-32": closed_by_operator,
    "G-33": revoked,
    "G-34": closed_by_peer,
    "G-35": contradictory,
    "G-36": superseded,
    "G-37": fenced,
    "G-38": outdated,
    "G-40": late_commit,
    "G-41": end_unconfirmed,
}
