"""A shipper to an output whose waiting takes no time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from observability.breaker import Breaker
from observability.cursor import Counters, State
from observability.outputs.base import Destination
from observability.outputs.courier import Courier
from observability.outputs.run import OUTPUTS
from observability.shipper import LoopConfig, Shipper


class Sending:
    """Ships a log to a destination as often as it is called; the state directory stays."""

    def __init__(self, log: Path) -> None:
        """Nothing is sent yet."""
        self.log = log
        self.state = log.parent / "state"
        self.waits: list[float] = []
        self.at_wait: Callable[[], None] = lambda: None
        self.stop_after = 100

    def __call__(self, to: Destination, most: int = 500) -> Counters:
        """Ship to the log's end, or until it has waited `stop_after` times."""
        config = LoopConfig(log=self.log, state=self.state, stream=to.kind, batch_events=most, follow=False)
        output, state = OUTPUTS[to.kind](to), State(self.state)
        try:
            return Shipper(config, partial(Courier, output, most), state, self._wait, Breaker(lambda: 1.0)).run()
        finally:
            output.close()
            state.close()

    def status(self) -> dict[str, Any]:
        """Read the status file, and check the conserved sum in it."""
        status: dict[str, Any] = orjson.loads((self.state / "status.json").read_bytes())
        assert status["read"] == status["created"] + status["duplicate"] + status["quarantined"] + status["pending"]
        return status

    def quarantined(self) -> list[dict[str, Any]]:
        """Read the quarantine file."""
        path = self.state / "quarantine.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def _wait(self, seconds: float) -> bool:
        if seconds:
            self.waits.append(seconds)
            self.at_wait()
        return len(self.waits) >= self.stop_after
