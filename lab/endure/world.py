"""What runs: one node for all, and for each leg a log with its writer, a shipper, and the proxy between shipper and node."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from opensearchpy import OpenSearch

from lab.endure.feed import Feed
from lab.endure.proxy import Proxy
from lab.endure.records import Stream
from lab.endure.ship import Shipping
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.names import Names

STEP_S: Final = 0.02
BURST: Final = 400  # records that are fed at once


class Between:
    """A node, a proxy in front of it, and a client that goes straight to it. `seconds`: how long a fault lasts, about."""

    def __init__(self, node: Node, readable: str, dice: Random, seconds: float) -> None:
        """`readable`: the names of the indices."""
        self.node, self.dice, self.seconds = node, dice, seconds
        self.proxy = Proxy(urlsplit(node.url).port or 0, dice.randrange(1 << 30))
        self.client: OpenSearch = connect(Cluster(url=node.url, request_seconds=60.0))
        self.killed_nodes = 0
        self._readable, self._pool = readable, ThreadPoolExecutor(1)

    def during(self, seconds: float) -> Iterator[float]:
        """Wait: what a schedule yields is how long it wants to sleep."""
        yield seconds * (0.5 + self.dice.random())

    def elsewhere(self, what: Callable[[], object]) -> Iterator[float]:
        """Do something that takes long in a thread, while all else goes on."""
        running: Future[object] = self._pool.submit(what)
        while not running.done():
            yield STEP_S
        running.result()

    def block(self, name: str, *, on: bool) -> None:
        """Block writing into all indices, or no longer."""
        self.client.indices.put_settings(index=self._readable, body={f"index.blocks.{name}": True if on else None})

    def close(self) -> None:
        """Leave nothing behind but the node."""
        self._pool.shutdown(cancel_futures=True)
        self.client.close()
        self.proxy.__exit__()


class World(Between):
    """One leg. `events`: how many the log is to have. `small`: the file system of the log, where that is a small one."""

    def __init__(
        self, node: Node, place: Path, *, prefix: str, events: int, dice: Random, seconds: float, small: Path | None = None
    ) -> None:
        """Make what does not run yet; `place` is empty but for a directory `state`."""
        super().__init__(node, Names(prefix).readable, dice, seconds)
        self.events, self.small, self.state = events, small, place / "state"
        self.burst = max(20, min(BURST, events // 20))
        self.stream = Stream(dice, events)
        self.feed = Feed((small or place) / "log" / "audit", self.stream)
        self.shipping = Shipping(self.feed.log, self.state / "ship", prefix)

    def __enter__(self) -> Self:
        self.shipping.install(self.node.url)
        self.shipping.begin(self.proxy.url)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.feed.end()
        self.shipping.end()
        self.close()

    def turn(self) -> None:
        """Let writer and shipper go on. Raises Broken."""
        self.feed.turn()
        self.shipping.turn()

    def killed(self) -> dict[str, int]:
        """Return how many were killed, by kind."""
        node = {"node": self.killed_nodes} if self.killed_nodes else {}
        return dict(self.feed.killed) | dict(self.shipping.killed) | node

    def roll_over(self) -> None:
        """Let the stream of telemetry go on in a new index."""
        self.client.indices.rollover(alias=self.shipping.names.telemetry)
