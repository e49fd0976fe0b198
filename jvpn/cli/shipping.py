"""The shipper: `ship`."""

from pathlib import Path
from typing import Annotated

import typer

from jvpn.cli.output import Json, answer, say
from jvpn.shell.config import load_shipper
from observability import oplog


def ship(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration file.", show_default=False)],
    *,
    once: Annotated[bool, typer.Option("--once", help="Ship what is durable now, then end.")] = False,
    json: Json = False,
) -> None:
    """Copy an audit log into OpenSearch until SIGTERM.

    Every event is there exactly once, whatever fails meanwhile. `jvpn siem install` sets the cluster up before. An absent log or cluster
    is waited for; what the cluster refuses for good goes to quarantine in the state directory, where status.json says how far it is. At
    the end it shows its counters.
    """
    file = load_shipper(config)
    oplog.configure(level=file.log.level)
    from jvpn.cli import shipment  # noqa: PLC0415 - loads the SIEM library, which no other command may

    counters = shipment.ship(file, once=once)
    answer(counters) if json else say(", ".join(f"{name} {value}" for name, value in counters.items()))
