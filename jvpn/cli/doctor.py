"""`doctor`: what is installed, what this machine has, what is missing, and how to get it. Changes nothing."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

import core
import jvpn
from audit import memory
from audit.vocabulary import SCHEMAS
from core import limits
from jvpn.cli.output import Exit, Json, answer, date, table
from jvpn.shell import allowlist, keyfile, keytext, selftest
from jvpn.shell.admission import look, unloaded
from jvpn.shell.clock import boottime, wall
from jvpn.shell.config import ClientConfig, GatewayConfig, is_client, load_client, load_gateway
from jvpn.shell.control import NAME, ask
from jvpn.shell.errors import Unavailable
from jvpn.shell.forms import key_text, nowhere
from jvpn.shell.transports.base import sockaddr
from jvpn.shell.tun import CAPABILITY, DEVICE, DEVICE_ADVICE
from jvpn.shell.vault import vault_of

LIBRARIES: Final = (
    "cryptography",
    "PyNaCl",
    "structlog",
    "orjson",
    "jsonschema-rs",
    "pyroute2",
    "typer",
    "rich",
    "opensearch-py",
    "matplotlib",
)
CAP_NET_ADMIN: Final = 12
PYTHON: Final = (3, 11)
OK, NOTE, MISSING = "ok", "note", "missing"


class Check(NamedTuple):
    """One thing: how it is (ok, note, missing), what was found, and what to do about it."""

    name: str
    state: str
    found: str
    advice: str = ""


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Look at what this gateway's or client's file names, too.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show what is installed, what is missing, and how to get it.

    Which core is loaded from where, versions, TUN, permissions, the self-test. Changes nothing.

    Exit status 1 when something is missing that a gateway or client needs; notes do not count.
    """
    found = [*_installation(), *_machine(), *(_configured(config) if config else ())]
    if json:
        answer({"checks": [each._asdict() for each in found], "missing": [each.name for each in found if each.state == MISSING]})
    else:
        table(("what", "", "found", "to do"), found)
    if any(each.state == MISSING for each in found):
        raise typer.Exit(Exit.FAILED)


def _installation() -> Iterator[Check]:
    here, there = (Path(module.__file__ or "").resolve().parent for module in (jvpn, core))
    foreign = here.parent != there.parent
    yield Check(
        "core",
        MISSING if foreign else OK,
        str(there),
        "a foreign `core` is loaded: start with python -I -m jvpn, unset PYTHONPATH" if foreign else "",
    )
    found = f"{platform.python_version()} {sys.executable}"
    yield Check(
        "Python", OK if sys.version_info >= PYTHON else MISSING, found, "" if sys.version_info >= PYTHON else "3.11 or later is needed"
    )
    yield Check(
        "schemas", OK if (SCHEMAS / "registry.toml").is_file() else MISSING, str(SCHEMAS), "" if SCHEMAS.is_dir() else "install again"
    )
    for name in LIBRARIES:
        try:
            yield Check(name, OK, version(name))
        except PackageNotFoundError:
            yield Check(name, MISSING, "not installed", "install what requirements/runtime.txt lists")
    failed = [each.name for each in selftest.run() if not each.passed]
    yield Check(
        "self-test",
        MISSING if failed else OK,
        ", ".join(failed) or "all passed",
        "see jvpn selftest; do not use this installation" if failed else "",
    )


def _machine() -> Iterator[Check]:
    yield Check("system", OK if sys.platform == "linux" else MISSING, f"{platform.system()} {platform.release()} {platform.machine()}")
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
        yield Check("TUN device", OK, DEVICE)
    except OSError as error:
        yield Check(
            "TUN device",
            MISSING,
            f"{DEVICE}: {error.strerror}",
            f'{DEVICE_ADVICE.get(error.errno or 0, "look into the kernel log")}; or tun.kind = "pump"',
        )
    capable = _capabilities() >> CAP_NET_ADMIN & 1 == 1
    yield Check(
        "CAP_NET_ADMIN",
        OK if capable else MISSING,
        "there" if capable else "not there",
        "" if capable else f'{CAPABILITY}; or tun.kind = "pump"',
    )
    forwards = _read("/proc/sys/net/ipv4/ip_forward") == "1"
    yield Check(
        "forwarding",
        OK if forwards else NOTE,
        "on" if forwards else "off",
        "" if forwards else "a gateway to other networks needs sysctl net.ipv4.ip_forward=1",
    )
    six = _read("/proc/sys/net/ipv6/conf/all/disable_ipv6") == "0"
    yield Check("IPv6", OK if six else NOTE, "on" if six else "off", "" if six else 'a gateway here needs tun.address6 = ""')
    spaces = Path("/proc/self/ns/net").exists() and _read("/proc/sys/user/max_net_namespaces") not in {"", "0"}
    yield Check(
        "network namespaces",
        OK if spaces else NOTE,
        "there" if spaces else "not there",
        "" if spaces else "only the laboratory and some tests need them",
    )
    closed = memory.is_closed()
    yield Check(
        "core dumps", OK if closed else NOTE, "off" if closed else "on", "" if closed else "they would hold keys: start it as `jvpn`"
    )


