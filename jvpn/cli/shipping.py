"""The shipper: `ship`."""

from pathlib import Path
from typing import Annotated

import typer

from jvpn.cli.output import Json, answer, say
from jvpn.shell.config import load_shipper
from jvpn.shell.outward import is_output, load_output
from observability import oplog


def ship(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.", show_default=False)],
    *,
    once: Annotated[bool, typer.Option("--once", help="Ship what is durable now, then end.")] = False,
    json: Json = False,
) -> None:
    """Copy an audit log into OpenSearch, or to HTTP, syslog or OTLP.

    Until SIGTERM. In OpenSearch, which `jvpn siem install` sets up before, every event is there exactly once, whatever fails meanwhile. To
    the others, with [output] in the file, events go at least once, and jvp.event_hash tells repetitions. An absent log or destination is
    waited for; what is refused for good goes to quarantine in the state directory, where status.json says how far it is. At the end it
    shows its counters.
    """
    if is_output(config):
        _send(config, once=once, json=json)
        return
    file = load_shipper(config)
    oplog.configure(level=file.log.level)
    from jvpn.cli import shipment  # noqa: PLC0415 - loads the SIEM library, which no other command may

    counters = shipment.ship(file, once=once)
    _told(counters, json=json)


def _send(config: Path, *, once: bool, json: bool) -> None:
    """Ship to an output."""
    file = load_output(config)
    oplog.configure(level=file.log.level)
    from jvpn.cli import outgoing  # noqa: PLC0415 - loads the libraries of the outputs, which no other command may

    _told(outgoing.ship(file, once=once), json=json)


def _told(counters: dict[str, int], *, json: bool) -> None:
    answer(counters) if json else say(", ".join(f"{name} {value}" for name, value in counters.items()))
