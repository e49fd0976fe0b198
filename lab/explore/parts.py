"""Parts: an engine in one state, and what it does with one input. Parts never change; a step is made on a copy, once, and remembered."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from core.client.client import Client
from core.client.states import State as ClientState
from core.engine.gateway import Gateway
from core.reasons import Carrier
from core.session.desk import Desk
from core.session.timers import deadlines
from core.values import Ask, Connect, Dial, Endpoint, Fact, Instant, Output, Path, PathEvent, Record, Transmit
from lab.explore.copying import Drawn, DrawnKem, copied, digest
from lab.sim.frames import v4
from lab.sim.world import GATEWAY_AT, World

FAR: Final = Endpoint(v4(66), 6_666)
ATTACKER: Final = Path(Carrier.UDP, 0, GATEWAY_AT, FAR)
Input = tuple[Any, ...]


class Did(NamedTuple):
    """What a step led to: the part that follows, frames with their paths, asks, dials, records, and versions before and after.

    Versions are blind to digests, so a part has those of whoever reached it first; a step has its own. The client's is at 0.
    """

    part: int
    sent: tuple[tuple[bytes, Path], ...]
    asks: tuple[Ask, ...]
    dials: tuple[int, ...]
    facts: tuple[Fact, ...]
    versions: Mapping[int, tuple[int, int]]


class Part(NamedTuple):
    """An engine in one state, its clock, and what a host knows besides: the number of its address, and whom it was told to be."""

    engine: Any
    now: Instant
    address: int
    name: bytes


class Parts:
    """All parts that were met, by number."""

    def __init__(self, world: World, entropy: Drawn) -> None:
        """Begin with nobody; gateways and clients are those of `world`."""
        self.entropy, self._world = entropy, world
        self.known: list[Part] = []
        self._numbers: dict[bytes, int] = {}
        self._steps: dict[tuple[int, Input], Did] = {}
        self.steps = 0

    def add(self, engine: Gateway | Client, now: Instant, address: int = 0) -> int:
        """Return the number of a part."""
        name = (b"c%d" % address if isinstance(engine, Client) else engine.desk.identity.boot) + digest(engine, now)
        if name not in self._numbers:
            self._numbers[name] = len(self.known)
            self.known.append(Part(engine, now, address, name))
        return self._numbers[name]

    def new_gateway(self, boot: int, now: Instant) -> int:
        """Return a gateway that has just started and knows nothing but its keys."""
        world = self._world
        identity = replace(world.desk.identity, boot=boot.to_bytes(8, "big"))
        desk = Desk(identity, world.policy, world.devices, self.entropy)
        return self.add(Gateway(desk, DrawnKem(self.entropy)), now)

    def new_client(self, now: Instant, address: int) -> int:
        """Return a client that has just started."""
        host = self._world.host
        return self.add(Client(host.client.keys, self._world.client_policy, self.entropy), now, address)

    def step(self, number: int, heard: Input) -> Did:
        """Return what a part does with one input."""
        found = self._steps.get((number, heard))
        if found is None:
            self.steps += 1
            found = self._steps[number, heard] = self.fresh_step(number, heard)
        return found

    def fresh_step(self, number: int, heard: Input) -> Did:
        """Make the step, remembered or not."""
        part = self.known[number]
        engine = copied(part.engine, {})
        self.entropy.begin(part.name + repr(heard).encode())
        now = Instant(part.now + heard[1]) if heard[0] == "wait" else part.now
        step: Callable[..., tuple[list[Output], int]] = client_step if isinstance(engine, Client) else gateway_step
        if isinstance(engine, Gateway):
            engine.desk._ticket = free_ticket(engine.desk.tickets)  # noqa: SLF001 - numbers that only grow would keep equal worlds apart
        before = versions(engine)
        out, address = step(engine, heard, now, part.address)
        return self._did(engine, out, now, address, {at: (before.get(at, 0), after) for at, after in versions(engine).items()})

    def _did(self, engine: Gateway | Client, out: list[Output], now: Instant, address: int, counted: Mapping[int, tuple[int, int]]) -> Did:
        sent, asks, dials, facts = list[tuple[bytes, Path]](), list[Ask](), list[int](), list[Fact]()
        for output in out:
            match output:
                case Transmit(path, frames):
                    sent += [(frame, path) for frame in frames]
                case Ask():
                    asks.append(output)
                case Dial(carrier):
                    dials.append(carrier)
                case Record(fact):
                    facts.append(fact)
                case _:
                    pass
        return Did(self.add(engine, now, address), tuple(sent), tuple(asks), tuple(dials), tuple(facts), counted)


def free_ticket(tickets: Mapping[int, object]) -> int:
    """Return the least number after which some are free: a ticket that was answered names nothing any more."""
    return next(number for number in range(len(tickets) * 8 + 8) if not any(number + step in tickets for step in range(1, 8)))


def versions(engine: Gateway | Client) -> dict[int, int]:
    """Return the versions of an engine's machines."""
    return {0: engine.version} if isinstance(engine, Client) else {each.handle: each.version for each in engine.desk.sessions.values()}


