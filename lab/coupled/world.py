"""The world: a client, gateway processes, the store with what it was asked, and all frames ever sent; and what the adversary can do.

Every part is a value with a number, so that a world is a few numbers, and a step of a part in one state is made once.
"""

from collections.abc import Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from core.client.states import Input as ClientInput
from core.client.states import State as ClientState
from core.machine import Machine
from core.session.states import Input
from core.values import Outcome
from lab.coupled import device as of_device
from lab.coupled import forgotten
from lab.coupled import process as of_process
from lab.coupled import store as of_store
from lab.coupled.device import Device
from lab.coupled.process import Process
from lab.coupled.words import ATTACKER, Answer, Ask, Epoch, Frame, Name

T = TypeVar("T")
Action = tuple[Any, ...]
ORDERS: Final = (Input.OPERATOR_CLOSE, Input.KEY_REVOKED, Input.KEY_OUTDATED)
CLIENT_ORDERS: Final = (ClientInput.OPERATOR_CLOSE, ClientInput.KEY_REVOKED, ClientInput.KEY_OUTDATED)
CLOSES: Final = (ClientInput.OPERATOR_CLOSE, ClientInput.KEY_REVOKED, ClientInput.KEY_OUTDATED)
QUALITY: Final = (Input.QUALITY_LOW, Input.QUALITY_STABLE)


class Bounds(NamedTuple):
    """How often the adversary may do what it does. Frames are delivered, repeated, reordered and re-sourced without a bound."""

    gateways: int = 2
    born: int = 1  # whether the world begins with a session
    attempts: int = 2  # of one session
    hands: int = 1  # handshakes in all
    live: int = 4  # sessions that a device may have
    asks: int = 2  # asks and answers of one gateway that wait
    clocks: int = 0  # deadlines of gateways that come, at any moment in which they run
    timers: int = 0  # the same of the client
    moves: int = 1
    others: int = 0  # paths of a second carrier that open or close
    crashes: int = 0
    client_crashes: int = 0
    faults: int = 0  # operations that the store does not perform, or performs and calls failed
    unordered: int = 0  # whether the store performs what waits in any order, beyond O-1
    orders: int = 0  # of an operator or the allow list
    closes: int = 0  # by the client's user, or by what it learns of keys, or because its gateway's key is over
    says: int = 0  # inner packets of the client
    quality: int = 0  # verdicts about a path's quality
    attacker: int = 1  # whether frames also come from an address of the adversary
    worlds: int = 300_000


SPENT: Final = ("clocks", "timers", "moves", "others", "crashes", "client_crashes", "faults", "orders", "closes", "says", "quality")
PLACE: Final = {name: number for number, name in enumerate(SPENT)}


class World(NamedTuple):
    """Numbers of parts; how often the adversary did what; and how many processes there were."""

    client: int
    gateways: tuple[int, ...]
    store: int
    queues: tuple[int, ...]
    up: int
    down: int
    spent: tuple[int, ...]
    boots: int


class Queue(NamedTuple):
    """What one process has asked and is not yet performed, and the answers that are on their way."""

    asks: tuple[Ask, ...] = ()
    answers: tuple[Answer, ...] = ()


class Numbers(Generic[T]):
    """Values by number, each once."""

    def __init__(self) -> None:
        """Begin with none."""
        self.values: list[T] = []
        self._known: dict[T, int] = {}

    def of(self, value: T) -> int:
        """Return the number of a value."""
        number = self._known.get(value)
        if number is None:
            number = self._known[value] = len(self.values)
            self.values.append(value)
        return number


class Tables(NamedTuple):
    """The two tables that the model follows: those that are shipped, unless one is broken on purpose."""

    gateway: Machine[Any, Any, Any, Any] = of_process.SHIPPED
    client: Machine[Any, Any, Any, Any] = of_device.SHIPPED


class Step(NamedTuple):
    """One step: the world after it, and what the part concerned did; None where only the store or a crash did something."""

    after: World
    side: str = ""
    before: int = 0
    heard: tuple[Any, ...] = ()
    did: Any = None


