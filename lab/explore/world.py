"""The world around the engines: frames ever sent, the store and what it was asked, and each thing that the adversary can do."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from core.client.contact import ClientPolicy
from core.client.states import State as ClientState
from core.reasons import Carrier
from core.session.desk import Policy
from core.values import Answer, Ask, CloseSession, Endpoint, Fact, Instant, Outcome, Path, Row, Tombstone
from lab.explore.copying import FIRST, LAST, Drawn, DrawnKem
from lab.explore.parts import ATTACKER, Did, Input, Part, Parts, waits_of_client, waits_of_gateway
from lab.sim.frames import packet, there
from lab.sim.twins import Store
from lab.sim.world import GATEWAY_AT, INNER_GATEWAY, World

HOUR_NS: Final = 3_600 * 10**9
UNHEARD: Final = 10**8 * HOUR_NS  # a clock that never comes
Action = tuple[Any, ...]


class Bounds(NamedTuple):
    """How often the adversary may do what it does; frames are delivered, repeated, reordered and re-sourced without a bound."""

    gateways: int = 1
    born: int = 1  # whether the world begins with a session
    tcp: int = 0  # whether the client has a second carrier
    attempts: int = 3
    asks: int = 2  # how many asks and answers of one gateway wait at the store
    waits: int = 2
    longest_ms: int = 20_000  # what is further away is not waited for
    moves: int = 1
    crashes: int = 0
    client_crashes: int = 0
    store_faults: int = 0
    says: int = 0
    orders: int = 0
    attacker: int = 1  # whether frames also come from an address of the adversary
    memory: int = 1  # whether the adversary has the frames that were sent before the world begins
    worlds: int = 100_000


SPENT: Final = ("waits", "moves", "crashes", "client_crashes", "store_faults", "says", "orders")


class Queue(NamedTuple):
    """What one gateway has asked of the store and is not yet performed, and the answers that are on their way."""

    asks: tuple[Ask, ...] = ()
    answers: tuple[Answer, ...] = ()


class Stored(NamedTuple):
    """The store: its rows, by handle, and the evidence that it keeps."""

    rows: tuple[Row, ...]
    outbox: tuple[Fact, ...]


class Scene(NamedTuple):
    """Everything that there is. `up` are the numbers of frames for the gateways with their sources, `down` those for the client."""

    gateways: tuple[int, ...]
    client: int
    store: Stored
    queues: tuple[Queue, ...]
    up: frozenset[int]
    down: frozenset[int]
    dials: tuple[Path, ...]
    ended: frozenset[tuple[int, int]]
    boots: int
    spent: tuple[int, ...]


class QuietStore(Store):
    """The twin of the store, without the look at each fact that playbooks have."""

    def keep(self, fact: Fact) -> None:
        """Keep evidence."""
        self.outbox.append(fact)


class Stage:
    """What does not change: bounds, parts, and the frames by number."""

    def __init__(self, bounds: Bounds) -> None:
        """Build the first scene from a world of the playbooks."""
        self.bounds, entropy = bounds, Drawn()
        carriers = (Carrier.UDP, Carrier.TCP) if bounds.tcp else (Carrier.UDP,)
        policy, client_policy = Policy(health_ns=UNHEARD), ClientPolicy(carriers, health_ns=UNHEARD)
        world = World(policy=policy, client_policy=client_policy, kem=DrawnKem(entropy))
        world.entropy = entropy  # type: ignore[assignment]  # of the same use
        world.desk.entropy, world.client._entropy = entropy, entropy  # noqa: SLF001 - the laboratory plays the world
        if bounds.born:
            world.connected()
            if not world.attached():
                raise ValueError("the world does not begin with a session")
        self.parts, self.frames = Parts(world, entropy), list[tuple[bytes, Path]]()
        self._numbers: dict[tuple[bytes, Path], int] = {}
        first = self.parts.add(world.gateway, world.now)
        gateways = (first, *(self.parts.new_gateway(boot, world.now) for boot in range(2, bounds.gateways + 1)))
        store = Stored(tuple(fixed(row) for row in world.store.rows.values()), tuple(map(named, world.store.outbox)))
        sent = [(each.frame, each.path, each.sender) for each in world.sent if bounds.memory and each.kind != "PROBE"]
        self.first = [(each.frame, each.path, each.sender) for each in world.sent]
        up = frozenset(self.number(frame, there(path)) for frame, path, sender in sent if sender == "client")
        down = frozenset(self.number(frame, path) for frame, path, sender in sent if sender == "gateway")
        client = self.parts.add(world.client, world.now)
        if any(FIRST <= handle < LAST for handle in world.store.rows):
            raise ValueError("a handle looks like a time: choose another seed")
        self.start = Scene(gateways, client, store, (Queue(),) * len(gateways), up, down, (), frozenset(), len(gateways), (0,) * len(SPENT))

    def number(self, frame: bytes, path: Path) -> int:
        """Return the number of a frame that was sent on a path, as the gateway sees it."""
        if (frame, path) not in self._numbers:
            self._numbers[frame, path] = len(self.frames)
            self.frames.append((frame, path))
        return self._numbers[frame, path]

    def part(self, number: int) -> Part:
        """Return a part."""
        return self.parts.known[number]

    # --- what can happen ---

    def actions(self, scene: Scene) -> Iterator[Action]:
        """Yield everything that the adversary can do now."""
        for at, queue in enumerate(scene.queues):
            if queue.asks:
                yield "perform", at, "done"
                if self.left(scene, "store_faults"):
                    yield "perform", at, "failed"
                    yield "perform", at, "failed but done"
            if queue.answers:
                yield "answer", at
            for number in scene.up:
                yield "up", at, number, False
                if self.bounds.attacker:
                    yield "up", at, number, True
            if self.left(scene, "waits"):
                longest = self.bounds.longest_ms * 10**6
                yield from (("gateway waits", at, wait) for wait in waits_of_gateway(self.part(scene.gateways[at])) if wait <= longest)
            if self.left(scene, "crashes"):
                yield "crash", at
            if self.left(scene, "orders"):
                yield from (("close", at, handle) for handle in self.part(scene.gateways[at]).engine.desk.sessions)
            if self.left(scene, "says"):
                yield "tell", at
        yield from self._client_actions(scene)

    def left(self, scene: Scene, what: str) -> bool:
        """Tell whether the adversary may still do something."""
        most: int = getattr(self.bounds, what)
        return scene.spent[SPENT.index(what)] < most

    def _client_actions(self, scene: Scene) -> Iterator[Action]:
        part = self.part(scene.client)
        client = part.engine
        if client.state in {ClientState.IDLE, ClientState.CLOSED}:
            yield ("connect",)
        if client.state is ClientState.IDLE:
            return
        if client.state is not ClientState.CLOSED:
            for path in client.paths.values():
                yield from (("down", number, path) for number in scene.down)
            if self.left(scene, "waits"):
                yield from (("client waits", wait) for wait in waits_of_client(part) if wait <= self.bounds.longest_ms * 10**6)
            if self.left(scene, "moves"):
                yield ("move",)
                yield from (("close path", path) for path in client.paths.values() if path.serial)
            if self.left(scene, "says"):
                yield ("say",)
            if self.left(scene, "orders"):
                yield ("client closes",)
            for path in scene.dials:
                yield "dial works", path
                yield "dial fails", path
        if self.left(scene, "client_crashes"):
            yield ("client crashes",)

    # --- what comes of it ---

    def after(self, scene: Scene, action: Action) -> tuple[Scene, Did | None]:
        """Return the scene after an action, and what the part concerned did."""
        match action:
            case ("perform", int(at), how):
                return self._perform(scene, at, how), None
            case ("crash", int(at)):
                fresh = self.parts.new_gateway(scene.boots + 1, self.part(scene.gateways[at]).now)
                kept = frozenset(each for each in scene.ended if each[0] != at)
                scene = scene._replace(gateways=put(scene.gateways, at, fresh), queues=put(scene.queues, at, Queue()), ended=kept)
                return self._spend(scene._replace(boots=scene.boots + 1), "crashes"), None
            case ("client crashes",):
                part = self.part(scene.client)
                fresh = self.parts.new_client(part.now, part.address + 1)
                return self._spend(scene._replace(client=fresh, dials=()), "client_crashes"), None
            case _:
                pass
        side, at, heard, spends = self.input_of(scene, action)
        did = self.parts.step(scene.gateways[at] if side == "gateway" else scene.client, heard)
        scene = self._gateway_did(scene, at, did) if side == "gateway" else self._client_did(scene, did)
        match action:
            case ("answer", int(at)):
                scene = scene._replace(queues=put(scene.queues, at, scene.queues[at]._replace(answers=scene.queues[at].answers[1:])))
            case ("dial works" | "dial fails", Path() as path):
                scene = scene._replace(dials=tuple(each for each in scene.dials if each != path))
            case _:
                pass
        return (self._spend(scene, spends) if spends else scene), did

    def input_of(self, scene: Scene, action: Action) -> tuple[str, int, Input, str]:  # noqa: C901, PLR0911, PLR0912 - one case an action
        """Return which side hears an action, which gateway, what exactly, and what it costs."""
        match action:
            case ("up", int(at), int(number), from_attacker):
                frame, path = self.frames[number]
                return "gateway", at, ("frame", frame, ATTACKER if from_attacker else path), ""
            case ("down", int(number), Path() as path):
                return "client", 0, ("frame", self.frames[number][0], path), ""
            case ("answer", int(at)):
                return "gateway", at, ("answer", scene.queues[at].answers[0]), ""
            case ("gateway waits", int(at), int(wait)):
                return "gateway", at, ("wait", wait), "waits"
            case ("client waits", int(wait)):
                return "client", 0, ("wait", wait), "waits"
            case ("close", int(at), int(handle)):
                return "gateway", at, ("order", CloseSession(handle)), "orders"
            case ("client closes",):
                return "client", 0, ("order", CloseSession()), "orders"
            case ("tell", int(at)):
                device = next(iter(self.part(scene.gateways[at]).engine.desk.devices.values()))
                return "gateway", at, ("say", packet(INNER_GATEWAY, device.inner4)), "says"
            case ("say",):
                life = self.part(scene.client).engine.life
                return "client", 0, ("say", packet(life.addresses[0] if life else bytes(4), INNER_GATEWAY)), "says"
            case ("move",):
                return "client", 0, ("move",), "moves"
            case ("close path", Path() as path):
                return "client", 0, ("closed", path), "moves"
            case ("dial works", Path() as path):
                return "client", 0, ("opened", path), ""
            case ("dial fails", Path() as path):
                return "client", 0, ("closed", path._replace(local=Endpoint(bytes(16), 0))), ""
            case ("connect",):
                return "client", 0, ("connect",), ""
            case _:
                raise ValueError(action)

    def _spend(self, scene: Scene, what: str) -> Scene:
        return scene._replace(spent=put(scene.spent, SPENT.index(what), scene.spent[SPENT.index(what)] + 1))

    def _gateway_did(self, scene: Scene, at: int, did: Did) -> Scene:
        down = frozenset(self.number(frame, path) for frame, path in did.sent)
        queue = scene.queues[at]
        scene = scene._replace(gateways=put(scene.gateways, at, did.part), down=scene.down if down <= scene.down else scene.down | down)
        if did.asks:
            scene = scene._replace(queues=put(scene.queues, at, queue._replace(asks=queue.asks + did.asks)))
            ended = frozenset((at, ask.operation.handle) for ask in did.asks if isinstance(ask.operation, Tombstone))
            scene = scene._replace(ended=scene.ended | ended)
        return scene

    def _client_did(self, scene: Scene, did: Did) -> Scene:
        up = frozenset(self.number(frame, there(path)) for frame, path in did.sent)
        scene = scene._replace(client=did.part, up=scene.up if up <= scene.up else scene.up | up)
        for carrier in did.dials:
            serial = 1 + max([path.serial for path in scene.dials] + [self.frames[each][1].serial for each in scene.up], default=0)
            path = Path(carrier, serial, Endpoint(bytes(15) + b"\1", 50_000 + serial), GATEWAY_AT)
            if not any(each.carrier == carrier for each in scene.dials):
                scene = scene._replace(dials=(*scene.dials, path))
        return scene

    def _perform(self, scene: Scene, at: int, how: str) -> Scene:
        """Let the store perform the first ask of one gateway, or fail, or fail to say that it has performed it."""
        ask, *rest = scene.queues[at].asks
        store, answer = performed(scene.store, ask) if how != "failed" else (scene.store, None)
        told = answer if answer and how == "done" else Answer(ask.ticket, Outcome.FAILED)
        queue = Queue(tuple(rest), (*scene.queues[at].answers, told))
        scene = scene._replace(store=store, queues=put(scene.queues, at, queue))
        return scene if how == "done" else self._spend(scene, "store_faults")


def performed(store: Stored, ask: Ask) -> tuple[Stored, Answer]:
    """Return the store after one operation, and its answer."""
    twin = QuietStore({row.handle: row for row in store.rows}, list(store.outbox))
    answer = twin.execute(ask)
    return Stored(tuple(twin.rows[handle] for handle in sorted(twin.rows)), tuple(map(named, twin.outbox))), answer


def named(fact: Fact) -> Fact:
    """Return a fact without what tells equal histories apart: numbers of records, clocks, measures."""
    return fact._replace(serial=0, caused_by=0, at=Instant(0), state_version=0, measures=(0, 0, 0, 0))


def fixed(row: Row) -> Row:
    """Return a row as it is kept in a scene."""
    return row


def put(values: tuple[Any, ...], at: int, value: object) -> tuple[Any, ...]:
    """Return a tuple with another value in one place."""
    return (*values[:at], value, *values[at + 1 :])
