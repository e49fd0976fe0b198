"""The two services: `gateway` and `client`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from core import limits
from jvpn.cli.checks import pass_or_exit
from jvpn.cli.output import say
from jvpn.shell import allowlist, keyfile, keytext
from jvpn.shell.admission import look
from jvpn.shell.audit_link import Writer
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import boottime, wall
from jvpn.shell.config import ClientConfig, GatewayConfig, load_client, load_gateway
from jvpn.shell.files import alone
from jvpn.shell.service import record_refusal
from jvpn.shell.vault import vault_of
from observability import oplog

File = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.", show_default=False)]
Check = Annotated[bool, typer.Option("--check", help="Only check the configuration and the files that it names, and run the self-test.")]


def gateway(config: File, *, check: Check = False) -> None:
    """Serve as a gateway until SIGTERM or SIGINT.

    SIGHUP reads the allow list, the key file and the signed documents again. Runs the self-test first and does not serve when it fails
    (exit status 3). Needs CAP_NET_ADMIN and /dev/net/tun, unless tun.kind is "pump". Operational log: standard error, JSON unless that is a
    terminal. Sessions outlive a restart: clients take them up again.
    """
    settings = load_gateway(config)
    pass_or_exit(_recorder(settings, "gateway") if not check else lambda: None)
    if check:
        keyfile.public_of(settings.key, keytext.GATEWAY, vault_of(settings.key_passphrase))
        allowlist.load(settings.devices)
        _readable(settings)
        say(f"{config}: good")
        return
    from jvpn.shell.gateway import serve  # noqa: PLC0415 - only the service pays for it

    oplog.configure(level=settings.log.level)
    with alone(settings.state):
        status = serve(settings)
    raise typer.Exit(status)


def client(config: File, *, check: Check = False) -> None:
    """Connect as a client until SIGTERM or SIGINT.

    Keeps a session, and makes a new one when it ended. SIGHUP reads the signed documents again. Runs the self-test first and does not
    start when it fails (exit status 3). Needs CAP_NET_ADMIN and /dev/net/tun, unless tun.kind is "pump". Names of the gateway are looked
    up once, at the start.
    """
    settings = load_client(config)
    pass_or_exit(_recorder(settings, "client") if not check else lambda: None)
    if check:
        keyfile.public_of(settings.key, keytext.DEVICE, vault_of(settings.key_passphrase))
        _readable(settings)
        say(f"{config}: good")
        return
    from jvpn.shell.client import serve  # noqa: PLC0415 - only the service pays for it

    oplog.configure(level=settings.log.level)
    with alone(settings.state):
        status = serve(settings)
    raise typer.Exit(status)


def _recorder(settings: GatewayConfig | ClientConfig, role: str) -> Callable[[], None]:
    """Return what records in the service's log that it did not start. The start is named by the clock: it need not be secret."""
    boot = boottime().to_bytes(8, "little")
    return lambda: record_refusal(Writer(settings.audit.dir, settings.node, boot, role, settings.audit.segment_bytes))


def _readable(settings: GatewayConfig | ClientConfig) -> None:
    """Require that this user can read the signed documents that are there: what cannot be read counts as missing."""
    if settings.trust and (unreadable := look(settings, wall() // limits.SECOND, boottime()).unreadable):
        raise Misconfigured("; ".join(unreadable))
