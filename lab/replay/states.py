"""Ways to bring a gateway or a client into each state it can reach, with real engines in memory and fixed entropy.

The worlds are those of the playbooks (`lab.sim`): one way to drive the engines in memory, and one definition of each state.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, NamedTuple

from core import limits
from core.client.states import State as ClientState
from core.reasons import Carrier
from core.session.states import State
from core.values import Endpoint, Path
from lab.replay.snapshot import Snapshot
from lab.sim.frames import v4
from lab.sim.ways import (
    attached,
    born,
    born_on_tcp,
    closed,
    connecting,
    degraded,
    idle,
    leave,
    pending,
    recovering,
    seeking,
    suspended,
    terminated,
    unbound,
    volatile,
)
from lab.sim.world import GATEWAY_AT, STRAIGHT, World

FAR: Final = Endpoint(v4(66), 6_666)
STREAM: Final = 77  # a connection that no session knows


def nobody() -> World:
    """A gateway without a session."""
    return World()


def forgetful() -> World:
    """A gateway that has started anew and knows its session by the store alone."""
    world = leave(born())
    world.start_gateway()
    return world


def on_a_stream() -> World:
    """A session on TCP."""
    return leave(born_on_tcp())


def birth_asked() -> World:
    """A confirmed handshake, for whose birth the store has been asked."""
    world = World()
    world.store.silent = True
    world.host.connect(50)
    return leave(world)


def candidate_held() -> World:
    """A proven attempt whose CONFIRM was lost, beside the bound path."""
    world = born()
    world.drop("CONFIRM", 99)
    world.host.move(v4(99))
    world.run(100)
    return leave(world)


def commit_asked() -> World:
    """A confirmed attempt, for whose commit the store has been asked."""
    world = born()
    world.store.silent = True
    world.host.move(v4(99))
    world.run(100)
    return leave(world)


def draining() -> World:
    """A session that has just moved: the keys before still drain."""
    world = born()
    world.host.move(v4(99))
    world.run(100)
    return leave(world)


def crowded() -> World:
    """A gateway that demands cookies, because many of one prefix have knocked."""
    world = World()
    world.drop("CONFIRM", 10**6)
    for host in [world.host, *(world.new_host() for _ in range(limits.PENDING_PER_PREFIX))]:
        host.connect(20)
    return leave(world)


def newborn() -> World:
    """A client whose handshake was answered and not acknowledged."""
    world = World()
    world.drop("ACK", 99)
    world.host.connect(50)
    return world


def confirming() -> World:
    """A client whose attempt is proven and not acknowledged."""
    world = born()
    world.drop("ACK", 99)
    world.host.move(v4(99))
    world.run(50)
    return world


def attempting() -> World:
    """A client that has moved, and whose attempts nobody answers."""
    world = born()
    world.network = lambda _sender, kind, _frame: () if kind in {"REATTACH", "REATTACH_RESP"} else STRAIGHT
    world.host.move(v4(99))
    world.run(500)
    return world


def last_chance() -> World:
    """A client that seeks, and whose handshake beside its attempts was answered."""
    world = attempting()
    world.run_until(lambda: world.client.newborn is not None)
    return world


GATEWAY: Final[Mapping[str, Callable[[], World]]] = {
    "no session": nobody,
    "no session, row in the store": forgetful,
    "demands cookies": crowded,
    "PENDING": pending,
    "PENDING, birth asked": birth_asked,
    "ATTACHED": attached,
    "ATTACHED, stream": on_a_stream,
    "ATTACHED, draining": draining,
    "candidate held": candidate_held,
    "commit asked": commit_asked,
    "VOLATILE": volatile,
    "RECOVERING": recovering,
    "DEGRADED, bound": degraded,
    "DEGRADED, unbound": unbound,
    "suspended": suspended,
    "TERMINATED, tombstone not confirmed": terminated,
}
CLIENT: Final[Mapping[str, Callable[[], World]]] = {
    "IDLE": idle,
    "CONNECTING, hand": connecting,
    "CONNECTING, newborn": newborn,
    "ATTACHED": born,
    "ATTACHED, stream": born_on_tcp,
    "confirming": confirming,
    "SEEKING": seeking,
    "SEEKING, attempts": attempting,
    "SEEKING, newborn": last_chance,
    "CLOSED": closed,
}
CLAIMED: Final[Mapping[str, Callable[[World], bool]]] = {
    "gateway: no session": lambda world: not world.desk.sessions,
    "gateway: no session, row in the store": lambda world: not world.desk.sessions and bool(world.store.rows),
    "gateway: demands cookies": lambda world: len(world.desk.sessions) >= limits.PENDING_PER_PREFIX and "COOKIE" in world.kinds("gateway"),
    "gateway: PENDING": lambda world: world.session.state is State.PENDING and not world.session.commit_ticket,
    "gateway: PENDING, birth asked": lambda world: world.session.state is State.PENDING and world.session.commit_ticket > 0,
    "gateway: ATTACHED": lambda world: world.session.state is State.ATTACHED,
    "gateway: ATTACHED, stream": lambda world: bool(world.session.active and world.session.active.path.serial),
    "gateway: ATTACHED, draining": lambda world: world.session.draining is not None,
    "gateway: candidate held": lambda world: world.session.candidate is not None and not world.session.commit_ticket,
    "gateway: commit asked": lambda world: world.session.state is not State.PENDING and world.session.commit_ticket > 0,
    "gateway: VOLATILE": lambda world: world.session.state is State.VOLATILE,
    "gateway: RECOVERING": lambda world: world.session.state is State.RECOVERING,
    "gateway: DEGRADED, bound": lambda world: world.session.state is State.DEGRADED and world.session.active is not None,
    "gateway: DEGRADED, unbound": lambda world: world.session.state is State.DEGRADED and world.session.active is None,
    "gateway: suspended": lambda world: world.session.suspended,
    "gateway: TERMINATED, tombstone not confirmed": lambda world: world.session.state is State.TERMINATED,
    "client: IDLE": lambda world: world.client.state is ClientState.IDLE,
    "client: CONNECTING, hand": lambda world: world.client.state is ClientState.CONNECTING and bool(world.client.hands),
    "client: CONNECTING, newborn": lambda world: world.client.state is ClientState.CONNECTING and world.client.newborn is not None,
    "client: ATTACHED": lambda world: world.client.state is ClientState.ATTACHED,
    "client: ATTACHED, stream": lambda world: bool(world.client.committed and world.client.committed.path.serial),
    "client: confirming": lambda world: bool(world.client.confirming),
    "client: SEEKING": lambda world: world.client.state is ClientState.SEEKING,
    "client: SEEKING, attempts": lambda world: world.client.state is ClientState.SEEKING and bool(world.client.attempts),
    "client: SEEKING, newborn": lambda world: world.client.state is ClientState.SEEKING and world.client.newborn is not None,
    "client: CLOSED": lambda world: world.client.state is ClientState.CLOSED,
}
"""What is true of a world after its way; `Stage` refuses to go on where it is not."""


class Stage(NamedTuple):
    """An engine in a state: the world around it, where frames may come from, and the snapshot to return to."""

    name: str
    side: str
    world: World
    places: Mapping[str, Path]
    before: Snapshot


def names() -> list[str]:
    """Return the names of all states, the gateway's first."""
    return [f"gateway: {name}" for name in GATEWAY] + [f"client: {name}" for name in CLIENT]


