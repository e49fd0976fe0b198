"""The gateway process: the core's gateway engine, its carriers, TUN, store, audit writer and control socket."""

import resource
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final

import structlog

from core import limits
from core.crypto.primitives import MlKem768
from core.engine.gateway import Gateway
from core.reasons import Carrier, Event, Reason
from core.session.desk import HOUR_S, Desk, Identity, Policy
from core.session.states import State
from core.values import AllowList, CloseSession, Instant, Keyring, Path, Route, Settle
from jvpn.shell import allowlist, figures, keyfile, service
from jvpn.shell.admission import Keys
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.clock import boottime, past, wall
from jvpn.shell.config import GatewayConfig
from jvpn.shell.control import GROUP, Control
from jvpn.shell.driver import Driver
from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable
from jvpn.shell.forms import key_text
from jvpn.shell.pump import Pump
from jvpn.shell.service import Parts
from jvpn.shell.stores.sqlite import SqliteStore
from jvpn.shell.transports.base import Transport, sockaddr
from jvpn.shell.transports.tcp import CONNECTIONS_MAX, TcpServer
from jvpn.shell.transports.udp import UdpServer
from jvpn.shell.trust import Documents
from jvpn.shell.tun import PacketPort, Tun
from jvpn.shell.vault import vault_of

CLOCK_STEP_NS: Final = 60 * limits.SECOND  # far more than a clock drifts in the life of a session
DESCRIPTORS: Final = CONNECTIONS_MAX + 1_024  # one server full of connections, and what everything else needs

log = structlog.get_logger(__name__)