class Stage:
    """What does not change: bounds, tables, and all parts by number."""

    def __init__(self, bounds: Bounds, tables: Tables | None = None) -> None:
        """Build the first world."""
        self.bounds, self.tables = bounds, tables or Tables()
        self.clients, self.processes, self.stores = Numbers[Device](), Numbers[Process](), Numbers[of_store.Rows]()
        self.queues, self.frames = Numbers[Queue](), Numbers[frozenset[Frame]]()
        self._steps: dict[tuple[str, int, tuple[Any, ...]], tuple[int, Any]] = {}
        self._left: dict[tuple[object, ...], int] = {}
        nothing, queue = self.frames.of(frozenset()), self.queues.of(Queue())
        gateways = tuple(self.processes.of(Process(boot)) for boot in range(1, bounds.gateways + 1))
        self.start = World(self.clients.of(Device()), gateways, self.stores.of(of_store.EMPTY), (queue,) * bounds.gateways,
                           nothing, nothing, (0,) * len(SPENT), bounds.gateways)  # fmt: skip
        if bounds.born:
            self._give_birth()

    def _give_birth(self) -> None:
        """Let the first world have a session at the first gateway."""
        birth = Epoch(Name(1, 1), 0, 1, 1)
        first: tuple[Action, ...] = (
            ("connect",), ("up", 0, Frame("INIT", birth._replace(name=Name(1, 0), boot=0)), 1), ("down", Frame("RESP", birth)),
            ("up", 0, Frame("CONFIRM", birth), 1), ("perform", 0, 0, "done"), ("answer", 0), ("down", Frame("ACK", birth, 1)),
        )  # fmt: skip
        for action in first:
            self.start = self.after(self.start, action).after
        self.start = self.start._replace(spent=(0,) * len(SPENT))

    # --- what can happen ---

    def actions(self, world: World) -> Iterator[Action]:
        """Yield everything that the adversary can do now."""
        left = {name for name, spent in zip(SPENT, world.spent, strict=True) if spent < getattr(self.bounds, name)}
        for at, number in enumerate(world.queues):
            yield from self._of_store(at, self.queues.values[number], "faults" in left)
            yield from self._of_gateway(at, self.processes.values[world.gateways[at]], left)
            for frame in self.frames.values[world.up]:
                yield "up", at, frame, frame.epoch.path
                if self.bounds.attacker:
                    yield "up", at, frame, ATTACKER
        yield from self._of_client(world, left)

    def _of_store(self, at: int, queue: Queue, faulty: bool) -> Iterator[Action]:  # noqa: FBT001 - what is left
        for which in range(len(queue.asks) if self.bounds.unordered else min(1, len(queue.asks))):
            yield "perform", at, which, "done"
            if faulty:
                yield "perform", at, which, "failed"
                yield "perform", at, which, "failed but done"
        if queue.answers:
            yield ("answer", at)

    def _of_gateway(self, at: int, process: Process, left: set[str]) -> Iterator[Action]:
        for name, session in process.sessions:
            if "clocks" in left and not session.gone:
                yield from (("clock", at, name, heard) for heard in of_process.clocks(session))
                if session.suspended and session.retry:
                    yield "reload", at, name
            if "orders" in left and not session.gone:
                yield from (("order", at, name, heard) for heard in ORDERS)
            if "quality" in left and session.active and not session.commit:
                yield from (("quality", at, name, heard) for heard in QUALITY)
        if "crashes" in left:
            yield "crash", at

    def _of_client(self, world: World, left: set[str]) -> Iterator[Action]:
        at = self.clients.values[world.client]
        if "client_crashes" in left:
            yield ("client crashes",)
        if at.state is ClientState.IDLE:
            yield ("connect",)
        if at.state in {ClientState.IDLE, ClientState.CLOSED}:
            return
        yield from (("down", frame) for frame in self.frames.values[world.down] if frame.epoch.path in {at.path, at.other})
        if "timers" in left:
            yield from (("timer", *heard) for heard in of_device.clocks(at))
        if "moves" in left:
            yield ("move",)
        if "others" in left:
            yield ("close other",) if at.other else ("open other",)
        if "says" in left:
            yield ("say",)
        if "closes" in left:
            yield from (("close", heard) for heard in CLIENT_ORDERS)

    # --- what comes of it ---

    def after(self, world: World, action: Action) -> Step:  # noqa: C901, PLR0911, PLR0912 - one case an action
        """Return the step that an action makes."""
        match action:
            case ("up", at, frame, source):
                return self._process(world, at, ("frame", frame, source), "")
            case ("down", frame):
                return self._client(world, ("frame", frame), "")
            case ("perform", at, which, how):
                return Step(self._perform(world, at, which, how))
            case ("answer", at):
                queue = self.queues.values[world.queues[at]]
                left = world._replace(queues=put(world.queues, at, self.queues.of(queue._replace(answers=queue.answers[1:]))))
                return self._process(left, at, ("answer", queue.answers[0]), "")
            case ("clock", at, name, heard):
                return self._process(world, at, ("hears", name, heard), "clocks")
            case ("order", at, name, heard):
                return self._process(world, at, ("hears", name, heard), "orders")
            case ("quality", at, name, heard):
                return self._process(world, at, ("hears", name, heard), "quality")
            case ("reload", at, name):
                return self._process(world, at, ("reload", name), "clocks")
            case ("crash", at):
                fresh = self.processes.of(Process(world.boots + 1))
                lost = put(world.queues, at, self.queues.of(Queue()))
                world = world._replace(gateways=put(world.gateways, at, fresh), queues=lost, boots=world.boots + 1)
                return Step(spend(world, "crashes"))
            case ("client crashes",):
                old = self.clients.values[world.client]
                fresh = self.clients.of(Device(path=max(old.path, old.other) + 1, made=old.made))
                return Step(spend(world._replace(client=fresh), "client_crashes"))
            case ("connect",):
                return self._client(world, ("hears", ClientInput.CONNECT), "")
            case ("close", heard):
                return self._client(world, ("hears", heard), "closes")
            case ("timer", *heard):
                return self._client(world, tuple(heard), "timers")
            case ("move" | "say" as what,):
                return self._client(world, (what,), what + "s")
            case ("open other" | "close other" as what,):
                return self._client(world, (what,), "others")
            case _:
                raise ValueError(action)

    def _process(self, world: World, at: int, heard: tuple[Any, ...], what: str) -> Step:
        number = world.gateways[at]
        key = "gateway", number, heard
        if key not in self._steps:
            did = of_process.stepped(self.processes.values[number], heard, self.tables.gateway, self.bounds.live)
            self._steps[key] = self.processes.of(did.after), did
        after, did = self._steps[key]
        world = world if after == number else world._replace(gateways=put(world.gateways, at, after))
        if did.asks:
            queue = self.queues.values[world.queues[at]]
            world = world._replace(queues=put(world.queues, at, self.queues.of(queue._replace(asks=queue.asks + did.asks))))
        if did.frames:
            world = world._replace(down=self._with(world.down, did.frames))
        return Step(spend(world, what) if what else world, "gateway", number, heard, did)

    def _client(self, world: World, heard: tuple[Any, ...], what: str) -> Step:
        number = world.client
        key = "client", number, heard
        if key not in self._steps:
            did = of_device.stepped(self.clients.values[number], heard, self.tables.client)
            self._steps[key] = self.clients.of(did.after), did
        after, did = self._steps[key]
        world = world if after == number else world._replace(client=after)
        if did.frames:
            world = world._replace(up=self._with(world.up, did.frames))
        return Step(spend(world, what) if what else world, "client", number, heard, did)

    def _with(self, number: int, frames: tuple[Frame, ...]) -> int:
        known = self.frames.values[number]
        return number if known.issuperset(frames) else self.frames.of(known.union(frames))

    def forgetful(self, world: World) -> World:
        """Return a world without the frames that nobody can react to any more."""
        fresh = self.bounds.crashes > world.spent[PLACE["crashes"]]
        below, above = (world.client, world.down), (world.gateways, world.store, world.up, fresh)
        if below not in self._left:
            client = self.clients.values[world.client]
            self._left[below] = self.frames.of(
                frozenset(each for each in self.frames.values[world.down] if forgotten.for_client(each, client))
            )
        if above not in self._left:
            processes, rows = [self.processes.values[number] for number in world.gateways], self.stores.values[world.store]
            kept = (each for each in self.frames.values[world.up] if forgotten.for_gateways(each, processes, rows, fresh=fresh))
            self._left[above] = self.frames.of(frozenset(kept))
        down, up = self._left[below], self._left[above]
        return world if (down, up) == (world.down, world.up) else world._replace(down=down, up=up)

    def _perform(self, world: World, at: int, which: int, how: str) -> World:
        """Let the store perform an ask of one process, or fail, or fail to say that it has performed it."""
        queue = self.queues.values[world.queues[at]]
        ask, rows = queue.asks[which], self.stores.values[world.store]
        rows, answer = of_store.performed(rows, ask, self.bounds.live) if how != "failed" else (rows, None)
        told = answer if answer and how == "done" else Answer(ask, Outcome.FAILED)
        queue = Queue((*queue.asks[:which], *queue.asks[which + 1 :]), (*queue.answers, told))
        world = world._replace(store=self.stores.of(rows), queues=put(world.queues, at, self.queues.of(queue)))
        return world if how == "done" else spend(world, "faults")


def spend(world: World, what: str) -> World:
    """Return a world in which the adversary has done something once more."""
    return world._replace(spent=put(world.spent, PLACE[what], world.spent[PLACE[what]] + 1))


def put(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    """Return a tuple with another number in one place."""
    return (*values[:at], value, *values[at + 1 :])
