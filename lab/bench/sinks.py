"""`make bench-sinks`: does a sink of the audit log that is dead, hangs or is full slow the tunnel down?

    python -m lab.bench.sinks [--cycles N] [--json] [--quick]

A real tunnel between two network namespaces, its gateway with a real audit writer, a shipper and an OpenSearch node. In each cycle every
state of the sink has its turn, forwards in one and backwards in the next; ratios are taken within a cycle. Writes docs/evidence/sinks.*,
but not with `--quick`. Exit status: 0 also when a bar is not met, which is a result; 2: it cannot run here.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from lab import command, evidence
from lab.bench.figures import Bar, Series, number, row
from lab.demo.scene import LONG_S, RIGHT, TUNNEL, Failed, Scene
from lab.endure import mounts
from lab.endure.ship import Shipping
from lab.netlab import LabError
from lab.opensearch_fetch import FetchError, fetch
from lab.opensearch_node import Node, NodeError
from observability.connect import Cluster, connect

NAME: Final = "sinks"
WORK: Final = "lab.bench.tunnel_work"
HEALTHY: Final = "healthy"
STATES: Final = {
    HEALTHY: "The node takes everything.",
    "dead": "Nobody listens where the node should be.",
    "hung": "The node is stopped (SIGSTOP): connections are accepted, nothing is answered.",
    "refusing": "The node's disk is full: each event is answered with 429.",
    "state full": "The disk of the shipper's state is full.",
    "log full": "The disk of the log is full, and what the writer had put aside is gone: nothing is recorded, evidence waits.",
}
SPEED_MOST: Final = 1.02  # healthy : this, and the other way round
TAIL_MOST: Final = 1.5
TAIL: Final = 0.999
SETTLE_S: Final = 1.0  # after a change of state
LOG_MB, STATE_MB = 32, 4
PROCESSORS: Final = sorted(os.sched_getaffinity(0))
METHOD: Final = (
    "*Throughput*: TCP by iperf3 with cubic from the client's side through the tunnel. *Round trip*: a datagram a millisecond from there",
    "to an echo behind the gateway and back, with nothing else in the tunnel, while a stranger's garbage at the gateway's door is refused",
    "and recorded; it passes the packet loops of client and gateway twice. What is lost counts as a second. Its 99.9th percentile is of",
    "all round trips of a state; throughputs are medians of the cycles, and ratios are taken within a cycle. The tunnel, with both ends,",
    "writer, iperf3 and probe, has one processor, node and shipper another: else a node that does nothing would make the tunnel faster.",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: cycles, seconds of throughput and round trips in each turn."""

    cycles: int
    seconds: int
    probes: int


LONG: Final = Size(cycles=10, seconds=3, probes=3_000)
QUICK: Final = Size(cycles=1, seconds=1, probes=200)


@dataclass(slots=True)
class Measured:
    """Of one state: bits a second of each cycle, all round trips in ns with the cycles that they are of, and what the log had."""

    speeds: list[float] = field(default_factory=list)
    trips: list[list[int]] = field(default_factory=list)
    events: int = 0

    @property
    def tails(self) -> list[int]:
        """The percentile of each cycle."""
        return [tail(each) for each in self.trips]

    @property
    def tail(self) -> int:
        """The percentile of all."""
        return tail(sorted(trip for each in self.trips for trip in each))


def tail(trips: Sequence[int]) -> int:
    """Return the 99.9th percentile of sorted values: the least that so many of them do not exceed."""
    return trips[min(len(trips) - 1, int(len(trips) * TAIL))]


