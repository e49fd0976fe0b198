"""What Prometheus scrapes: `metrics`. A process of its own: where keys are held there is no HTTP server (docs/adr/0026)."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jvpn.cli.output import say
from jvpn.shell.checked import Misconfigured
from jvpn.shell.control import FIGURES, ask
from jvpn.shell.errors import Unavailable

if TYPE_CHECKING:
    from observability.metrics import Says

AllowRemote = Annotated[bool, typer.Option("--allow-remote", help="Tell metrics on an address that others can reach.")]


def metrics(  # noqa: PLR0913 - a source each
    gateway: Annotated[Path | None, typer.Option("--gateway", metavar="SOCKET", help="A gateway: its metrics.socket.")] = None,
    shipper: Annotated[Path | None, typer.Option("--shipper", metavar="DIR", help="A shipper: its state directory.")] = None,
    tree: Annotated[Path | None, typer.Option("--tree", metavar="TREE", help="A log's published tree.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Who shall cosign it.")] = None,
    *,
    listen: Annotated[str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where to listen.")] = "127.0.0.1:9184",
    allow_remote: AllowRemote = False,
    once: Annotated[bool, typer.Option("--once", help="Write the metrics to standard output, then end.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Show where Prometheus finds the recording and alert rules, then end.")] = False,
) -> None:
    """Tell Prometheus what services count.

    At /metrics, until SIGTERM. Each scrape asks the gateway at its socket of figures, reads the shipper's status, and judges the
    cosignatures of the published tree by the policy. One that is away has jvpn_source_up 0. No series names a device, a session or an
    address. A witness tells its own: `jvpn witness serve --metrics`. All metrics: docs/reference/metrics.md.
    """
    from observability.metrics import RULES, Collector  # noqa: PLC0415 - loads the library and the server, which no service may
    from observability.metrics_server import serve  # noqa: PLC0415 - the same

    if rules:
        say(str(RULES))
        return
    says = _sources(gateway, shipper, tree, policy)
    if not says:
        raise typer.BadParameter("give at least one of them", param_hint="--gateway / --shipper / --tree")
    registry = Collector(says).registry()
    if once:
        from prometheus_client import generate_latest  # noqa: PLC0415 - the same

        typer.echo(generate_latest(registry), nl=False)
        return
    host, port = place("--listen", listen, remote=allow_remote)
    from observability import oplog  # noqa: PLC0415 - only the service logs

    oplog.configure(level="info")
    serve(registry, host, port)


def place(option: str, text: str, *, remote: bool) -> tuple[str, int]:
    """Return address and port that an option names; raise Misconfigured."""
    from observability.metrics_server import AddressRefused, address  # noqa: PLC0415 - loads the server

    try:
        return address(text, remote=remote)
    except AddressRefused as error:
        raise Misconfigured(f"{option}: {error}") from None


def _sources(gateway: Path | None, shipper: Path | None, tree: Path | None, policy: Path | None) -> "dict[str, Says]":
    """Return what reads each source that was named."""
    if (tree is None) != (policy is None):
        raise typer.BadParameter("a tree is judged by a policy: give both or none", param_hint="--tree / --policy")
    from observability import metrics_sources  # noqa: PLC0415 - loads the library

    made: dict[str, Says] = {}
    if gateway:
        made["gateway"] = partial(_figures, gateway)
    if shipper:
        made["shipper"] = partial(metrics_sources.shipper, shipper)
    if tree and policy:
        made["tree"] = partial(metrics_sources.tree, tree, policy)
    return made


def _figures(path: Path) -> dict[str, Any]:
    """Ask a gateway for its figures."""
    from observability.metrics import SourceAway  # noqa: PLC0415 - loads the library

    try:
        return ask(path, FIGURES)
    except (Unavailable, ValueError, TypeError) as error:
        raise SourceAway(str(error)) from error
