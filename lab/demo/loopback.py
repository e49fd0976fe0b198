"""Where the demonstration plays when no network namespace can be made: on loopback, with the product's packet pump instead of TUN devices.

Gateway and client are the same processes as ever, and their UDP and TCP are real sockets. Between them UDP passes the laboratory's relay
(lab/demo/relay.py); TCP goes straight. The traffic makes its IP packets itself (lab/demo/pumped.py).
"""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from lab.demo import tied
from lab.demo.scene import LONG_S, TUNNEL, Failed, Stage, stop

GATEWAY: Final = "127.9.0.2"
RELAY: Final = "127.9.0.4"  # where the client finds it
BEFORE: Final = "127.9.0.1"  # from where it speaks to the gateway
AFTER: Final = "127.9.0.3"
FOREIGN: Final = "127.9.0.66"
ANSWER_S: Final = 20.0
UNIX_PATH_MAX: Final = 107  # linux/un.h: 108 bytes with a zero at the end


class Loopback(Stage):
    """One machine, no privileges: what the kernel would do with packets, programs of the laboratory do."""

    mode = "loopback"
    stands_on = "the relay, the traffic"
    label = "No namespaces: loopback sockets and a packet pump instead of TUN; nftables not used."
    not_shown = (
        "a kernel that routes packets into the tunnel; programs of the laboratory make the IP packets, and the download is not TCP",
        "a firewall that drops UDP; a relay of the laboratory loses it",
        "a machine that loses its address; the relay's changes, as a NAT's does, so the jump is MOVED_HINTED, not MOVED_ADDRESS_CHANGED",
        "forged source addresses; the attacker on the path sends through the relay's socket",
    )
    address_step = "the client's address changes on the way, as at a NAT: the session follows"
    # A client that misses an answer before the hint comes, on a busy machine, moves for that reason.
    jumps = (frozenset({"MOVED_PATH_DEAD"}), frozenset({"MOVED_BETTER"}), frozenset({"MOVED_HINTED", "MOVED_PATH_DEAD"}))
    address_after = AFTER

    def __init__(self, directory: Path, devices: tuple[str, ...] = ("alice",)) -> None:
        """Make keys and configurations, then start the relay."""
        self.port, self._running = _free_port(), list[subprocess.Popen[bytes]]()
        self.pumps = {"right": directory / "gateway" / "pump.sock", "left": directory / devices[0] / "state" / "pump.sock"}
        if (longest := max(len(os.fsencode(pump)) for pump in self.pumps.values())) > UNIX_PATH_MAX:
            raise Failed(f"{directory} is {longest - UNIX_PATH_MAX} bytes too long for unix sockets in it; choose a shorter path (--out)")
        super().__init__(directory, devices, GATEWAY, self.port, 'kind = "pump"')
        self.ending.callback(self._end)
        ends = [f"{RELAY}:0", f"{GATEWAY}:{self.port}", BEFORE, str(directory / "tap.jsonl")]
        command = [sys.executable, "-m", "lab.demo.relay", *ends]
        self.relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True)
        self._running.append(self.relay)
        port = self._answer()["port"]
        text = self.client_config.read_text().replace("[tun]\n", '[tun]\nkind = "pump"\n')
        self.client_config.write_text(text.replace(f'udp = "{GATEWAY}:{self.port}"', f'udp = "{RELAY}:{port}"'))

    def run(self, side: str, argv: Sequence[str], *, stdin: int | None = None, stdout: IO[Any] | None = None) -> subprocess.Popen[bytes]:  # noqa: ARG002 - both sides are this machine
        """Start a program; it ends with this process, however that ends."""
        command = [sys.executable, "-I", tied.__file__, str(os.getpid()), *argv]
        errors = subprocess.STDOUT if stdout else None
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=errors, start_new_session=True)
        self._running.append(process)
        return process

    def tap(self) -> None:
        """Have the relay write down what it takes from the client."""
        self._order("tap")

    def traffic(self, size: int, rate: int) -> subprocess.Popen[bytes]:
        """Use a program at each pump; the left one pings too, since a pump has one peer."""
        own = str((self.status("client") or {})["inner4"])
        right, left = ([str(self.pumps[side]), str(self.directory / f"{side}.sock")] for side in ("right", "left"))
        self.work("right", "lab.demo.pumped", "serve", *right, TUNNEL, str(size), str(LONG_S), out="serve.log")
        pings = self.directory / "ping.jsonl"
        pings.touch()
        return self.work("left", "lab.demo.pumped", "fetch", *left, own, TUNNEL, str(rate), str(LONG_S), str(pings), out="download.jsonl")

    def black_hole(self, *, on: bool = True) -> None:
        """Let the relay lose everything, in both directions."""
        self._order("drop", on=on)

    def change_address(self) -> None:
        """Let the relay speak from another address."""
        self._order("move", source=AFTER)

    def send(self, frames: Sequence[str], *, foreign: bool = False) -> None:
        """Send through the relay's socket, which is where the session is, or from a socket of our own."""
        if not foreign:
            mine = int(str(self.session()["remote"]).rsplit(":", 1)[1])
            self._order("inject", port=mine, frames=list(frames))
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((FOREIGN, 0))
            for frame in frames:
                stranger.sendto(bytes.fromhex(frame), (GATEWAY, self.port))

    def _order(self, do: str, **arguments: object) -> None:
        if self.relay.stdin is not None:
            with suppress(BrokenPipeError):  # then no answer comes, which says so
                self.relay.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        if (error := self._answer()["error"]) is not None:
            raise Failed(f"the relay did not {do}: {error}")

    def _answer(self) -> dict[str, Any]:
        answers, line = self.relay.stdout, b""
        if answers is not None and select.select([answers], [], [], ANSWER_S)[0]:
            line = answers.readline()
        if not line:
            raise Failed(f"the relay does not answer; it ended with {self.relay.poll()}")
        return dict(json.loads(line))

    def _end(self) -> None:
        for process in self._running:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            stop(process)


def _free_port() -> int:
    """Return a port of the gateway's address that is free for UDP and TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        udp.bind((GATEWAY, 0))
        port = int(udp.getsockname()[1])
        tcp.bind((GATEWAY, port))
    return port