@contextmanager
def beside(place: int) -> Iterator[None]:
    """Start on one processor what is started in here: the tunnel on the first (0), everything else on the last (-1).

    A node that does nothing would leave more to the tunnel: in production it is another machine.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {PROCESSORS[place]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Sink:
    """Node, shipper and the two disks; `enter` brings a state about, from healthy, and `leave` takes it back."""

    def __init__(self, node: Node, log: Path, state: Path) -> None:
        """The set-up is installed, the shipper runs."""
        self.node, self._log, self._state = node, log, state
        self.shipping = Shipping(log, state / "ship", "bench-sinks")
        self.shipping.request_s = 5.0
        self.shipping.install(node.url)
        self.shipping.begin(node.url)

    def enter(self, state: str) -> None:
        """Begin."""
        match state:
            case "dead":
                self._elsewhere(_nowhere())
            case "hung":
                self.node.pause()
            case "refusing":
                self._block(on=True)
            case "state full":
                mounts.fill(self._state)
            case "log full":
                mounts.fill(self._log)
            case _:
                pass

    def keep(self, state: str) -> None:
        """Keep it so: a disk stays full also when somebody made room, and a shipper that ended is started again."""
        self.shipping.turn()
        if state == "log full":
            mounts.fill(self._log)

    def leave(self, state: str) -> None:
        """End it."""
        match state:
            case "dead":
                self._elsewhere(self.node.url)
            case "hung":
                self.node.resume()
            case "refusing":
                self._block(on=False)
            case "state full":
                mounts.free(self._state)
            case "log full":
                mounts.free(self._log)
            case _:
                pass

    def _elsewhere(self, url: str) -> None:
        self.shipping.end()
        self.shipping.begin(url)

    def _block(self, *, on: bool) -> None:
        client = connect(Cluster(url=self.node.url, request_seconds=60.0))
        client.indices.put_settings(index=self.shipping.names.readable, body={"index.blocks.read_only_allow_delete": True if on else None})
        client.close()


def _nowhere() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


class Tunnel:
    """Gateway and client in their namespaces, with what measures."""

    def __init__(self, scene: Scene, *, busy_s: float) -> None:
        """Both run; a stranger knocks for so long."""
        self._scene = scene
        config = scene.gateway_config
        config.write_text(config.read_text().replace("health_ms = 1000", "health_ms = 100"))
        with beside(0):
            scene.start_gateway()
            scene.start_client()
            scene.work("right", WORK, "echo", TUNNEL, str(busy_s), out="echo.log")
            scene.work("left", WORK, "strangers", RIGHT, str(busy_s), out="strangers.log")
        scene.wait(lambda: scene.lines("echo.log"), "the echo has its socket")
        self._server = self._run("right", ["iperf3", "--server", "--forceflush", "--bind", TUNNEL], "server.log")
        scene.wait(lambda: b"listening" in (scene.directory / "server.log").read_bytes(), "iperf3 listens", self._server)

    def speed(self, seconds: int) -> float:
        """Return bits a second, as the receiver has them. Raises Failed."""
        words = ["iperf3", "--client", TUNNEL, "--time", str(seconds), "--congestion", "cubic", "--json"]
        process = self._run("left", words, "iperf.json")
        self._scene.wait(lambda: process.poll() is not None, "iperf3 ends", seconds=seconds + 30.0)
        told = json.loads((self._scene.directory / "iperf.json").read_text() or "{}")
        if "error" in told or "end" not in told:
            raise Failed(f"iperf3: {told.get('error', 'said nothing')}")
        return float(told["end"]["sum_received"]["bits_per_second"])

    def trips(self, count: int) -> list[int]:
        """Return sorted round trips in ns."""
        process = self._run("left", [sys.executable, "-m", WORK, "probe", TUNNEL, str(count)], "probe.json")
        self._scene.wait(lambda: process.poll() is not None, "the probe ends", seconds=count / 1_000 + 60.0)
        return [int(each) for each in json.loads((self._scene.directory / "probe.json").read_text())]

    def events(self) -> int:
        """Return how many records the gateway offered to its log."""
        audit = (self._scene.status("gateway") or {}).get("audit") or {}
        return int(audit.get("offered", 0))

    def _run(self, side: str, argv: list[str], out: str) -> subprocess.Popen[bytes]:
        with (self._scene.directory / out).open("wb") as target, beside(0):
            return self._scene.run(side, argv, stdout=target)


def measure(size: Size, place: Path, tell: Callable[[str], object]) -> dict[str, Measured]:
    """Return what was measured of each state. Raises Failed, LabError, NodeError and FetchError."""
    found = {state: Measured() for state in STATES}
    turn_s = size.seconds + size.probes / 1_000 + 6 * SETTLE_S
    with ExitStack() as stack:
        tell("an OpenSearch node starts")
        stack.enter_context(beside(-1))
        node = stack.enter_context(Node(fetch()))
        log, state_disk = place / "scene" / "gateway-audit", place / "state"
        stack.enter_context(mounts.mounted(log, LOG_MB))
        stack.enter_context(mounts.mounted(state_disk, STATE_MB))
        scene = stack.enter_context(Scene(place / "scene"))
        tunnel = Tunnel(scene, busy_s=max(LONG_S, 3 * turn_s * size.cycles * len(STATES)))
        sink = Sink(node, log, state_disk)
        stack.callback(sink.shipping.end)
        tunnel.speed(size.seconds)  # warm
        for cycle in range(size.cycles):
            order = list(STATES) if cycle % 2 == 0 else list(reversed(STATES))
            for state in order:
                one = found[state]
                tell(f"cycle {cycle + 1} of {size.cycles}: {state}")
                _turn(sink, tunnel, state, one, size)
    return found


def _turn(sink: Sink, tunnel: Tunnel, state: str, found: Measured, size: Size) -> None:
    before = tunnel.events()
    sink.enter(state)
    try:
        for _ in range(2):
            time.sleep(SETTLE_S / 2)
            sink.keep(state)
        found.speeds.append(tunnel.speed(size.seconds))
        sink.keep(state)
        found.trips.append(tunnel.trips(size.probes))
    finally:
        sink.leave(state)
    found.events += tunnel.events() - before
    time.sleep(SETTLE_S)
    sink.keep(HEALTHY)


def document(found: dict[str, Measured]) -> dict[str, Any]:
    """Return figures and bars of what was measured."""
    healthy = found[HEALTHY]
    bars: list[Bar] = []
    for state, each in found.items():
        if state == HEALTHY:
            continue
        ratios = Series(state, state, tuple(mine / theirs for mine, theirs in zip(healthy.speeds, each.speeds, strict=True)))
        change = max(ratios.median, 1 / ratios.median)
        bars.append(Bar(f"{state} speed", f"throughput, {state}: changed by a factor of", change, SPEED_MOST, "", ratios.spread))
        tails = Series(state, state, tuple(mine / theirs for mine, theirs in zip(each.tails, healthy.tails, strict=True)))
        bars.append(
            Bar(f"{state} tail", f"p99.9 of the round trip, {state} : healthy", each.tail / healthy.tail, TAIL_MOST, "", tails.spread)
        )
    states = [
        {
            "name": state,
            "story": STATES[state],
            "mbit_s": round(median(each.speeds) / 1e6, 1),
            "mbit_s_all": [round(speed / 1e6, 1) for speed in each.speeds],
            "trips": sum(map(len, each.trips)),
            "p50_us": round(median(trip for trips in each.trips for trip in trips) / 1e3),
            "p999_us": round(each.tail / 1e3),
            "p999_us_all": [round(one / 1e3) for one in each.tails],
            "records": each.events,
        }
        for state, each in found.items()
    ]
    return {"bars": [bar.plain() for bar in bars], "states": states}


def page(told: dict[str, Any]) -> list[str]:
    """Return the lines of sinks.md."""
    met = sum(bar["met"] for bar in told["bars"])
    lines = [
        "# The tunnel while the audit log's sink is dead, hung or full: the last run",
        "",
        f"Made by `make bench-sinks`, not by hand. {evidence.sentence(told['made'])}",
        f"{told['cycles']} cycles; the machine's load before was {told['load_before']}.",
        "",
        f"**{met} of {len(told['bars'])} bars are met.**",
        "",
        "| what | measured | quartiles of the cycles | at most | |",
        "|---|---|---|---|---|",
        *map(row, told["bars"]),
        "",
        "| sink | Mbit/s, median | least to most | round trips | median, µs | p99.9, µs | of the cycles | records offered to the log |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in told["states"]:
        speeds, tails = each["mbit_s_all"], each["p999_us_all"]
        lines.append(
            f"| {each['name']} | {each['mbit_s']} | {min(speeds)} to {max(speeds)} | {number(each['trips'], '')} | {each['p50_us']:,} |"
            f" {each['p999_us']:,} | {min(tails):,} to {max(tails):,} | {each['records']:,} |"
        )
    return [*lines, "", *(f"* *{name}*: {story}" for name, story in STATES.items()), "", *METHOD]


def main(argv: list[str]) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.sinks", description="The tunnel, while the sink of the log fails.")
    parser.add_argument("--cycles", type=int, default=LONG.cycles, help=f"turns of each state; {LONG.cycles} unless told")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs; writes nothing")
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs is ended on the way out
    if why := mounts.alone(["-m", "lab.bench.sinks", *argv]):
        print(f"lab.bench.sinks: no file system can be mounted here: {why}", file=sys.stderr)
        return 2
    size = QUICK if given.quick else Size(given.cycles, LONG.seconds, LONG.probes)
    made, load = evidence.circumstances("cryptography", "opensearch-py"), os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="jvpn-sinks-") as place:
            found = measure(size, Path(place), lambda said: print(said, file=sys.stderr, flush=True))
    except (Failed, LabError, NodeError, FetchError) as error:
        print(f"lab.bench.sinks: {error}", file=sys.stderr)
        return 2
    told = document(found) | {"cycles": size.cycles, "load_before": round(load, 1), "made": made}
    print(json.dumps(told) if given.json else "\n".join(page(told)))
    if not given.quick:
        evidence.write(NAME, told, page(told))
    return 0


if __name__ == "__main__":
    command.run(main, "lab.bench.sinks")
