"""Configuration: what a file says, parsed once into frozen values.

`load_gateway(path)`, `load_client(path)` and `load_shipper(path)` read a TOML file by its schema in `schemas/config/` and raise
`Misconfigured` with one line that names file, key, what was found and what is allowed. Paths are relative to the file. What the values
mean, their bounds and defaults: docs/reference/config.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal

from core import limits
from core.reasons import Carrier
from core.values import Endpoint
from jvpn.shell import forms
from jvpn.shell.checked import Checked, Misconfigured, schema_of, toml
from jvpn.shell.errors import Unavailable

CARRIERS: Final = {"udp": Carrier.UDP, "tcp": Carrier.TCP}
TELLTALE: Final = {
    "listen": "gateway",
    "gateway": "client",
    "cluster": "shipper",
    "output": "shipper",
}  # a table that one kind of file has: whose it is

Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Endpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The operational log: least severity, one of debug, info, warning, error, critical."""

    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """The audit log: its directory (the pseudonyms' keys lie beside it), bytes of a segment, months that those are kept."""

    dir: Path
    segment_bytes: int
    names_months: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfig:
    """Signed documents: their directory, the digest of the first root (32 bytes), and what live sessions do when stale: `keep`, `end`."""

    dir: Path
    root: bytes
    stale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTun:
    """The tunnel's end on a gateway: addresses with their networks, or None; `%d` in the name becomes a free number; MTU in bytes."""

    name: str
    mtu: int
    kind: Literal["tun", "pump"]
    address4: IPv4Interface | None
    address6: IPv6Interface | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPolicy:
    """Bounds of sessions: seconds, milliseconds, and moves a minute."""

    lifetime_s: int
    transport_loss_s: int
    voluntary_per_minute: int
    forced_per_minute: int
    health_ms: int
    device_to_device: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """A gateway. `node`: 8 bytes; `resolver`: 16 bytes, IPv4 as v4-mapped, zeros for none; `endpoint`: host without port, or empty.

    `metrics_socket`: where figures can be asked for; None for nowhere.
    """

    node: bytes
    key: Path
    key_passphrase: Path | None
    devices: Path
    state: Path
    endpoint: str
    resolver: bytes
    listen_udp: tuple[Endpoint, ...]
    listen_tcp: tuple[Endpoint, ...]
    tun: GatewayTun
    policy: GatewayPolicy
    trust: TrustConfig | None
    audit: AuditConfig
    log: LogConfig
    metrics_socket: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTun:
    """The tunnel's end on a client; the gateway gives the addresses."""

    name: str
    mtu: int
    kind: Literal["tun", "pump"]
    routes: tuple[Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPolicy:
    """Bounds: seconds without any path until the session is given up, milliseconds between health records."""

    transport_loss_s: int
    health_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """A client. `node`, `gateway_node`: 8 bytes; `carriers`: each has an endpoint; `bind`: a local address with port 0, or None."""

    node: bytes
    key: Path
    key_passphrase: Path | None
    state: Path
    gateway_public: bytes
    gateway_node: bytes | None
    gateway_udp: Endpoint | None
    gateway_tcp: Endpoint | None
    carriers: tuple[Carrier, ...]
    bind: Endpoint | None
    tun: ClientTun
    policy: ClientPolicy
    trust: TrustConfig | None
    audit: AuditConfig
    log: LogConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """How long a cluster keeps events, in days (0: for ever), and when telemetry goes to a new index."""

    telemetry_days: int
    evidence_days: int
    rollover_days: int
    rollover_gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperFile:
    """What the shipper's file says. The command line makes the shipper's own configuration of it: the shell does not know the shipper."""

    log_dir: Path
    state: Path
    url: str
    ca_file: Path | None
    credentials_file: Path | None
    certificate_file: Path | None
    key_file: Path | None
    request_s: float
    prefix: str
    replicas: int
    retention: RetentionConfig
    batch_events: int
    batch_bytes: int
    batch_seconds: float
    log: LogConfig


def load_gateway(path: Path) -> GatewayConfig:
    """Read a gateway's configuration; raise Misconfigured."""
    file = _of(path, "gateway")
    udp, tcp = file.parse_all("listen.udp", forms.listen), file.parse_all("listen.tcp", forms.listen)
    if not udp and not tcp:
        raise file.refuse("listen.udp", [], "at least one address here or in listen.tcp")
    lifetime_s = file.value("policy.lifetime_s")
    loss_s = file.value("policy.transport_loss_s") or min(limits.TRANSPORT_LOSS_NS // limits.SECOND, lifetime_s)
    if loss_s > lifetime_s:
        raise file.refuse("policy.transport_loss_s", loss_s, f"10 to {lifetime_s}, which is policy.lifetime_s")
    return GatewayConfig(
        node=forms.node_id(file.value("node")),
        key=_path(path, file, "key"),
        key_passphrase=_path(path, file, "key_passphrase") if file.value("key_passphrase") is not None else None,
        devices=_path(path, file, "devices"),
        state=_path(path, file, "state"),
        endpoint=file.value("endpoint") or "",
        resolver=file.parse("resolver", forms.resolver),
        listen_udp=udp,
        listen_tcp=tcp,
        tun=GatewayTun(
            name=file.parse("tun.name", forms.device),
            mtu=file.value("tun.mtu"),
            kind=file.value("tun.kind"),
            address4=file.parse("tun.address4", forms.address4),
            address6=file.parse("tun.address6", forms.address6),
        ),
        policy=GatewayPolicy(
            lifetime_s=lifetime_s,
            transport_loss_s=loss_s,
            voluntary_per_minute=file.value("policy.voluntary_per_minute"),
            forced_per_minute=file.value("policy.forced_per_minute"),
            health_ms=file.value("policy.health_ms"),
            device_to_device=file.value("policy.device_to_device"),
        ),
        trust=_trust(path, file),
        audit=_audit(path, file),
        log=LogConfig(level=file.value("log.level")),
        metrics_socket=_path(path, file, "metrics.socket") if file.value("metrics.socket") is not None else None,
    )


def load_client(path: Path, lookup: Lookup | None = None) -> ClientConfig:
    """Read a client's configuration; names of the gateway are looked up now, by `lookup` if given.

    Raises:
        Misconfigured: the file cannot be used as it is.
        Unavailable: it can, but a name is not found, which may be so because the network is not there yet.
    """
    file = _of(path, "client")
    ends: dict[Carrier, Endpoint | None] = {}
    for name, carrier in CARRIERS.items():
        given = file.value(f"gateway.{name}") is not None
        host = file.parse(f"gateway.{name}", forms.host_and_port) if given else None
        ends[carrier] = _find(path, f"gateway.{name}", host, lookup or forms.look_up) if host else None
    if not any(ends.values()):
        raise Misconfigured(f"{path}: gateway.udp: missing, needed an address here or in gateway.tcp")
    chosen = file.value("carriers") or [name for name, carrier in CARRIERS.items() if ends[carrier]]
    for name in chosen:
        if ends[CARRIERS[name]] is None:
            raise Misconfigured(f"{path}: gateway.{name}: missing, needed because carriers names {name}")
    return ClientConfig(
        node=forms.node_id(file.value("node")),
        key=_path(path, file, "key"),
        key_passphrase=_path(path, file, "key_passphrase") if file.value("key_passphrase") is not None else None,
        state=_path(path, file, "state"),
        gateway_public=file.parse("gateway.public", forms.key_bytes),
        gateway_node=forms.node_id(file.value("gateway.node")) if file.value("gateway.node") is not None else None,
        gateway_udp=ends[Carrier.UDP],
        gateway_tcp=ends[Carrier.TCP],
        carriers=tuple(CARRIERS[name] for name in chosen),
        bind=file.parse("bind", forms.local) if file.value("bind") is not None else None,
        tun=ClientTun(
            name=file.parse("tun.name", forms.device),
            mtu=file.value("tun.mtu"),
            kind=file.value("tun.kind"),
            routes=file.parse_all("tun.routes", ip_network),
        ),
        policy=ClientPolicy(transport_loss_s=file.value("policy.transport_loss_s"), health_ms=file.value("policy.health_ms")),
        trust=_trust(path, file),
        audit=_audit(path, file),
        log=LogConfig(level=file.value("log.level")),
    )


def belong_together(path: Path, table: str, files: Mapping[str, Path | None]) -> None:
    """Raise Misconfigured when a certificate is given without its key, or a key without its certificate."""
    if bool(files["certificate_file"]) != bool(files["key_file"]):
        missing = "key_file" if files["certificate_file"] else "certificate_file"
        raise Misconfigured(f"{path}: {table}.{missing}: missing, a certificate and its key belong together")


def load_shipper(path: Path) -> ShipperFile:
    """Read a shipper's configuration; raise Misconfigured."""
    file = _of(path, "shipper")
    files = {name: _path(path, file, f"cluster.{name}") if file.value(f"cluster.{name}") else None
             for name in ("ca_file", "credentials_file", "certificate_file", "key_file")}  # fmt: skip
    belong_together(path, "cluster", files)
    return ShipperFile(
        **files,
        log_dir=_path(path, file, "audit.dir"),
        state=_path(path, file, "state"),
        url=file.value("cluster.url"),
        request_s=file.value("cluster.request_s"),
        prefix=file.value("cluster.prefix"),
        replicas=file.value("cluster.replicas"),
        batch_events=file.value("batch.events"),
        batch_bytes=file.value("batch.bytes"),
        batch_seconds=file.value("batch.seconds"),
        retention=RetentionConfig(
            telemetry_days=file.value("retention.telemetry_days"),
            evidence_days=file.value("retention.evidence_days"),
            rollover_days=file.value("retention.rollover_days"),
            rollover_gb=file.value("retention.rollover_gb"),
        ),
        log=LogConfig(level=file.value("log.level")),
    )


def state_of(path: Path) -> Path:
    """Return the state directory of a gateway's or a client's configuration, looking nothing up. Raise Misconfigured."""
    values = toml(path)
    return _path(path, Checked(str(path), schema_of("client" if _kind(values) == "client" else "gateway"), values), "state")


def is_client(path: Path) -> bool:
    """Tell whether a file is meant as a client's configuration; everything else counts as a gateway's. Raise Misconfigured."""
    return _kind(toml(path)) == "client"


def _kind(values: dict[str, Any]) -> str:
    """Return whose configuration this looks like; empty when nothing tells."""
    kinds = {kind for name, kind in TELLTALE.items() if name in values}
    return kinds.pop() if len(kinds) == 1 else ""


def _of(path: Path, kind: str) -> Checked:
    """Read a file of one kind; what is another's is called that, before its keys are called unknown."""
    values = toml(path)
    if _kind(values) not in {"", kind}:
        raise Misconfigured(f"{path}: this is the configuration of a {_kind(values)}, needed that of a {kind}")
    return Checked(str(path), schema_of(kind), values)


def _find(path: Path, key: str, host: tuple[str, int], lookup: Lookup) -> Endpoint:
    try:
        return lookup(*host)
    except UnicodeError as error:
        raise Misconfigured(f"{path}: {key}: {host[0]} is not a name") from error
    except OSError as error:  # not the file's fault as far as can be known here: without a network no name is found
        raise Unavailable(
            f"{path}: {key}: the name {host[0]} is not found: {error.strerror}; is there a network? Or write an address"
        ) from error


def _audit(path: Path, file: Checked) -> AuditConfig:
    own = file.value("audit.dir") is not None
    directory = _path(path, file, "audit.dir") if own else _path(path, file, "state") / "audit"
    return AuditConfig(dir=directory, segment_bytes=file.value("audit.segment_bytes"), names_months=file.value("audit.names_months"))


def _trust(path: Path, file: Checked) -> TrustConfig | None:
    """Return the part about signed documents; None where the file has none."""
    if file.value("trust.root") is None:
        return None
    return TrustConfig(dir=_path(path, file, "trust.dir"), root=bytes.fromhex(file.value("trust.root")), stale=file.value("trust.stale"))


def _path(path: Path, file: Checked, key: str) -> Path:
    """Return an absolute path, where a relative one counts from the file. Links are not resolved: key files must not be links."""
    return path.absolute().parent / str(file.value(key))
