"""The traffic of the demonstration where there is no TUN: programs that make IP packets themselves and speak to the product's packet pump.

    python -m lab.demo.pumped serve PUMP SOCKET ADDRESS BYTES SECONDS            the file, and an echo
    python -m lab.demo.pumped fetch PUMP SOCKET OWN ADDRESS RATE SECONDS PINGS   a paced download, and a ping every 10 ms

PUMP is the product's `pump.sock`, SOCKET the path of our own, OWN and ADDRESS are inner IPv4 addresses. No kernel's TCP: the file comes in
numbered pieces, each asked for, and asked for again until it is there. Each program ends by itself. `fetch` prints JSON lines as
`lab.demo.work download` does, and writes to the file PINGS what `lab.demo.work ping` prints.
"""

import contextlib
import hashlib
import json
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from lab.demo.attacker import IP_HEADER, IPV4_FIRST, UDP, UDP_HEADER
from lab.demo.work import ECHO_PORT, HTTP_PORT, PING, PING_S, STALL_S, content, say

OWN_PORT: Final = 40_000
PIECE_BYTES: Final = 1_200  # with all headers within the tunnel's MTU of 1,280
ASK: Final = struct.Struct("!Q")  # from which byte on
PIECE: Final = struct.Struct("!QQ")  # from which byte on, and the size of the whole
AGAIN_S: Final = 0.25
ASKED_MAX: Final = 256  # pieces on their way
AHEAD_MAX: Final = 8.0  # pieces that may be asked for at once after a pause: a unix socket holds ten datagrams
ANNOUNCE_S: Final = 1.0
PACKET_BYTES: Final = 65_535


class Datagram(NamedTuple):
    """A UDP datagram inside an IPv4 packet."""

    source: str
    destination: str
    source_port: int
    port: int
    payload: bytes

    def packed(self) -> bytes:
        """Return the packet (RFC 791, RFC 768), without UDP checksum, as IPv4 allows."""
        size = UDP_HEADER.size + len(self.payload)
        ends = socket.inet_aton(self.source), socket.inet_aton(self.destination)
        header = IP_HEADER.pack(IPV4_FIRST, 0, IP_HEADER.size + size, 0, 0, 64, UDP, 0, *ends)
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xFFFF) + (total >> 16)
        checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        ports = UDP_HEADER.pack(self.source_port, self.port, size, 0)
        return b"".join([header[:10], checksum.to_bytes(2, "big"), header[12:], ports, self.payload])

    @classmethod
    def parsed(cls, packet: bytes) -> "Datagram | None":
        """Return what a packet holds, or None when it is no UDP in IPv4 without options."""
        start = IP_HEADER.size + UDP_HEADER.size
        if len(packet) < start or packet[0] != IPV4_FIRST or packet[9] != UDP:
            return None
        source_port, port, _, _ = UDP_HEADER.unpack_from(packet, IP_HEADER.size)
        return cls(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), source_port, port, packet[start:])


class Plug:
    """Our end of a pump."""

    def __init__(self, pump: Path, own: Path) -> None:
        """Bind at `own` and say so to the pump."""
        self.pump, self.socket = str(pump), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        own.unlink(missing_ok=True)
        self.socket.bind(str(own))
        self.send(b"")  # the pump delivers to whoever sent last

    def send(self, packet: bytes) -> bool:
        """Send one packet; without room, or without a pump, it is lost: False."""
        try:
            self.socket.sendto(packet, self.pump)
        except OSError:
            return False
        return True

    def take(self, wait: float) -> list[Datagram]:
        """Return what comes within `wait` seconds, as soon as something does."""
        found: list[Datagram | None] = []
        if select.select([self.socket], [], [], max(0.0, wait))[0]:
            with contextlib.suppress(BlockingIOError):
                while len(found) < ASKED_MAX:
                    found += [Datagram.parsed(self.socket.recv(PACKET_BYTES))]
        return [each for each in found if each]


def serve(plug: Plug, address: str, size: int, seconds: float) -> None:
    """Answer for so long: pieces of the file, and echoes."""
    body, end, announce = content(size), time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < end:
        if now >= announce:
            announce = now + ANNOUNCE_S
            plug.send(b"")
        for source, destination, source_port, port, payload in plug.take(announce - now):
            if destination != address:
                continue
            answer = payload if port == ECHO_PORT else b""
            if port == HTTP_PORT and len(payload) == ASK.size:
                (start,) = ASK.unpack(payload)
                answer = PIECE.pack(start, size) + body[start : start + PIECE_BYTES]
            if answer:
                plug.send(Datagram(address, source, port, source_port, answer).packed())


