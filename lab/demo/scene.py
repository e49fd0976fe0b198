"""Where the demonstration and its tests play: keys, configurations, two namespaces, a gateway process and a client process."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from lab.netlab import Lab

PORT: Final = 51_820
TUNNEL: Final = "10.77.0.1"
LEFT: Final = "10.9.0.1"
LEFT_AFTER: Final = "10.9.0.3"
RIGHT: Final = "10.9.0.2"
JVPN: Final = (sys.executable, "-I", "-m", "jvpn")
READY_S: Final = 20.0

GATEWAY: Final = """\
node = "demo-gateway"
key = "gateway.key"
devices = "devices.json"
state = "gateway"
endpoint = "{right}"
[listen]
udp = ["{right}:{port}"]
tcp = ["{right}:{port}"]
[tun]
name = "jvpn-gw"
address4 = "10.77.0.1/24"
address6 = "fd77::1/64"
[policy]
health_ms = 1000
[audit]
dir = "gateway-audit"
"""


class Failed(Exception):
    """The scene did not come to what was expected of it; the message says what and where the logs are."""


class Scene:
    """A gateway on the right, a client on the left, everything below one directory; ends what it started."""

    def __init__(self, directory: Path, devices: tuple[str, ...] = ("alice",)) -> None:
        """Make keys and configurations with the product's own commands, then the namespaces; nothing runs yet."""
        self.directory, self.ending = directory, ExitStack()
        directory.mkdir(parents=True, exist_ok=True)
        self.gateway_config = directory / "gateway.toml"
        self.gateway_config.write_text(GATEWAY.format(right=RIGHT, port=PORT))
        self.jvpn("keygen", "gateway", "--out", "gateway.key")
        for name in devices:
            self.jvpn("enroll", name, "--gateway-config", "gateway.toml", "--out", name)
            with (directory / name / "client.toml").open("a") as config:  # its last table is [policy]
                config.write("health_ms = 1000\n")
        self.client_config = directory / devices[0] / "client.toml"
        self.lab = self.ending.enter_context(Lab(left=(f"{LEFT}/24", "fd09::1/64")))
        self.gateway: subprocess.Popen[bytes] | None = None
        self.client: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End client, then gateway, then the namespaces; again changes nothing."""
        for process in (self.client, self.gateway):
            stop(process)
        self.ending.close()

    def jvpn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `jvpn` command in the scene's directory; raise Failed with what it said."""
        done = subprocess.run([*JVPN, *arguments], cwd=self.directory, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise Failed(f"jvpn {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start_gateway(self) -> None:
        """Start the gateway, or start it again, and wait until it answers."""
        self.gateway = self._start("right", "gateway", self.gateway_config)
        self.wait(lambda: self.status("gateway"), "the gateway answers at its control socket", self.gateway)

    def start_client(self) -> None:
        """Start the client and wait until it is attached."""
        self.client = self._start("left", "client", self.client_config)
        self.wait(lambda: (self.status("client") or {}).get("state") == "ATTACHED", "the client is attached", self.client)

    def work(self, side: str, *arguments: str, out: str) -> subprocess.Popen[bytes]:
        """Start one part of the traffic on a side; what it prints goes to the file `out`."""
        target = self.ending.enter_context((self.directory / out).open("wb"))
        return self.lab.run(side, [sys.executable, "-m", *arguments], stdout=target, stderr=subprocess.STDOUT)  # type: ignore[arg-type]  # left or right

    def status(self, role: str) -> dict[str, Any] | None:
        """Return what the control socket says, or None while nothing answers."""
        config = self.gateway_config if role == "gateway" else self.client_config
        state = config.parent / ("gateway" if role == "gateway" else "state")
        try:
            return ask(state / "control.sock", {"order": "status"})
        except Unavailable:
            return None

    def session(self) -> dict[str, Any]:
        """Return the gateway's view of the client's session."""
        mine = (self.status("client") or {}).get("correlation_id")
        found = [each for each in (self.status("gateway") or {}).get("sessions", []) if each["correlation_id"] == mine]
        return dict(found[0]) if found else {}

    def audit(self, role: str) -> Path:
        """Return the directory of a log."""
        return self.directory / "gateway-audit" if role == "gateway" else self.client_config.parent / "state" / "audit"

    def events(self, role: str = "gateway") -> Iterator[dict[str, Any]]:
        """Yield the events that the log has now."""
        for segment in sorted(self.audit(role).glob("audit-*.jsonl")):
            for line in segment.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    yield orjson.loads(line)["event"]

    def lines(self, out: str) -> list[dict[str, Any]]:
        """Return the JSON lines that a part of the traffic has printed so far."""
        raw = (self.directory / out).read_text().splitlines()
        return [json.loads(line) for line in raw if line.startswith("{") and line.endswith("}")]

    def wait(self, what: Callable[[], Any], claim: str, process: subprocess.Popen[bytes] | None = None, seconds: float = READY_S) -> Any:  # noqa: ANN401 - whatever `what` returns
        """Wait until `what` returns something true, and return it; raise Failed naming the claim."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            if process is not None and process.poll() is not None:
                break
            time.sleep(0.02)
        raise Failed(f"not so within {seconds:.0f} s: {claim}; see the .log files in {self.directory}")

    def _start(self, side: str, role: str, config: Path) -> subprocess.Popen[bytes]:
        log = self.ending.enter_context((self.directory / f"{role}.log").open("ab"))
        return self.lab.run(side, [*JVPN, role, "--config", str(config)], stdout=log, stderr=subprocess.STDOUT)  # type: ignore[arg-type]  # left or right


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End a process in good order, and without it after ten seconds."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
