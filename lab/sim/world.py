"""A small world for playbooks: gateway engine, store, hosts with their client engines, and a network that its player holds in his hands.

Time passes only in `World.run`. Every frame is in `World.sent`, every record in `World.facts`, `Host.facts` and `Store.outbox`.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from core import limits
from core.client.attempts import Keys
from core.client.client import Client
from core.client.contact import ClientPolicy
from core.client.states import State
from core.crypto.primitives import Kem, PrivateKey
from core.crypto.secret import Secret
from core.engine.gateway import Gateway
from core.reasons import Carrier, Event, Reason
from core.session.desk import Desk, Identity, Policy
from core.session.session import Session
from core.session.states import State as SessionState
from core.values import Ask, Connect, Deliver, Device, Dial, Endpoint, Fact, Instant, Output, Path, PathEvent, Record, Route, Transmit
from lab.sim.frames import Sent, kind_of, packet, there, v4
from lab.sim.recorded import recorded
from lab.sim.twins import Entropy, Store, TwinKem

MS: Final = limits.MILLISECOND
GATEWAY_AT: Final = Endpoint(v4(2), 51_820)
INNER_GATEWAY: Final = bytes((10, 77, 0, 1))
STRAIGHT: Final = (0,)
TURNS_PER_MS: Final = 200  # more than any playbook has on purpose
WORLDS: Final["list[World]"] = []  # of this process, for whoever looks at every world when it is over

Network = Callable[[str, str, bytes], Sequence[int]]
"""From sender ("client" or "gateway"), kind and frame to the extra delay, in ns, of each copy that arrives: () is a loss."""


class Host:
    """A device on its network: its address, its open paths, what it received, and its client engine.

    `nat` is the source that the gateway sees instead of the true one, without the client's knowledge.
    """

    def __init__(self, world: "World", number: int, device_key: PrivateKey, policy: ClientPolicy) -> None:
        self.world, self.key = world, device_key
        self.device = Device(device_key.public, bytes((10, 77, 0, 1 + number)), bytes(15) + bytes((1 + number,)))
        self.address, self.port = v4(10 + number), 40_000 + number
        self.nat: Endpoint | None = None
        self.off = False  # a machine that sleeps: nothing comes, nothing goes, no clock is judged
        self.paths: dict[int, Path] = {}
        self.streams: set[Path] = set()
        self.facts: list[Fact] = []
        self.down: list[bytes] = []
        self.client = Client(Keys(device_key, world.static.public, world.kem), policy, world.entropy)

    def connect(self, milliseconds: float = 100) -> None:
        """Open UDP, order a session, and wait for it."""
        self.dial(Carrier.UDP)
        self.does(lambda: self.client.command(Connect(), self.world.now))
        self.world.run(milliseconds)

    def dial(self, carrier: int) -> None:
        """Open a path, or report that it cannot be; a stream to a gateway that cannot be reached fails later."""
        world, serial = self.world, 0
        if carrier != Carrier.UDP:
            world.serial = serial = world.serial + 1
        path = Path(carrier, serial, Endpoint(self.address, 50_000 + serial if serial else self.port), GATEWAY_AT)
        if carrier in world.refused or (serial and carrier in world.cut):
            unknown = path._replace(local=Endpoint(bytes(16), 0))
            world.later(
                lambda: self.does(lambda: self.client.path_event(unknown, PathEvent.CLOSED, world.now)), 2_000 * MS if serial else 0
            )
        elif serial:
            world.later(lambda: self.opened(path))
        else:
            self.opened(path)

    def opened(self, path: Path) -> None:
        """Tell the client that a path is open."""
        self.paths[path.carrier] = path
        self.streams |= {path} if path.serial else set()
        self.does(lambda: self.client.path_event(path, PathEvent.OPENED, self.world.now))

    def close(self, carrier: int, *, gateway: bool = True) -> None:
        """Close a path; a stream is reset at the gateway too, unless the reset is lost."""
        mine = self.paths.pop(carrier)
        self.streams.discard(mine)
        if mine.serial and gateway:
            self.world.gateway_does(lambda: self.world.gateway.path_event(there(mine), PathEvent.CLOSED, self.world.now))
        self.does(lambda: self.client.path_event(mine, PathEvent.CLOSED, self.world.now))

    def move(self, address: bytes) -> None:
        """Change the address as a host does that notices: the old path is closed and a new one opened."""
        self.address = address
        self.close(Carrier.UDP)
        if Carrier.UDP not in self.paths:
            self.dial(Carrier.UDP)

    def say(self, payload: bytes = b"x", source: bytes = b"", destination: bytes = INNER_GATEWAY) -> None:
        """Send one inner packet up."""
        inner = packet(source or self.device.inner4, destination, payload)
        self.does(lambda: self.client.send(0, [inner], self.world.now))

    def tell(self, payload: bytes = b"y") -> None:
        """Send one inner packet down, if the gateway knows the way."""
        world, inner = self.world, packet(INNER_GATEWAY, self.device.inner4, payload)
        handle = world.gateway.session_for(self.device.inner4)
        if handle is not None:
            world.gateway_does(lambda: world.gateway.send(handle, [inner], world.now))

    def chat(self) -> None:
        """Send one packet each way."""
        self.say()
        self.tell()

    def does(self, call: Callable[[], list[Output]]) -> None:
        """Execute what the client engine puts out."""
        for output in call():
            match output:
                case Transmit(path, frames):
                    for frame in frames:
                        self.world.carry(Sent("client", path, frame, kind_of(frame, "client")), self)
                case Deliver(_, packets):
                    self.down += packets
                case Record(fact):
                    self.facts.append(fact)
                    recorded(fact, "client")
                case Dial(carrier):
                    self.dial(carrier)
                case Route():
                    pass
                case _:
                    raise AssertionError(output)

    def hears(self, frame: bytes, path: Path) -> None:
        """Let a frame arrive now."""
        if not self.off:
            self.does(lambda: self.client.receive([frame], path, self.world.now))

    def sees(self, path: Path) -> Endpoint | None:
        """Return the source that the gateway sees on a path of this host; None when the path is dead."""
        if self.off or path.local.address != self.address or path not in {*self.paths.values(), *self.streams}:
            return None
        return self.nat if self.nat and not path.serial else path.local


class World:
    """One gateway and its hosts on one clock. `cut` holds carriers whose frames are lost, `refused` carriers that cannot be opened."""

    def __init__(self, seed: str = "w", *, policy: Policy | None = None, client_policy: ClientPolicy | None = None,
                 latency_ms: int = 2, kem: Kem | None = None) -> None:  # fmt: skip
        self.entropy, self.kem, self.now, self.store = Entropy(seed), kem or TwinKem(), Instant(10**12), Store()
        self.latency, self.policy, self.client_policy = latency_ms * MS, policy or Policy(), client_policy or ClientPolicy()
        self.static, self.k_loc, self.kek = PrivateKey(self.entropy(32)), Secret(self.entropy(32)), Secret(self.entropy(32))
        self.statics: tuple[PrivateKey, ...] = (self.static,)
        self.boots = self.serial = self._order = 0
        self.facts: list[Fact] = []
        self.boots_of: list[int] = []  # of each of those facts: which gateway process made it
        self.broken = False  # whether the player breaks something that production checks
        self.sent: list[Sent] = []
        self.delivered: list[tuple[int, bytes]] = []
        self.cut: set[int] = set()
        self.refused: set[int] = set()
        self.network: Network = lambda _sender, _kind, _frame: STRAIGHT
        self._flight: list[tuple[int, int, Callable[[], None]]] = []
        self.devices: dict[bytes, Device] = {}
        self.hosts: list[Host] = []
        self.host = self.new_host()
        self.start_gateway()
        WORLDS.append(self)

    def new_host(self, *, like: Host | None = None) -> Host:
        """Add a host with a device of its own, or with the device key of another."""
        host = Host(self, len(self.hosts) + 1, like.key if like else PrivateKey(self.entropy(32)), self.client_policy)
        if like:
            host.device = like.device
        self.hosts.append(host)
        self.devices = {**self.devices, host.device.public: host.device}
        if self.boots:
            self.desk.devices = self.devices
        return host

    def start_gateway(self) -> None:
        """Start the gateway afresh on the same store, as after a crash: what it held in memory is gone, and its streams with it."""
        self.boots += 1
        boot, hour = self.boots.to_bytes(8, "big"), 480_000
        identity = Identity(self.statics, b"node-one", boot, (self.k_loc,), self.kek, hour, hour * 3_600 * limits.SECOND)
        self.desk = Desk(identity, self.policy, self.devices, self.entropy)
        self.gateway = Gateway(self.desk, self.kem)

    @property
    def client(self) -> Client:
        """The first host's engine."""
        return self.host.client

    @property
    def session(self) -> Session:
        """The one session that the gateway holds."""
        (session,) = self.desk.sessions.values()
        return session

    def connected(self) -> "World":
        """Bring the first host's session up."""
        self.host.connect()
        return self

    def attached(self) -> bool:
        """Tell whether the first host's client has a session and a path."""
        return self.client.state is State.ATTACHED

    # --- network ---

    def carry(self, sent: Sent, host: Host) -> None:
        """Put a client's frame on its way."""
        self.sent.append(sent)
        source = host.sees(sent.path)
        if source is not None:
            arrived = Path(sent.path.carrier, sent.path.serial, GATEWAY_AT, source)
            self.fly(sent, lambda: self.inject(sent.frame, arrived))

    def inject(self, frame: bytes, path: Path) -> None:
        """Let a frame arrive at the gateway now."""
        self.gateway_does(lambda: self.gateway.receive([frame], path, self.now))

    def carry_back(self, sent: Sent) -> None:
        """Put a gateway's frame on its way to whichever host is there."""
        self.sent.append(sent)
        for host in self.hosts:
            for mine in {*host.streams, *host.paths.values()}:
                if (mine.carrier, mine.serial) == sent.path[:2] and host.sees(mine) == sent.path.remote:
                    self.fly(sent, partial(host.hears, sent.frame, mine))

    def fly(self, sent: Sent, arrive: Callable[[], None]) -> None:
        """Deliver a frame as often and as late as the network says."""
        if sent.path.carrier not in self.cut:
            for delay in self.network(sent.sender, sent.kind, sent.frame):
                self.later(arrive, delay)

    def later(self, action: Callable[[], None], delay: int = 0) -> None:
        """Let something happen after the latency and `delay` ns."""
        self._order += 1
        heapq.heappush(self._flight, (self.now + self.latency + delay, self._order, action))

    def drop(self, kind: str, times: int = 1, sender: str = "") -> None:
        """Lose the next `times` frames of a kind."""
        left = [times]

        def network(who: str, what: str, _frame: bytes) -> Sequence[int]:
            if left[0] and what == kind and sender in {"", who}:
                left[0] -= 1
                return ()
            return STRAIGHT

        self.network = network

    # --- outputs and time ---

    def gateway_does(self, call: Callable[[], list[Output]]) -> None:
        """Execute what the gateway engine puts out."""
        for output in call():
            match output:
                case Transmit(path, frames):
                    for frame in frames:
                        self.carry_back(Sent("gateway", path, frame, kind_of(frame, "gateway")))
                case Deliver(handle, packets):
                    self.delivered += [(handle, inner) for inner in packets]
                case Record(fact):
                    self.facts.append(fact)
                    self.boots_of.append(self.boots)
                    recorded(fact, "gateway")
                case Ask() as ask:
                    self.store.submit(ask, self._answerer())
                case Route():
                    pass
                case _:
                    raise AssertionError(output)
        self.store.settle(self.later)

    def _answerer(self) -> Callable[..., None]:
        asker = self.gateway
        return lambda answer: self.gateway_does(lambda: self.gateway.answer([answer], self.now)) if asker is self.gateway else None

    def release(self) -> None:
        """Let the store do what it kept."""
        self.store.silent = self.store.mute = False
        self.store.settle(self.later)

    def run(self, milliseconds: float, every: Callable[[], None] | None = None, step_ms: float = 5) -> None:
        """Let time pass from one event to the next, and call `every` each `step_ms`."""
        end, next_call = self.now + int(milliseconds * MS), self.now
        turns = deque([0], maxlen=TURNS_PER_MS)
        while self.now < end:
            if len(turns) == TURNS_PER_MS and self.now - turns[0] <= MS:
                raise AssertionError("a clock is always due")
            turns.append(self.now)
            awake = [host for host in self.hosts if not host.off]
            waits = [self.gateway.deadline(), *(host.client.deadline() for host in awake), next_call if every else None]
            waits += [Instant(self._flight[0][0])] if self._flight else []
            self.now = Instant(min(end, max(self.now + 1, min([at for at in waits if at is not None], default=end))))
            while self._flight and self._flight[0][0] <= self.now:
                heapq.heappop(self._flight)[2]()
            if (at := self.gateway.deadline()) is not None and at <= self.now:
                self.gateway_does(lambda: self.gateway.tick(self.now))
            for host in awake:
                if (at := host.client.deadline()) is not None and at <= self.now:
                    host.does(partial(host.client.tick, self.now))
            if every and self.now >= next_call:
                next_call = Instant(self.now + int(step_ms * MS))
                every()

    def run_until(self, happened: Callable[[], bool], milliseconds: float = 60_000, every: Callable[[], None] | None = None) -> None:
        """Let time pass until something has happened; fail when it does not."""
        end = self.now + int(milliseconds * MS)
        while not happened():
            if self.now >= end:
                raise AssertionError("it did not happen")
            self.run(10, every, step_ms=10)

    # --- what was recorded ---

    def story(self) -> list[Fact]:
        """Return all facts of the gateways, telemetry and evidence, in the order of their making (within one boot)."""
        return sorted([*self.facts, *self.store.outbox], key=lambda fact: (fact.at, fact.serial))

    def reasons(self, event: Event) -> list[Reason]:
        """Return the reasons of the gateway's facts of an event, in order."""
        return [fact.reason for fact in self.story() if fact.event is event]

    def ends(self) -> list[Reason]:
        """Return why sessions were terminated, each as often as that was recorded, as evidence or without a row as telemetry."""
        over = SessionState.TERMINATED
        return [fact.reason for fact in self.story() if fact.state_to == over != fact.state_from]

    def client_reasons(self, event: Event) -> list[Reason]:
        """The same of the first host's client."""
        return [fact.reason for fact in self.host.facts if fact.event is event]

    def kinds(self, sender: str) -> list[str]:
        """Return the kinds of all frames of one end, in order."""
        return [sent.kind for sent in self.sent if sent.sender == sender]