class Fetch:
    """A file that comes in pieces, in any order."""

    def __init__(self, rate: int) -> None:
        """Nothing is there yet; `rate` bytes a second are asked for."""
        self.size, self.got, self.next, self.digest = PIECE_BYTES, 0, 0, hashlib.sha256()  # the first piece tells the size
        self.rate, self.ahead, self.told = rate, AHEAD_MAX, 0.0
        self.began = self.counted = self.heard = time.monotonic()
        self.asked: dict[int, float] = {}
        self.early: dict[int, bytes] = {}

    def asks(self, now: float) -> list[int]:
        """Return which pieces to ask for now: first those that did not come, then new ones, within the rate."""
        self.ahead = min(AHEAD_MAX, self.ahead + (now - self.counted) * self.rate / PIECE_BYTES)
        self.counted, wanted = now, list[int]()
        while self.ahead >= 1.0:
            start = next(iter(self.asked), None)  # the one that was asked for longest ago
            if start is None or now - self.asked[start] < AGAIN_S:
                if self.next >= self.size or len(self.asked) + len(self.early) >= ASKED_MAX:
                    break
                start, self.next = self.next, self.next + PIECE_BYTES
            self.asked.pop(start, None)
            self.asked[start] = now  # at the end
            self.ahead -= 1.0
            wanted.append(start)
        return wanted

    def take(self, payload: bytes, now: float) -> None:
        """Keep a piece that was asked for; what is in order goes into the digest."""
        start, self.size = PIECE.unpack_from(payload)
        if self.asked.pop(start, None) is None:
            return
        self.early[start], self.heard = payload[PIECE.size :], now
        while piece := self.early.pop(self.got, b""):
            self.digest.update(piece)
            self.got += len(piece)

    def tell(self, now: float) -> bool:
        """Print how far it is, twice a second, and the end; return whether it is at its end. Exit when nothing comes any more."""
        if self.got >= self.size:
            say({"done": True, "bytes": self.got, "sha256": self.digest.hexdigest(), "seconds": round(now - self.began, 3)})
            return True
        if now - self.told > 0.5 and self.got:  # noqa: PLR2004 - twice a second
            self.told = now
            say({"bytes": self.got, "total": self.size})
        if now - self.heard > STALL_S:
            sys.exit(f"nothing came for {STALL_S:.0f} s")
        return False


def fetch(plug: Plug, ends: tuple[str, str], rate: int, seconds: float, pings: Path) -> None:
    """Download, and ping for so long; `ends`: our address and the server's."""
    own, address = ends
    file, over, sent, due = Fetch(rate), False, 0, time.monotonic()
    end = due + seconds
    with pings.open("w", buffering=1) as out:
        while (now := time.monotonic()) < end:
            for datagram in plug.take(min(due - now, PIECE_BYTES / rate)):
                if datagram.source_port == ECHO_PORT and len(datagram.payload) == PING.size:
                    number, at = PING.unpack(datagram.payload)
                    came = time.time_ns()
                    out.write(json.dumps({"n": number, "at": came, "rtt": came - at}) + "\n")
                elif datagram.source_port == HTTP_PORT and len(datagram.payload) > PIECE.size and not over:
                    file.take(datagram.payload, time.monotonic())
            now = time.monotonic()
            if now >= due:
                due += PING_S
                plug.send(Datagram(own, address, OWN_PORT, ECHO_PORT, PING.pack(sent, time.time_ns())).packed())
                sent += 1
            if not over:
                for start in file.asks(now):
                    plug.send(Datagram(own, address, OWN_PORT, HTTP_PORT, ASK.pack(start)).packed())
                over = file.tell(now)


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["serve", pump, own, address, size, seconds]:
            serve(Plug(Path(pump), Path(own)), address, int(size), float(seconds))
        case ["fetch", pump, plug, own, address, rate, seconds, pings]:
            fetch(Plug(Path(pump), Path(plug)), (own, address), int(rate), float(seconds), Path(pings))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
