"""The shipper's side of a leg: the product's process, started again whenever it ends, and the indices that it fills."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from lab.demo import tied
from lab.demo.scene import JVPN
from lab.endure.feed import Broken
from lab.endure.records import MONTHS
from observability.names import Names

AGAIN_S: Final = 0.2
COMMAND_S: Final = 1_200.0
CONFIG: Final = """\
state = "{state}"
log.level = "error"
[audit]
dir = "{log}"
[cluster]
url = "{url}"
prefix = "{prefix}"
request_s = {request_s}
[batch]
events = {events}
"""


class Shipping:
    """One shipper. `batch` and `request_s` are those of the next process."""

    def __init__(self, log: Path, state: Path, prefix: str) -> None:
        """Nothing runs yet."""
        self.log, self.state, self.names = log, state, Names(prefix)
        self.batch, self.request_s = 1_000, 2.0
        self.held = False  # it is not started again
        self.starts, self.killed, self.ended = 0, Counter[str](), Counter[int]()
        self.process: subprocess.Popen[bytes] | None = None
        self._url, self._again = "", 0.0
        self._config, self._said = state.with_name(f"{state.name}.toml"), state.with_name(f"{state.name}.err")

    def install(self, node: str) -> None:
        """Set the cluster up, with the product's command, straight at the node."""
        self.jvpn(node, "siem", "install", "--yes", *(word for month in MONTHS for word in ("--month", month)))

    def begin(self, url: str) -> None:
        """Ship there from now on."""
        self._url = url
        self._start()

    def turn(self) -> None:
        """Start it again when it has ended."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self.ended[status] += 1
            self.process, self._again = None, time.monotonic() + AGAIN_S
        if self.process is None and self._url and not self.held and time.monotonic() >= self._again:
            self._start()

    def kill(self, kind: str) -> bool:
        """Kill -9; return whether there was one."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.kill()
        self.process.wait()
        self.killed[kind] += 1
        self.process, self._again = None, time.monotonic() + AGAIN_S
        return True

    def signal(self, number: signal.Signals) -> None:
        """Stop it or let it go on."""
        if self.process is not None:
            self.process.send_signal(number)

    def status(self) -> dict[str, Any]:
        """Return what it says about itself; nothing before it has begun."""
        with suppress(OSError, orjson.JSONDecodeError):
            told: dict[str, Any] = orjson.loads((self.state / "status.json").read_bytes())
            return told
        return {"settled_up_to": 0, "unsettled_bytes": 1, "pending": 0}

    def settled(self) -> int:
        """Return how many events are behind it."""
        return max(0, int(self.status()["settled_up_to"]))

    def close(self) -> int:
        """End it in good order; return the exit status."""
        status = 0
        if self.process is not None:
            self.process.terminate()
            status = self.process.wait(60)
        self.process, self._url = None, ""
        return status

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process, self._url = None, ""

    def jvpn(self, url: str, *arguments: str) -> dict[str, Any]:
        """Run one of the product's commands on this log or cluster; return its answer with its `exit_status`. Raises Broken."""
        config = self._config.with_suffix(".command.toml")
        self._write(config, url, 60.0)
        words = [str(config) if word == "CONFIG" else word for word in arguments]
        words += ["--config", str(config)] if arguments[0] == "siem" else []
        done = subprocess.run([*JVPN, *words, "--json"], capture_output=True, text=True, check=False, timeout=COMMAND_S)
        try:
            told: dict[str, Any] = orjson.loads(done.stdout)
        except orjson.JSONDecodeError:
            raise Broken(f"jvpn {' '.join(words)}: {done.stdout[-300:]}{done.stderr[-600:]}") from None
        return told | {"exit_status": done.returncode}

    def _start(self) -> None:
        self._write(self._config, self._url, self.request_s)
        command = [sys.executable, "-I", tied.__file__, str(os.getpid()), *JVPN, "ship", "--config", str(self._config)]
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        self.starts += 1

    def _write(self, path: Path, url: str, request_s: float) -> None:
        path.write_text(
            CONFIG.format(state=self.state, log=self.log, url=url, prefix=self.names.prefix, request_s=request_s, events=self.batch)
        )