def gateway_step(gateway: Gateway, heard: Input, now: Instant, address: int) -> tuple[list[Output], int]:
    """Let a gateway hear one input."""
    match heard:
        case ("frame", frame, path):
            out = gateway.receive([frame], path, now)
        case ("wait", _):
            out = gateway.tick(now)
        case ("answer", answer):
            out = gateway.answer([answer], now)
        case ("closed", path):
            out = gateway.path_event(path, PathEvent.CLOSED, now)
        case ("order", order):
            out = gateway.command(order, now)
        case ("say", packet):
            handle = next((handle for handle, session in gateway.desk.sessions.items() if session.active), 0)
            out = gateway.send(handle, [packet], now)
        case _:
            raise ValueError(heard)
    for tally in (gateway.desk.refusals, gateway.desk.strangers):
        tally.flush(now, everything=True)
    return [*out, *gateway.tick(now)], address


def client_step(client: Client, heard: Input, now: Instant, address: int) -> tuple[list[Output], int]:
    """Let a client hear one input; a datagram path is opened at once when it is asked for, as it is on a host."""
    match heard:
        case ("frame", frame, path):
            out = client.receive([frame], path, now)
        case ("wait", _):
            out = client.tick(now)
        case ("connect",):
            out = [*client.path_event(udp(address), PathEvent.OPENED, now), *client.command(Connect(), now)]
        case ("move",):
            address += 1
            old = client.paths.get(Carrier.UDP)
            out = client.path_event(old, PathEvent.CLOSED, now) if old else []
            out += client.path_event(udp(address), PathEvent.OPENED, now) if Carrier.UDP not in client.paths else []
        case ("opened", path):
            out = client.path_event(path, PathEvent.OPENED, now)
        case ("closed", path):
            out = client.path_event(path, PathEvent.CLOSED, now)
        case ("order", order):
            out = client.command(order, now)
        case ("say", packet):
            out = client.send(0, [packet], now)
        case _:
            raise ValueError(heard)
    while Dial(Carrier.UDP) in out or ((due := client.deadline()) is not None and due <= now):
        if Dial(Carrier.UDP) in out:
            out.remove(Dial(Carrier.UDP))
            out += client.path_event(udp(address), PathEvent.OPENED, now)
        out += client.tick(now)
    client.refusals.flush(now, everything=True)
    return out, address


def udp(address: int) -> Path:
    """Return the datagram path of a host at its n-th address, as the host sees it."""
    return Path(Carrier.UDP, 0, Endpoint(v4(11 + address), 40_001), GATEWAY_AT)


def waits_of_gateway(part: Part) -> list[int]:
    """Return how long a gateway may wait until its machine has to judge something; time between is no news."""
    at = set[int]()
    for session in part.engine.desk.sessions.values():
        at |= {due for due, _ in deadlines(session)}
        at |= {session.retry_at} if session.retry_at is not None else set()
    return sorted({due - part.now for due in at if due > part.now})


def waits_of_client(part: Part) -> list[int]:
    """Return how long a client may wait: until its machine has to judge something, or until it repeats something."""
    client: Client = part.engine
    if client.state in {ClientState.IDLE, ClientState.CLOSED}:
        return []
    names = {"handshake", "birth", "fresh", "last chance"}
    at = {due for name, due in client.at.items() if name in names or name.startswith("dial")} | {due for _, due in client.deadlines()}
    retries = [each.retry.at for each in client.attempts.values()] + [each.retry.at for each in client.unconfirmed()]
    at |= {min(retries)} if retries else set()
    if client.state is ClientState.ATTACHED and client.waiting_since is None and "probe" in client.at:
        at.add(client.at["probe"])
    return sorted({due - part.now for due in at if due > part.now})
