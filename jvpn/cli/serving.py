"""The two services: `gateway` and `client`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from core import limits
from jvpn.cli.checks import pass_or_exit
from jvpn.cli.output import Exit, complain, say
from jvpn.shell import allowlist, keyfile, keytext
from jvpn.shell.admission import look, unloaded
from jvpn.shell.audit_link import Writer
from jvpn.shell.clock import boottime, wall
from jvpn.shell.config import ClientConfig, GatewayConfig, load_client, load_gateway
from jvpn.shell.files import alone
from jvpn.shell.forms import key_text
from jvpn.shell.service import record_refusal
from jvpn.shell.vault import vault_of
from observability import oplog

File = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.", show_default=False)]
CHECK: Final = """Only check the configuration and the files that it names, signed documents too, and run the self-test. Exit status 1:
the service would start, and nobody new come in; others as the service at its start."""
Check = Annotated[bool, typer.Option("--check", help=CHECK)]


def gateway(config: File, *, check: Check = False) -> None:
    """Serve as a gateway until SIGTERM or SIGINT.

    SIGHUP reads the allow list, the key file and the signed documents again. Runs the self-test first and does not serve when it fails
    (exit status 3). Needs CAP_NET_ADMIN and /dev/net/tun, unless tun.kind is "pump". Operational log: standard error, JSON unless that is a
    terminal. Sessions outlive a restart: clients take them up again.
    """
    settings = load_gateway(config)
    pass_or_exit(_recorder(settings, "gateway") if not check else lambda: None)
    if check:
        own = keyfile.publics_of(settings.key, keytext.GATEWAY, vault_of(settings.key_passphrase))
        allowlist.load(settings.devices)
        _judge(config, settings, own)
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
        _judge(config, settings)
        return
    from jvpn.shell.client import serve  # noqa: PLC0415 - only the service pays for it

    oplog.configure(level=settings.log.level)
    with alone(settings.state):
        status = serve(settings)
    raise typer.Exit(status)


def _judge(config: Path, settings: GatewayConfig | ClientConfig, own: Sequence[bytes] = ()) -> None:
    """Say that a configuration is good, or what its signed documents keep from happening; a service starts all the same, and waits."""
    documents, wrong = "", list[str]()
    if settings.trust:
        now = wall() // limits.SECOND
        seen = look(settings, now, boottime())
        documents = f"\nsigned documents: {seen.told()}"
        if seen.refusal:
            what = "nobody new comes in" if isinstance(settings, GatewayConfig) else "begins nothing"
            wrong.append(f"starts, and {what}: {seen.refusal.name}: {seen.told()}")
        if isinstance(settings, GatewayConfig) and (missing := unloaded(seen.trust, settings.node, own, now)):
            wrong.append(f"the keyset offers a key that is not in the key file, {key_text(missing)}: clients get silence")
        wrong += seen.unreadable
    for each in wrong:
        complain(f"{config}: {each}")
    if wrong:
        raise typer.Exit(Exit.FAILED)
    say(f"{config}: good{documents}")


def _recorder(settings: GatewayConfig | ClientConfig, role: str) -> Callable[[], None]:
    """Return what records in the service's log that it did not start. The start is named by the clock: it need not be secret."""
    boot = boottime().to_bytes(8, "little")
    audit = settings.audit
    return lambda: record_refusal(Writer(audit.dir, settings.node, boot, role, audit.segment_bytes, audit.names_months))
