"""The shipper as a process of its own, for tests: python -I is not asked for here, the checkout is on the path."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import orjson

from tests.support import ROOT

PROGRAM = """
import sys
from pathlib import Path
from observability import oplog
from observability.connect import Cluster
from observability.shipper import ShipperConfig, run
log, state, url, prefix, follow, batch, seconds = sys.argv[1:]
oplog.configure()
cluster = Cluster(url=url, request_seconds=float(seconds))
run(ShipperConfig(log=Path(log), state=Path(state), cluster=cluster, prefix=prefix, follow=follow == "follow", batch_events=int(batch)))
"""


class ShipProcess:
    """Started at once; ends with `stop` or `kill`, or with the test at the latest (`with`)."""

    def __init__(
        self,
        log: Path,
        state: Path,
        url: str,
        prefix: str = "jvpn-audit",
        *,
        follow: bool = True,
        batch: int = 500,
        request_seconds: float = 10.0,
    ) -> None:
        """Start shipping."""
        self.state = state
        words = [str(log), str(state), url, prefix, "follow" if follow else "once", str(batch), str(request_seconds)]
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], cwd=ROOT, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def stop(self, seconds: float = 30) -> int:
        """Send SIGTERM; return the exit status."""
        self._process.terminate()
        return self._process.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end; return the exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()
        self._process.wait()

    def until(self, reached: Callable[[dict[str, Any]], bool], seconds: float = 240) -> dict[str, Any]:
        """Wait until the status is as wanted; return it."""
        end = time.monotonic() + seconds
        while not reached(status := self.status()):
            assert time.monotonic() < end, status
            assert self._process.poll() is None or reached(self.status()), f"it ended with {self._process.returncode}"
            time.sleep(0.02)
        return status

    def status(self) -> dict[str, Any]:
        """Read the status file; an empty one before there is any."""
        try:
            status: dict[str, Any] = orjson.loads((self.state / "status.json").read_bytes())
        except FileNotFoundError:
            return dict.fromkeys(("read", "created", "duplicate", "quarantined", "pending", "retried", "failures_in_a_row"), 0)
        return status