def _configured(path: Path) -> Iterator[Check]:
    """Look at a configuration and at everything that it names."""
    config: GatewayConfig | ClientConfig
    try:
        config = load_client(path, lookup=nowhere) if is_client(path) else load_gateway(path)
    except Unavailable as error:
        yield Check("configuration", MISSING, str(path), str(error))
        return
    yield Check("configuration", OK, str(path))
    kind = keytext.GATEWAY if isinstance(config, GatewayConfig) else keytext.DEVICE
    yield _tried("key", lambda: key_text(keyfile.public_of(config.key, kind, vault_of(config.key_passphrase))))
    if isinstance(config, ClientConfig):
        yield _tried("gateway's name", lambda: _found(load_client(path)))
    if isinstance(config, GatewayConfig):
        devices = config.devices
        yield _tried("allow list", lambda: f"devices: {len(allowlist.load(devices))}")
    if config.trust:
        yield from _documents(path, config)
    for name, directory in (("state directory", config.state), ("audit log", config.audit.dir)):
        above = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
        good = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        yield Check(name, OK if good else MISSING, str(directory), "" if good else f"{above} cannot be written by this user")
    yield _tried("service", lambda: f"{ask(config.state / NAME, {'order': 'status'}).get('role', 'something')} answers", NOTE)


def _documents(path: Path, config: GatewayConfig | ClientConfig) -> Iterator[Check]:
    """Look at the signed documents as the service would at its next reading."""
    now = wall() // limits.SECOND
    try:
        seen = look(config, now, boottime())
    except Unavailable as error:
        yield Check("signed documents", MISSING, "not usable", str(error))
        return
    if seen.unreadable:
        yield Check("signed documents", MISSING, "cannot be read", "; ".join(seen.unreadable))
    elif seen.refusal:
        advice = f"nobody new comes in: see jvpn keys status --config {path}"
        yield Check("signed documents", MISSING, f"{seen.refusal.name}: {seen.told()}", advice)
    else:
        soon = ", ".join(f"{role.value} at {date(at)}" for role, at in seen.trust.expiring(now).items())
        found = f"{seen.told()}; runs out: {soon}" if soon else seen.told()
        yield Check("signed documents", NOTE if soon else OK, found, "sign the next one before that: docs/guides/keys.md" if soon else "")
    if isinstance(config, GatewayConfig):
        own = keyfile.publics_of(config.key, keytext.GATEWAY, vault_of(config.key_passphrase))
        missing = unloaded(seen.trust, config.node, own, now)
        found = f"{key_text(missing)}: offered, not loaded" if missing else "none is missing"
        advice = "clients that ask under it get silence: put it into the key file, and reload" if missing else ""
        yield Check("offered key", MISSING if missing else OK, found, advice)


def _found(config: ClientConfig) -> str:
    """Say where a client looks for its gateway."""
    return ", ".join(sockaddr(each)[0] for each in dict.fromkeys((config.gateway_udp, config.gateway_tcp)) if each)


def _tried(name: str, look: Callable[[], str], otherwise: str = MISSING) -> Check:
    try:
        return Check(name, OK, look())
    except Unavailable as error:
        return Check(name, otherwise, "not usable" if otherwise == MISSING else "does not run", str(error))


def _capabilities() -> int:
    found = [line for line in _read("/proc/self/status").splitlines() if line.startswith("CapEff:")]
    return int(found[0].split()[1], 16) if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
