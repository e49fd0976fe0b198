"""Where the demonstration and its tests play: keys, configurations, a gateway process and a client process.

`Stage` is what every place has; `Scene` is two namespaces with TUN devices. lab/demo/loopback.py is the place without namespaces.
"""

import json
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar

import orjson

from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from lab.demo.work import HTTP_PORT
from lab.netlab import Lab

PORT: Final = 51_820
TUNNEL: Final = "10.77.0.1"
LEFT: Final = "10.9.0.1"
LEFT_AFTER: Final = "10.9.0.3"
RIGHT: Final = "10.9.0.2"
FOREIGN: Final = "10.9.0.66"
FOREIGN_PORT: Final = 4_444
JVPN: Final = (sys.executable, "-I", "-m", "jvpn")
READY_S: Final = 20.0
LONG_S: Final = 180.0  # traffic and recorder end by themselves after this

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
{tun}
address4 = "10.77.0.1/24"
address6 = "fd77::1/64"
[policy]
health_ms = 1000
[audit]
dir = "gateway-audit"
"""


T = TypeVar("T")


class Failed(Exception):
    """The scene did not come to what was expected of it; the message says what and where the logs are."""


class Stage(ABC):
    """A gateway on the right, a client on the left, everything below one directory; ends what it started."""

    mode: str
    """One word for the summary."""
    label: str
    """What is real here, in one sentence."""
    stands_on: str
    """What else runs, and ends with the stage."""
    not_shown: tuple[str, ...] = ()
    """What a place like this cannot show."""
    address_step: str
    """What happens in the step of the address change."""
    jumps: tuple[frozenset[str], ...]
    """The reasons that each jump of the story may have, in order."""
    address_after: str
    """From where the session's datagrams reach the gateway after that step."""

    def __init__(self, directory: Path, devices: tuple[str, ...], right: str, port: int, tun: str) -> None:
        """Make keys and configurations with the product's own commands; nothing runs yet. `tun`: the gateway's line of that table."""
        self.directory, self.ending = directory, ExitStack()
        directory.mkdir(parents=True, exist_ok=True)
        self.gateway_config = directory / "gateway.toml"
        self.gateway_config.write_text(GATEWAY.format(right=right, port=port, tun=tun))
        self.jvpn("keygen", "gateway", "--out", "gateway.key")
        for name in devices:
            self.jvpn("enroll", name, "--gateway-config", "gateway.toml", "--out", name)
            with (directory / name / "client.toml").open("a") as config:  # its last table is [policy]
                config.write("health_ms = 1000\n")
        self.client_config = directory / devices[0] / "client.toml"
        self.gateway: subprocess.Popen[bytes] | None = None
        self.client: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def run(self, side: str, argv: Sequence[str], *, stdin: int | None = None, stdout: IO[Any] | None = None) -> subprocess.Popen[bytes]:
        """Start a program on a side, its errors where its output goes; it ends with the stage."""

    @abstractmethod
    def tap(self) -> None:
        """Write the client's datagrams to `tap.jsonl` from now on: from, to, sent, frame in hex."""

    @abstractmethod
    def traffic(self, size: int, rate: int) -> subprocess.Popen[bytes]:
        """Start download (`download.jsonl`), echo and ping (`ping.jsonl`) through the tunnel; return the download."""

    @abstractmethod
    def black_hole(self, *, on: bool = True) -> None:
        """Let UDP vanish without a word, or no longer."""

    @abstractmethod
    def change_address(self) -> None:
        """Let the client's datagrams come from `address_after`."""

    @abstractmethod
    def send(self, frames: Sequence[str], *, foreign: bool = False) -> None:
        """Send datagrams (hex) to the gateway as if from the session's own address and port, or from an address that has none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()
        if error is not None:
            error.add_note(f"client, gateway and {self.stands_on}")

    def close(self) -> None:
        """End client, then gateway, then what they stand on; again changes nothing."""
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
        return self.run(side, [sys.executable, "-m", *arguments], stdout=target)

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

    def wait(self, what: Callable[[], T], claim: str, process: subprocess.Popen[bytes] | None = None, seconds: float = READY_S) -> T:
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
        return self.run(side, [*JVPN, role, "--config", str(config)], stdout=log)


class Scene(Stage):
    """Two network namespaces and a cable: TUN devices, nftables, addresses of its own."""

    mode = "namespaces"
    stands_on = "both namespaces with the traffic in them"
    label = "Two network namespaces, real TUN devices, UDP dropped by nftables."
    address_step = "the client's address is replaced: the session follows"
    jumps = (frozenset({"MOVED_PATH_DEAD"}), frozenset({"MOVED_BETTER"}), frozenset({"MOVED_ADDRESS_CHANGED"}))
    address_after = LEFT_AFTER

    def __init__(self, directory: Path, devices: tuple[str, ...] = ("alice",)) -> None:
        """Make keys and configurations, then the namespaces; nothing runs yet."""
        super().__init__(directory, devices, RIGHT, PORT, 'name = "jvpn-gw"')
        self.lab = self.ending.enter_context(Lab(left=(f"{LEFT}/24", "fd09::1/64")))

    def run(self, side: str, argv: Sequence[str], *, stdin: int | None = None, stdout: IO[Any] | None = None) -> subprocess.Popen[bytes]:
        """Start a program in a namespace."""
        return self.lab.run(side, argv, stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT if stdout else None)  # type: ignore[arg-type]  # left or right

    def tap(self) -> None:
        """Record on the cable, with a raw socket."""
        self.work("left", "lab.demo.attacker", "record", str(self.directory / "tap.jsonl"), str(LONG_S), out="tap.log")

    def traffic(self, size: int, rate: int) -> subprocess.Popen[bytes]:
        """Use HTTP and UDP of the kernel, which know nothing of the tunnel."""
        work = "lab.demo.work"
        self.work("right", work, "serve", TUNNEL, str(size), str(LONG_S), out="serve.log")
        self.work("right", work, "echo", TUNNEL, str(LONG_S), out="echo.log")
        logs = [self.directory / f"{name}.log" for name in ("serve", "echo")]
        self.wait(lambda: all(log.stat().st_size for log in logs), "file server and echo have their sockets")
        self.work("left", work, "ping", TUNNEL, str(LONG_S), out="ping.jsonl")
        return self.work("left", work, "download", f"http://{TUNNEL}:{HTTP_PORT}/", str(rate), out="download.jsonl")

    def black_hole(self, *, on: bool = True) -> None:
        """Drop at arrival, on both sides."""
        self.lab.block_udp(on=on)

    def change_address(self) -> None:
        """Replace the interface's address."""
        self.lab.replace_address(f"{LEFT}/24", f"{LEFT_AFTER}/24")

    def send(self, frames: Sequence[str], *, foreign: bool = False) -> None:
        """Send with a raw socket, which takes any source address."""
        mine = int(str(self.session()["remote"]).rsplit(":", 1)[1])
        source, port = (FOREIGN, FOREIGN_PORT) if foreign else (LEFT_AFTER, mine)
        process = self.run("left", [sys.executable, "-m", "lab.demo.attacker", "send", source, str(port)], stdin=subprocess.PIPE)
        process.communicate("\n".join(frames).encode(), timeout=30)


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
