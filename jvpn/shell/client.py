"""The client process: the core's client engine, its carriers, TUN, audit writer and control socket."""

from ipaddress import ip_address, ip_interface
from typing import Any, Final

import structlog

from core import limits
from core.client.attempts import Keys
from core.client.client import Client
from core.client.contact import ClientPolicy
from core.client.states import State
from core.crypto.primitives import MlKem768
from core.errors import require
from core.reasons import Carrier, Event, Reason
from core.values import CloseSession, Connect, Instant, Path, Route, Settle
from jvpn.shell import keyfile, service
from jvpn.shell.admission import Peer
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.clock import boottime, past, wall
from jvpn.shell.config import ClientConfig
from jvpn.shell.control import Control
from jvpn.shell.driver import Driver
from jvpn.shell.entropy import entropy
from jvpn.shell.netwatch import NetKind, NetWatch, Watch
from jvpn.shell.pump import Pump
from jvpn.shell.service import Parts
from jvpn.shell.transports.base import Dialler
from jvpn.shell.transports.tcp import TcpClient
from jvpn.shell.transports.udp import UdpClient
from jvpn.shell.trust import Documents
from jvpn.shell.tun import PacketPort, Tun
from jvpn.shell.vault import vault_of

RECONNECT_NS: Final = 1 * limits.SECOND  # doubling
RECONNECT_NS_MAX: Final = 30 * limits.SECOND
WAYS: Final = frozenset({NetKind.ADDRESS_ADDED, NetKind.ROUTES_CHANGED, NetKind.OVERFLOW})
SPARE_NS: Final = 10 * limits.SECOND  # a connection that the session does not need is closed after this

log = structlog.get_logger(__name__)


def serve(config: ClientConfig) -> int:
    """Keep a session until SIGTERM or SIGINT, with a new one after each that ended; return the exit status.

    Raises:
        Unavailable: the machine cannot give what the configuration asks for.
    """
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return service.serve(lambda: ClientProcess(config))


