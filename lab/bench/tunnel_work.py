"""What runs inside the namespaces of `lab.bench.sinks`: a probe of round trips, and a stranger who keeps the audit log busy.

python -m lab.bench.tunnel_work echo ADDRESS SECONDS        send every datagram back
python -m lab.bench.tunnel_work probe ADDRESS COUNT         COUNT datagrams, one a millisecond; prints the round trips in ns, sorted
python -m lab.bench.tunnel_work strangers ADDRESS SECONDS   garbage for the gateway from many ports, which it refuses and records
"""

import json
import select
import socket
import struct
import sys
import time
from typing import Final

from core.wire.layout import SIZES, Type
from lab.demo.scene import PORT
from lab.demo.work import ECHO_PORT, echo

NUMBERED: Final = struct.Struct("<Q")
EVERY_NS: Final = 1_000_000
PATIENCE_NS: Final = 1_000_000_000  # a datagram that is not back by then is lost: its round trip counts as this long
SOURCES: Final = 16
GARBAGE_S: Final = 0.01  # between two of them


def probe(address: str, count: int) -> list[int]:
    """Return `count` round trips through the tunnel, in nanoseconds, the longest last."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((address, ECHO_PORT))
    client.settimeout(0)
    sent: dict[int, int] = {}
    trips: list[int] = []
    due, number = time.perf_counter_ns(), 0
    while number < count or (sent and time.perf_counter_ns() - due < PATIENCE_NS):
        now = time.perf_counter_ns()
        wait = due - now if number < count else EVERY_NS
        if select.select([client], [], [], max(0, wait) / 1e9)[0]:
            back = time.perf_counter_ns()
            (told,) = NUMBERED.unpack(client.recv(64))
            if told in sent:
                trips.append(back - sent.pop(told))
        if number < count and time.perf_counter_ns() >= due:
            sent[number] = time.perf_counter_ns()
            client.send(NUMBERED.pack(number))
            number, due = number + 1, due + EVERY_NS
    return sorted([*trips, *([PATIENCE_NS] * len(sent))])


def strangers(address: str, seconds: float) -> None:
    """Send what has the form of a REATTACH and is none, from many ports in turns."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOURCES)]
    head, end, number = bytes((Type.REATTACH, 1, 0, 0)), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        body = head + number.to_bytes(8, "little") * (SIZES[Type.REATTACH] // 8 + 1)
        sockets[number % SOURCES].sendto(body[: SIZES[Type.REATTACH]], (address, PORT))
        time.sleep(GARBAGE_S)


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["echo", address, seconds]:
            echo(address, float(seconds))
        case ["probe", address, count]:
            print(json.dumps(probe(address, int(count))))
        case ["strangers", address, seconds]:
            strangers(address, float(seconds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
