"""What the tests of the shipper share: a log of twelve events, and a shipper whose waiting takes no time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from audit.files import segments_in
from observability.breaker import Breaker
from observability.connect import Cluster, connect
from observability.cursor import Counters, State
from observability.shipper import Shipper, ShipperConfig, to_cluster
from tests.observability.stub import Stub
from tests.observability.synthetic import Scribe, health

EVENTS = 12  # with LOG_OPENED, EPOCH_SEALED and LOG_CLOSED


def write_log(directory: Path) -> Path:
    """Write a closed log of 12 events in several segments; return it."""
    scribe = Scribe(directory, segment_bytes=4_000)
    scribe.write([health(number) for number in range(1, EVENTS - 2)])
    scribe.close()
    return directory


def lines(log: Path) -> list[bytes]:
    """Return the log's lines."""
    return [line for path in segments_in(log) for line in path.read_bytes().splitlines()]


class Ship:
    """Runs shippers on one log and state directory; waiting takes no time, and every wait is written down."""

    def __init__(self, log: Path, stub: Stub) -> None:
        """Nothing is started yet."""
        self.log = log
        self.state = log.parent / "state"
        self.stub = stub
        self.waits: list[float] = []
        self.stop_after: int | None = None  # so many waits that last
        self.decide: Callable[[float], bool] = self._wait

    def __call__(self, **settings: Any) -> Counters:  # noqa: ANN401 - some fields of ShipperConfig, which are of ten types
        """Ship to the log's end."""
        cluster = Cluster(url=self.stub.url, request_seconds=settings.pop("request_seconds", 5.0))
        config = ShipperConfig(log=self.log, state=self.state, cluster=cluster, follow=False, **settings)
        client, state = connect(cluster), State(self.state)
        try:
            return Shipper(config, to_cluster(client, config), state, self.decide, Breaker(lambda: 1.0)).run()
        finally:
            client.close()
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
            assert len(self.waits) < 100, "it will never end"
        return self.stop_after is not None and len(self.waits) >= self.stop_after
