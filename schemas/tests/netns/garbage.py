"""What an attacker without keys can send: noise, damaged copies of real frames, streams that make no sense. Reproducible by its seed.

python -m tests.netns.garbage datagrams CONTROL TAP COUNT SEED    UDP to the gateway, not faster than it takes them
python -m tests.netns.garbage streams CONTROL TAP COUNT SEED      TCP connections to the gateway

CONTROL is the gateway's control socket, TAP a file of frames recorded by lab.demo.attacker. Prints one JSON line at the end.
"""

import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from core.wire.layout import DATA_MAX, SIZES
from jvpn.shell.control import ask
from lab.demo.attacker import IP_HEADER, UDP, UDP_HEADER
from lab.demo.scene import PORT, RIGHT
from lab.demo.work import say

WINDOW = 256  # datagrams on their way: what the gateway's socket buffer holds without loss
PATIENCE_S = 2.0  # for the gateway to take a window; what it has not taken then is lost
SOURCES = 16
LENGTHS = (*SIZES.values(), 0, 1, 3, 4, 15, 16, 31, 47, 48, DATA_MAX, DATA_MAX + 1, 1_472)


def frames(tap: Path) -> list[bytes]:
    """Return what the client and the gateway have sent so far: of each type and length a few."""
    kinds: dict[tuple[int, int], list[bytes]] = {}
    for line in tap.read_text().splitlines():
        frame = bytes.fromhex(json.loads(line)["frame"])
        kinds.setdefault((frame[0], len(frame)), []).append(frame)
    return [frame for same in kinds.values() for frame in same[-8:]]


def damaged(frame: bytes, dice: random.Random) -> bytes:
    """Return a copy that differs: bits flipped, bytes replaced, cut, or with something behind it."""
    copy = bytearray(frame)
    match dice.randrange(8):
        case 0:
            return bytes(copy[: dice.randrange(len(copy))])
        case 1:
            return bytes(copy) + dice.randbytes(dice.randrange(1, 64))
        case 2:  # a field of the header: index, counter
            at = dice.randrange(min(16, len(copy)))
            copy[at] = (copy[at] + dice.randrange(1, 256)) % 256
        case 3:  # another tail
            length = dice.randrange(1, min(64, len(copy)))
            copy[-length:] = bytes(each ^ dice.randrange(1, 256) for each in copy[-length:])
        case _:
            for at in dice.sample(range(8 * len(copy)), dice.randrange(1, 5)):
                copy[at // 8] ^= 1 << at % 8
    return bytes(copy)


def garbage(known: list[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yield datagrams for ever: half of them damaged copies, a quarter with a plausible beginning, a quarter noise."""
    while True:
        kind = dice.randrange(4)
        if kind < 2 and known:
            yield damaged(dice.choice(known), dice)
        elif kind == 2:
            yield struct.pack("<BBBB", dice.randrange(8), dice.randrange(2), 0, 0) + dice.randbytes(max(0, dice.choice(LENGTHS) - 4))
        else:
            yield dice.randbytes(dice.choice(LENGTHS))


def taken(control: Path, carrier: str) -> int:
    """Return how many messages the gateway has taken, also those that its adapter refused."""
    counters = ask(control, {"order": "status"})["transports"][carrier]
    return int(counters["received"] + counters["malformed"])


def forged(remote: str) -> Callable[[bytes], object]:
    """Return what sends a datagram as if it came from `remote`, which is address:port."""
    raw, (address, port) = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW), remote.rsplit(":", 1)

    def send(frame: bytes) -> None:
        datagram = UDP_HEADER.pack(int(port), PORT, UDP_HEADER.size + len(frame), 0) + frame
        ends = socket.inet_aton(address), socket.inet_aton(RIGHT)
        raw.sendto(IP_HEADER.pack(0x45, 0, IP_HEADER.size + len(datagram), 0, 0, 64, UDP, 0, *ends) + datagram, (RIGHT, 0))

    return send


def datagrams(control: Path, known: list[bytes], count: int, dice: random.Random) -> None:
    """Send, a quarter from the client's own address and port; wait for the gateway after each window, so that nearly all are taken."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOURCES)]
    for each in sockets:
        each.connect((RIGHT, PORT))
    (session,) = ask(control, {"order": "status"})["sessions"]
    senders: list[Callable[[bytes], object]] = [each.send for each in sockets] + [forged(session["remote"])] * (SOURCES // 3)
    source, sent, began = garbage(known, dice), 0, taken(control, "udp")
    while sent < count:
        before, window = taken(control, "udp"), min(WINDOW, count - sent)
        for _ in range(window):
            dice.choice(senders)(next(source))
        sent += window
        end = time.monotonic() + PATIENCE_S
        while taken(control, "udp") - before < window and time.monotonic() < end:
            time.sleep(0.002)
    say({"sent": sent, "taken": taken(control, "udp") - began})


def streams(control: Path, known: list[bytes], count: int, dice: random.Random) -> None:
    """Open connections one after another and send: framed garbage, unframed noise, a frame that never ends; then close or reset."""
    source, opened, broken = garbage(known, dice), list[socket.socket](), 0
    for number in range(count):
        connection = socket.create_connection((RIGHT, PORT), timeout=PATIENCE_S)
        body = b"".join(struct.pack("<H", len(frame)) + frame for frame, _ in zip(source, range(dice.randrange(1, 20)), strict=False))
        noise = (body, dice.randbytes(dice.randrange(1, 4_096)), body[: dice.randrange(1, len(body))], struct.pack("<H", 1_352))
        try:
            connection.sendall(noise[number % len(noise)])
        except OSError:
            broken += 1
        if number % 3 == 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        opened.append(connection)
        if len(opened) > dice.randrange(1, 64):
            with contextlib.suppress(OSError):
                opened.pop(dice.randrange(len(opened))).close()
    for connection in opened:
        connection.close()
    say({"connections": count, "broken": broken, "refused": ask(control, {"order": "status"})["transports"]["tcp"]["malformed"]})


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["datagrams" | "streams" as what, control, tap, count, seed]:
            act = datagrams if what == "datagrams" else streams
            act(Path(control), frames(Path(tap)), int(count), random.Random(int(seed)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
