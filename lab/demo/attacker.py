"""The attacker of the demonstration: records what the client sends, and sends it again, changed or from elsewhere. Needs raw sockets.

python -m lab.demo.attacker record FILE SECONDS     each UDP datagram on the cable, as a JSON line
python -m lab.demo.attacker send SOURCE PORT        datagrams in hex from standard input, to the gateway, from any source address
"""

import json
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

from lab.demo.scene import PORT, RIGHT
from lab.netlab import CABLE

ETH_P_ALL: Final = 0x0003  # only so are outgoing packets seen too
IPV4: Final = 0x0800
IPV4_FIRST: Final = 0x45  # the first byte of an IPv4 header without options
UDP: Final = 17
OUTGOING: Final = 4  # linux/if_packet.h
IP_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
UDP_HEADER: Final = struct.Struct("!HHHH")
SNAP_BYTES: Final = 65_535


def record(path: Path, seconds: float) -> None:
    """Write source, destination, direction and payload of each datagram until told to stop."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    tap.bind((CABLE, ETH_P_ALL))
    end = time.monotonic() + seconds
    with path.open("w", buffering=1) as out:
        while not stopped and time.monotonic() < end:
            if not select.select([tap], [], [], 0.2)[0]:
                continue
            packet, (_, protocol, direction, *_) = tap.recvfrom(SNAP_BYTES)
            if protocol != IPV4 or len(packet) < IP_HEADER.size:
                continue
            start = (packet[0] & 15) * 4
            if packet[9] == UDP and len(packet) >= start + UDP_HEADER.size:
                source, destination, length, _ = UDP_HEADER.unpack_from(packet, start)
                payload = packet[start + UDP_HEADER.size : start + length]
                line = {"from": [socket.inet_ntoa(packet[12:16]), source], "to": [socket.inet_ntoa(packet[16:20]), destination],
                        "sent": direction == OUTGOING, "frame": payload.hex()}  # fmt: skip
                out.write(json.dumps(line) + "\n")


def send(source: str, port: int, frames: list[bytes]) -> None:
    """Send datagrams to the gateway with this source address and port; the kernel fills in the IP checksum."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for frame in frames:
        datagram = UDP_HEADER.pack(port, PORT, UDP_HEADER.size + len(frame), 0) + frame  # without a checksum, as IPv4 allows
        header = IP_HEADER.pack(
            IPV4_FIRST, 0, IP_HEADER.size + len(datagram), 0, 0, 64, UDP, 0, socket.inet_aton(source), socket.inet_aton(RIGHT)
        )
        raw.sendto(header + datagram, (RIGHT, 0))


def main(argv: list[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["record", path, seconds]:
            record(Path(path), float(seconds))
        case ["send", source, port]:
            send(source, int(port), [bytes.fromhex(line) for line in sys.stdin.read().split()])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