def serve(config: GatewayConfig) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status. Sessions stay in the store and can be taken up after a restart.

    Raises:
        Unavailable: the machine cannot give what the configuration asks for.
    """
    _more_descriptors()
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return service.serve(lambda: GatewayProcess(config))


class GatewayProcess(Parts):
    """Everything that a gateway process holds."""

    def __init__(self, config: GatewayConfig) -> None:
        """Open everything; raise Unavailable with what to do."""
        super().__init__()
        self._config, self._boot, self._past = config, entropy(8), past()
        self._hour, self._started_s = self._past() // keyfile.HOUR_NS, wall() // limits.SECOND
        self._watched: Control | None = None
        self._vault = vault_of(config.key_passphrase)
        listed = allowlist.entries(config.devices)
        self._devices, self._times = allowlist.devices_of(listed), allowlist.times_of(listed)
        desk = Desk(self._identity(), policy(config), self._devices, entropy)
        self.engine = Gateway(desk, MlKem768())
        with self._opening():
            self.port = self._keep(_port(config))
            transports: list[Transport] = [self._keep(UdpServer(each)) for each in config.listen_udp]
            transports += [self._keep(TcpServer(each)) for each in config.listen_tcp]
            self.store = self._keep(SqliteStore(config.state / "store.sqlite", config.node, self._boot, wall))
            writer = Writer(config.audit.dir, config.node, self._boot, "gateway", config.audit.segment_bytes, config.audit.names_months)
            self.link = AuditLink(writer, wall, boottime(), self.store.evidence_to)
            self._keep(self.link)
            self.driver = Driver(self.engine, transports, self.port, self.link, self.store)
            self.control = self._keep(Control(config.state, self.driver.poll, self._answer))
            if (place := config.metrics_socket) is not None:
                self._watched = self._keep(Control(place.parent, self.driver.poll, self._tell, place.name, GROUP))
        self._keys = self._trusted(config)
        self._judge_at = boottime()
        self._unloaded: bytes | None = None
        self._reloaded: dict[str, str | None] | None = None
        self._streams = {id(transport): transport for transport in transports if transport.carrier == Carrier.TCP}
        self.driver.on_burst, self.driver.on_route = self._prove, self._bound
        self.driver.on_signal = lambda _number: self._reload()
        self.driver.on_second = self._second
        self._record(Event.PROCESS_STARTED, Reason.PROCESS_STARTED)
        self._judge_keys(boottime())
        log.info("gateway_ready", udp=len(config.listen_udp), tcp=len(config.listen_tcp), devices=len(self._devices), tun=self.port.name)

    def close(self) -> None:
        """Stop telling figures, record what is only summed, then close store before link, so that the last evidence is handed over."""
        if self._watched:
            self._watched.close()
        self._end((Settle(),), self.store)
        log.info("gateway_stopped")

    def _serial(self) -> int:
        return self.engine.desk.serial()

    def _identity(self) -> Identity:
        keys = keyfile.load_gateway(self._config.key, wall(), self._vault)
        self._floor_s = keyfile.seen_hour(keys.kek_hour) * HOUR_S
        self._at_zero = wall() - boottime()
        return Identity(keys.statics, self._config.node, self._boot, keys.locator_keys, keys.kek, keys.kek_hour, self._at_zero)

    def _trusted(self, config: GatewayConfig) -> Keys:
        """Return the keys as signed documents judge them, or, where the configuration has no `[trust]`, the allow list alone."""
        documents = Documents(config.trust, config.state, self._serial, self.driver.record) if config.trust else None
        stale = config.trust.stale if config.trust else "keep"
        return Keys(documents, config.node, self._serial, self.driver.record, stale=stale)

    def _judge_keys(self, now: Instant) -> None:
        """Read the documents again, and end what their keys carry no more [K-32]. No clock is behind the hour in the key file [K-42]."""
        self._judge_at = Instant(now + limits.KEY_CHECK_NS)
        own = [key.public for key in self.engine.desk.statics]
        wall_s, sure_s = (max(at // limits.SECOND, self._floor_s) for at in (wall(), self._past()))
        order = self._keys.admission(own, self._devices, wall_s, now, sure_s, self._times)
        if order.refusal is not self.engine.desk.admission.refusal:
            log.warning("admission_changed", nobody_new_because=order.refusal.name if order.refusal else None)
        if (offered := self._keys.unloaded) and offered != self._unloaded:
            to_do = "clients that ask under it get silence: put it into the key file, and reload"
            log.warning("offered_key_not_loaded", public=key_text(offered), to_do=to_do)
        self._unloaded = offered
        self.driver.execute(self.engine.command(order, now))

    def _prove(self, path: Path) -> None:
        """Keep a connection to which a session is bound."""
        if path.serial and self.engine.knows(path):
            for transport in self._streams.values():
                if transport.serves(path):
                    transport.prove(path, boottime())

    def _bound(self, route: Route) -> None:
        """Keep the connection of a session that was bound just now: the store's answer, not a frame, brought that about."""
        session = self.engine.desk.sessions.get(route.session)
        if route.up and session and session.active:
            self._prove(session.active.path)

    def _reload(self) -> dict[str, Any]:
        """Read allow list and key file again, for SIGHUP and `jvpn enroll`; a broken file changes nothing. Return what to answer."""
        try:
            listed, keys = allowlist.entries(self._config.devices), keyfile.load_gateway(self._config.key, self._past(), self._vault)
        except Unavailable as error:
            log.error("not_reloaded", error=str(error))  # noqa: TRY400 - the message says all; the trace would be ours
            self._reloaded = {"at": _utc(wall() // limits.SECOND), "outcome": "failed", "error": str(error)}
            return {"error": str(error)}
        devices = allowlist.devices_of(listed)
        self._devices, self._times = devices, allowlist.times_of(listed)
        for order in (AllowList(devices), Keyring(keys.statics, keys.locator_keys)):
            self.driver.execute(self.engine.command(order, boottime()))
        self._unloaded = None  # told again to whoever reloads, and so looks
        self._judge_keys(boottime())
        self._reloaded = {"at": _utc(wall() // limits.SECOND), "outcome": "done", "error": None}
        log.info("reloaded", devices=len(devices), static_keys=len(keys.statics))
        return {"devices": len(devices), "static_keys": len(keys.statics)}

    def _second(self, now: Instant) -> None:
        self._still_stored()
        self._hourly(self._past())
        self._compare_clocks(wall() - now)
        if now >= self._judge_at:
            self._judge_keys(now)

    def _still_stored(self) -> None:
        """End when the store's file is not where it was: this process would bind sessions that nobody else can see [O-26]."""
        if why := self.store.health().displaced:
            self.ending = Reason.STORE_DISPLACED
            raise Unavailable(f"{why}; put it back, or start again: without it clients make new sessions")

    def _compare_clocks(self, at_zero: int) -> None:
        """Tell the operator that somebody set the wall clock: rows count from the one at the start, the store purges by the one that is."""
        if abs(at_zero - self._at_zero) >= CLOCK_STEP_NS:
            log.error("clock_was_set", by_s=(at_zero - self._at_zero) // limits.SECOND, to_do="restart this gateway: its clients come back")
            self._at_zero = at_zero

    def _hourly(self, past_ns: int) -> None:
        """Destroy what the key file holds of row keys that no living row needs, once an hour [K-6]; loading it did so at the start."""
        if (hour := past_ns // keyfile.HOUR_NS) > self._hour:
            self._hour = hour
            try:
                keyfile.ratchet(self._config.key, past_ns, self._vault)
            except Unavailable as error:
                log.error("old_row_keys_kept", error=str(error))  # noqa: TRY400 - the message says all; the trace would be ours

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"order": "status"}:
                return self.status()
            case {"order": "close", "session": str(correlation)}:
                for session in self.engine.desk.sessions.values():
                    if session.correlation.hex() == correlation:
                        self.driver.execute(self.engine.command(CloseSession(session.handle), boottime()))
                        return {"closed": correlation}
                return {"error": "no such session"}
            case {"order": "reload"}:
                return self._reload()
            case _:
                return {"error": "unknown order; known are status, close, reload"}

    def status(self) -> dict[str, Any]:
        """Return what an operator asks first; sessions by correlation id."""
        now, sessions = boottime(), []
        for session in self.engine.desk.sessions.values():
            path = session.active.path if session.active else None
            sessions.append({
                "correlation_id": session.correlation.hex(),
                "born": _utc(session.born),
                "gateway_key": key_text(session.static.public),
                "state": State(session.state).name,
                "state_version": session.version,
                "binding_version": session.binding_version,
                "epoch": session.active.attempt if session.active else None,
                "carrier": Carrier(path.carrier).name if path else None,
                "remote": "{}:{}".format(*sockaddr(path.remote)[:2]) if path else None,
                "inner4": str(ip_address(session.device.inner4)),
                "heard_ms_ago": (now - session.heard_at) // limits.MILLISECOND,
                "received_bytes": session.active.received_bytes if session.active else 0,
                "sent_bytes": session.active.sent_bytes if session.active else 0,
            })  # fmt: skip
        counters = {Carrier(each.carrier).name.lower(): {name: getattr(each.counters, name) for name in each.counters.__slots__}
                    for each in self.driver.transports}  # fmt: skip
        return {
            "role": "gateway",
            "sessions": sessions,
            "trust": self._trust_status(),
            "keys": self._key_status(),
            "reload": self._reloaded,
            "inner": self.driver.counters,
            "transports": counters,
            "store": self._store_status(),
            "audit": self.link.status(),
        }

    def _tell(self, request: dict[str, Any]) -> dict[str, Any]:
        return figures.answer(request, self.figures)

    def figures(self) -> dict[str, Any]:
        """Return what is counted, and nobody's name [O-29]."""
        desk = self.engine.desk
        return {
            "started": self._started_s,
            "sessions": figures.sessions(desk),
            "events": figures.events(self.driver.recorded, self.store.committed()),
            "inner": figures.inner(self.driver),
            "frames": figures.frames(self.driver.transports),
            "store": figures.store(self.store.health()),
            "audit": figures.audit(self.link.status(), self._config.audit.dir, wall()),
            "reload": figures.reload(self._reloaded),
            "keys": figures.states(self._keys.own(), self._keys.devices(), [self._keys.unloaded]),
            "documents": self._keys.documents(wall() // limits.SECOND),
            "admits": desk.admission.refusal is None,
        }

    def _trust_status(self) -> dict[str, str | None] | None:
        """Return what the signed documents keep from happening; None where the configuration has no `[trust]`."""
        refusal = self.engine.desk.admission.refusal
        told = {"nobody_new_because": refusal.name if refusal else None, "floors_not_kept": self._keys.unkept()}
        return told if self._config.trust else None

    def _key_status(self) -> dict[str, object]:
        """Return the state of each key of the gateway, how many of devices are in which state, and the offered key that is not here."""
        own = {key_text(public): state for public, state in self._keys.own().items()}
        missing = key_text(self._keys.unloaded) if self._keys.unloaded else None
        return {"gateway": own, "devices": self._keys.devices(), "offered_not_loaded": missing}

    def _store_status(self) -> dict[str, object]:
        """Return whether what is decided is kept, and how much evidence of it is not in the log yet."""
        health = self.store.health()
        since = None if health.failing_since is None else _utc(health.failing_since // limits.SECOND)
        return {
            "state": "well" if since is None else "failing",
            "failing_since": since,
            "error": health.error or None,
            "operations_failed": health.operations_failed,
            "operations_waiting": health.operations_waiting,
            "evidence_waiting": health.evidence_waiting,
        }


def policy(config: GatewayConfig) -> Policy:
    """Return the core's policy of a configuration."""
    return Policy(
        mtu=config.tun.mtu,
        resolver=config.resolver,
        lifetime_s=config.policy.lifetime_s,
        transport_loss_ns=config.policy.transport_loss_s * limits.SECOND,
        voluntary_per_minute=config.policy.voluntary_per_minute,
        forced_per_minute=config.policy.forced_per_minute,
        health_ns=config.policy.health_ms * limits.MILLISECOND,
        device_to_device=config.policy.device_to_device,
    )


def _utc(wall_s: int) -> str:
    """Return seconds since 1970 as people write a time, in UTC."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat()


def _more_descriptors() -> None:
    """Allow this process what its connections need: with the usual 1,024 descriptors strangers could take the last one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < DESCRIPTORS:
        log.warning("few_descriptors", allowed=wanted, wanted=DESCRIPTORS)


def _port(config: GatewayConfig) -> PacketPort:
    if config.tun.kind == "pump":
        return Pump(config.state / "pump.sock")
    tun = Tun(config.tun.name)
    try:
        tun.configure([each for each in (config.tun.address4, config.tun.address6) if each is not None], config.tun.mtu)
    except Unavailable:
        tun.close()
        raise
    return tun
