"""Ship an audit log to an output until SIGTERM, with the shipper's loop: `jvpn ship` with a table `[output]`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from observability.cursor import Counters
from observability.outputs.base import Destination, Output
from observability.outputs.courier import Courier
from observability.outputs.http import Http
from observability.outputs.otlp import Otlp
from observability.outputs.syslog import Syslog
from observability.shipper import LoopConfig, ship

OUTPUTS: Final[Mapping[str, Callable[[Destination], Output]]] = {"http": Http, "syslog": Syslog, "otlp": Otlp}


def run(config: LoopConfig, to: Destination) -> Counters:
    """Ship; return the counters. Raises ``SettingError`` for the destination, and what ``ship`` raises."""
    output = OUTPUTS[to.kind](to)
    try:
        return ship(config, partial(Courier, output, config.batch_events))
    finally:
        output.close()