class ClientProcess(Parts):
    """Everything that a client process holds."""

    def __init__(self, config: ClientConfig) -> None:
        """Open everything and start to connect; raise Unavailable with what to do."""
        super().__init__()
        self._config, boot, self._past = config, entropy(8), past()
        self._keys = Keys(keyfile.load_device(config.key, vault_of(config.key_passphrase)), config.gateway_public, MlKem768())
        makers = {Carrier.UDP: (UdpClient, config.gateway_udp), Carrier.TCP: (TcpClient, config.gateway_tcp)}
        self._carriers = tuple(Carrier(each) for each in config.carriers)
        self._policy = ClientPolicy(self._carriers, config.tun.mtu, config.policy.transport_loss_s * limits.SECOND,
                                    config.policy.health_ms * limits.MILLISECOND)  # fmt: skip
        self.engine = Client(self._keys, self._policy, entropy)
        with self._opening():
            self.port: PacketPort = self._keep(Pump(config.state / "pump.sock") if config.tun.kind == "pump" else Tun(config.tun.name))
            self._transports: list[Dialler] = []
            for carrier in self._carriers:
                make, remote = makers[carrier]
                require(remote is not None, "the configuration has an endpoint for each carrier that it names")
                self._transports.append(self._keep(make(remote, config.bind)))
            self._watch: Watch = self._keep(NetWatch())
            writer = Writer(config.audit.dir, config.node, boot, "client", config.audit.segment_bytes, config.audit.names_months)
            self.link = self._keep(AuditLink(writer, wall, boottime()))
            self.driver = Driver(self.engine, self._transports, self.port, self.link)
            self.control = self._keep(Control(config.state, self.driver.poll, self._answer))
        self.driver.poll.watcher(lambda _fd: self._network()).watch(self._watch.fileno())
        self.driver.on_route, self.driver.on_second = self._route, self._second
        self.driver.on_signal = lambda _number: self._judge_keys(boottime())
        self._spare: dict[Path, Instant] = {}
        self._connect_at, self._wait = boottime(), RECONNECT_NS
        self._record(Event.PROCESS_STARTED, Reason.PROCESS_STARTED)
        self._refusal: Reason | None = None
        self._peer = self._trusted(config)
        self._judge_keys(boottime())
        if self._refusal is None:
            self.driver.execute(self.engine.command(Connect(), boottime()))
        log.info("client_ready", carriers=[each.name.lower() for each in self._carriers], tun=self.port.name)

    def close(self) -> None:
        """Say good-bye to the gateway, record what is only summed, close everything."""
        self._end((CloseSession(), Settle()), self._watch)
        log.info("client_stopped")

    def _serial(self) -> int:
        return self.engine.serial()

    def _trusted(self, config: ClientConfig) -> Peer | None:
        """Return the gateway's keys as signed documents judge them; None where the configuration has no `[trust]`."""
        if config.trust is None:
            return None
        documents = Documents(config.trust, config.state, self._serial, self.driver.record)
        stale, node = config.trust.stale, config.gateway_node
        return Peer(documents, config.gateway_public, self._serial, self.driver.record, stale=stale, node=node)

    def _judge_keys(self, now: Instant) -> None:
        """Read the documents again [K-32]: nothing begins but under the key that they offer [K-39] [K-44], what is over ends [K-40]."""
        self._judge_at = Instant(now + limits.KEY_CHECK_NS)
        if self._peer:
            order = self._peer.admission(wall() // limits.SECOND, now, self._past() // limits.SECOND)
            if order.refusal is not self._refusal:
                log.warning("admission_changed", nobody_new_because=order.refusal.name if order.refusal else None)
            self._refusal = order.refusal
            self.engine.keys = self._keys = self._keys._replace(gateway=self._peer.public)
            self._withhold()
            self.driver.execute(self.engine.command(order, now))

    def _withhold(self) -> None:
        """Keep back INIT while nothing may begin, and REATTACH while the session's key is not good for it [K-39] [K-45]."""
        if self._peer:
            self.driver.withheld = self._peer.withheld(self.engine.gateway())

    def _route(self, route: Route) -> None:
        """Give the TUN the addresses that the gateway handed out, and send the configured networks through it."""
        if not route.up:
            return  # the routes stay: traffic must not leave beside the tunnel while a new session is made
        four, six = (str(ip_address(each)) for each in route.addresses)
        self.port.configure([ip_interface(f"{four}/32"), ip_interface(f"{six}/128")], self._config.tun.mtu)
        for network in self._config.tun.routes:
            self.port.add_route(network)

    def _network(self) -> None:
        """Close the paths whose local address is gone: the core then moves the session. Dial again when there may be a way again.

        After an overflow the kernel is asked which addresses there are: what it could not tell may be the end of the path in use.
        """
        events = self._watch.read()
        kinds = {event.kind for event in events}
        gone = {event.address for event in events if event.kind is NetKind.ADDRESS_REMOVED}
        if NetKind.OVERFLOW in kinds:
            gone |= {path.local.address for path in self.engine.paths.values()} - self._watch.addresses()
        for path in [path for path in self.engine.paths.values() if path.local.address in gone]:
            for transport in self._transports:
                transport.close_path(path)
        if self.engine.state in {State.CONNECTING, State.SEEKING} and WAYS & kinds:
            for transport in self._transports:  # a stream's dial is in flight and repeats its SYN; a datagram's has failed at once
                if transport.carrier == Carrier.UDP and Carrier.UDP not in self.engine.paths:
                    transport.dial(boottime())

    def _second(self, now: Instant) -> None:
        """Make a new session after one that ended; close connections that nothing needs."""
        if now >= self._judge_at:
            self._judge_keys(now)
        if self._refusal is None and self.engine.state in {State.IDLE, State.CLOSED} and now >= self._connect_at:
            self._wait = min(2 * self._wait, RECONNECT_NS_MAX)
            self._connect_at = Instant(now + self._wait)
            paths = self.engine.paths
            self.engine = self.driver.engine = Client(self._keys, self._policy, entropy, self.engine.serial())
            self.engine.paths = paths
            self._withhold()
            self.driver.execute(self.engine.command(Connect(), now))
        elif self.engine.state is State.ATTACHED:
            self._wait = RECONNECT_NS
        spare = {path for path in self.engine.paths.values() if path.serial and not self.engine.needs(path)}
        self._spare = {path: self._spare.get(path, now) for path in spare}
        for path in [path for path, since in self._spare.items() if now - since >= SPARE_NS]:
            for transport in self._transports:
                transport.close_path(path)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.status() if request == {"order": "status"} else {"error": "unknown order; known is status"}

    def status(self) -> dict[str, Any]:
        """Return what a user asks first."""
        engine, now = self.engine, boottime()
        epoch, life = engine.committed, engine.life
        counters = {each.name.lower(): {name: getattr(transport.counters, name) for name in transport.counters.__slots__}
                    for each, transport in zip(self._carriers, self._transports, strict=True)}  # fmt: skip
        refusal = self._refusal.name if self._refusal else None
        trust = {
            "nobody_new_because": refusal,
            "gateway_key": self._peer.state(engine.gateway()),
            "floors_not_kept": self._peer.unkept(),
        } if self._peer else None  # fmt: skip
        return {
            "role": "client",
            "state": State(engine.state).name,
            "correlation_id": life.correlation.hex() if life else None,
            "carrier": Carrier(epoch.path.carrier).name if epoch else None,
            "epoch": epoch.attempt if epoch else None,
            "binding_version": life.binding_version if life else None,
            "inner4": str(ip_address(life.addresses[0])) if life and life.addresses[0] else None,
            "inner6": str(ip_address(life.addresses[1])) if life and life.addresses[1] else None,
            "round_trip_us": engine.round_trip_ns // limits.MICROSECOND,
            "heard_ms_ago": (now - engine.heard_at) // limits.MILLISECOND if epoch else None,
            "received_bytes": epoch.received_bytes if epoch else 0,
            "sent_bytes": epoch.sent_bytes if epoch else 0,
            "inner": self.driver.counters,
            "transports": counters,
            "trust": trust,
            "audit": self.link.status(),
        }
