"""The network between client and gateway where there are no namespaces: datagrams pass a relay, which can lose them, and move like a NAT.

    python -m lab.demo.relay LISTEN GATEWAY SOURCE TAP     endpoints are ADDRESS:PORT, SOURCE is an address; all of loopback

It prints one JSON line with its port (LISTEN's port may be 0), then obeys JSON lines on standard input, each answered by one line: drop
(`on`), move (`source`), inject (`port`, `frames` in hex), tap (`on`). It ends with its input. TAP gets a JSON line for each datagram of a
client that it takes while tapping, also for one that it loses: an attacker beside the client would see that too.
"""

import contextlib
import json
import select
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lab.demo.work import say

DATAGRAM_BYTES: Final = 65_535
BATCH: Final = 64  # datagrams a turn from one socket, so that orders are heard
PEERS_MAX: Final = 64  # clients' sockets with a way of their own; the oldest gives way
BUFFER_BYTES: Final = 4 << 20

Address = tuple[str, int]


class Relay:
    """One socket towards clients; for each of theirs, one towards the gateway."""

    def __init__(self, listen: Address, gateway: Address, source: str, tap: Path) -> None:
        """Bind; nothing is lost and nothing recorded yet."""
        self.gateway, self.source, self.dropping, self.tapping = gateway, source, False, False
        self.front = _bound(listen)
        self.ways: dict[Address, socket.socket] = {}
        self.poll = select.poll()
        self.poll.register(self.front, select.POLLIN)
        self.out = tap.open("w", buffering=1)

    def run(self) -> None:
        """Pass datagrams on and obey, until the input ends."""
        say({"port": self.front.getsockname()[1]})
        self.poll.register(sys.stdin.fileno(), select.POLLIN)
        while True:
            for fd, _ in self.poll.poll():
                if fd == sys.stdin.fileno():
                    if not (line := sys.stdin.readline()):
                        return
                    say(self.obey(**json.loads(line)))
                elif fd == self.front.fileno():
                    self.forth()
                else:
                    self.back(fd)

    def obey(self, do: str, *, on: bool = True, source: str = "", port: int = 0, frames: Sequence[str] = ()) -> dict[str, Any]:
        """Do one order; return the answer."""
        match do:
            case "drop":
                self.dropping = on
            case "tap":
                self.tapping = on
            case "move":
                self.source = source
                for client in list(self.ways):  # what is on its way to the old addresses is lost, as at a NAT that was restarted
                    self.forget(client)
            case "inject":
                way = next((each for each in self.ways.values() if each.getsockname()[1] == port), None)
                if way is None:
                    return {"error": f"no client has the port {port} here"}
                for frame in frames:
                    way.sendto(bytes.fromhex(frame), self.gateway)
            case _:
                return {"error": f"unknown order {do}"}
        return {"error": None}

    def forth(self) -> None:
        """Take datagrams of clients, show them to the tap, pass them on or lose them."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(BATCH):
                frame, client = self.front.recvfrom(DATAGRAM_BYTES)
                way = self.ways.get(client) or self.open(client)
                if self.tapping:
                    line = {"from": way.getsockname(), "to": self.gateway, "sent": True, "frame": frame.hex()}
                    self.out.write(json.dumps(line) + "\n")
                if not self.dropping:
                    way.sendto(frame, self.gateway)

    def back(self, fd: int) -> None:
        """Take datagrams of the gateway; strangers are not heard, as behind a NAT."""
        client, way = next(((client, way) for client, way in self.ways.items() if way.fileno() == fd), (None, None))
        if client is None or way is None:
            return
        with contextlib.suppress(BlockingIOError):
            for _ in range(BATCH):
                frame, sender = way.recvfrom(DATAGRAM_BYTES)
                if sender == self.gateway and not self.dropping:
                    self.front.sendto(frame, client)

    def open(self, client: Address) -> socket.socket:
        """Give a client's socket its own way to the gateway."""
        if len(self.ways) >= PEERS_MAX:
            self.forget(next(iter(self.ways)))
        self.ways[client] = way = _bound((self.source, 0))
        self.poll.register(way, select.POLLIN)
        return way

    def forget(self, client: Address) -> None:
        """Close a client's way."""
        way = self.ways.pop(client)
        self.poll.unregister(way)
        way.close()


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.bind(address)
    return sock


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main(argv: list[str]) -> None:
    """Relay as the arguments say."""
    match argv:
        case [listen, gateway, source, tap]:
            Relay(_address(listen), _address(gateway), source, Path(tap)).run()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