def bring(name: str) -> World:
    """Return a world in which the state `name` has been reached, its clocks judged."""
    side, way = name.split(": ", 1)
    world = (GATEWAY if side == "gateway" else CLIENT)[way]()
    if not CLAIMED[name](world):
        raise RuntimeError(f"the way to '{name}' leads elsewhere")
    world.gateway_does(lambda: world.gateway.tick(world.now))
    return world


def stage(name: str) -> Stage:
    """Return the stage of a state."""
    side, world = name.split(": ", 1)[0], bring(name)
    if side == "gateway":
        return Stage(name, side, world, gateway_places(world), Snapshot(world.gateway, world.desk))
    return Stage(name, side, world, client_places(world), Snapshot(world.client))


def gateway_places(world: World) -> dict[str, Path]:
    """Return where frames come from, as the gateway sees it: where the session is or was last, from far away, on a stream."""
    heard = [sent.path for sent in world.sent if sent.sender == "client"]
    epochs = [epoch for each in world.desk.sessions.values() for epoch in (each.active, each.candidate and each.candidate.epoch) if epoch]
    last = Endpoint(world.host.address, world.host.port)
    bound = epochs[0].path if epochs else Path(Carrier.UDP, 0, GATEWAY_AT, heard[-1].local if heard else last)
    return {
        "bound": bound,
        "foreign": Path(Carrier.UDP, 0, GATEWAY_AT, FAR),
        "stream": Path(Carrier.TCP, STREAM, GATEWAY_AT, FAR),
    }


def client_places(world: World) -> dict[str, Path]:
    """Return where frames come from, as the client sees it."""
    mine = Endpoint(world.host.address, world.host.port)
    known = [*world.host.paths.values(), *([world.client.committed.path] if world.client.committed else [])]
    return {
        "bound": known[0] if known else Path(Carrier.UDP, 0, mine, GATEWAY_AT),
        "foreign": Path(Carrier.UDP, 0, mine, FAR),
        "stream": Path(Carrier.TCP, STREAM, mine, GATEWAY_AT),
    }


@cache
def true_frames() -> Mapping[bytes, str]:
    """Return the frames of all states' worlds, and their kinds: these have one seed, so a frame of one is made with the keys of all."""
    return {frame: kind for name in names() for frame, kind in authentic(name).items()}


def authentic(name: str) -> dict[bytes, str]:
    """Return every frame that this state's world makes with keys, and its kind: until the state, and when the world goes on well."""
    world = bring(name)
    world.host.off, world.network, world.cut = False, lambda _sender, _kind, _frame: STRAIGHT, set()
    world.store.failing = False
    world.release()
    if world.client.state is ClientState.IDLE:
        world.host.connect()
    world.run(3_000, world.host.chat, step_ms=300)
    return {sent.frame: sent.kind for sent in world.sent}
