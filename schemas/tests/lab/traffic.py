"""Runs inside a namespace. `serve` echoes UDP and TCP; `ask` reads addresses and says which protocols get an answer there."""

import errno
import selectors
import socket
import struct
import sys

PORT, SPARED = 7_000, 53
WAIT = 0.25  # seconds; the cable answers in well under a millisecond


def serve() -> None:
    """Echo until killed."""
    ready = selectors.DefaultSelector()
    for port in (PORT, SPARED):
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.bind(("::", port))
        ready.register(udp, selectors.EVENT_READ, "udp")
    tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    ready.register(tcp, selectors.EVENT_READ, "accept")
    print("ready", flush=True)  # noqa: T201 - its starter reads it
    while True:
        for key, _ in ready.select():
            there = key.fileobj
            assert isinstance(there, socket.socket)
            if key.data == "udp":
                data, source = there.recvfrom(2_000)
                there.sendto(data, source)
            elif key.data == "accept":
                ready.register(there.accept()[0], selectors.EVENT_READ, "tcp")
            elif data := there.recv(2_000):
                there.send(data)
            else:
                ready.unregister(there)
                there.close()


def udp(address: str, port: int = PORT) -> bool:
    """Whether a datagram is answered; of errors, only a missing route is expected."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as here:
        here.settimeout(WAIT)
        try:
            here.sendto(b"udp", (address, port))
            return here.recv(9) == b"udp"
        except (TimeoutError, ConnectionError):
            return False
        except OSError as error:
            if error.errno not in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
                raise
            return False


def tcp(address: str) -> bool:
    """Whether a connection is made and answers."""
    try:
        with socket.create_connection((address, PORT), WAIT) as here:
            here.send(b"tcp")
            return here.recv(9) == b"tcp"
    except OSError:
        return False


def ping(address: str) -> bool:
    """Whether an ICMP echo request is answered (RFC 792)."""
    if ":" in address:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as here:
        here.settimeout(WAIT)
        checksum = 0xFFFF - 0x0800 - 1 - 1
        try:
            here.sendto(struct.pack(">BBHHH", 8, 0, checksum, 1, 1), (address, 0))
            return here.recv(100)[20] == 0
        except OSError:
            return False


def ask() -> None:
    """Answer each address on standard input."""
    for line in sys.stdin:
        address = line.strip()
        probes = {"ping": ping(address), "tcp": tcp(address), "udp": udp(address), "udp53": udp(address, SPARED)}
        print(*sorted(name for name, answered in probes.items() if answered), flush=True)  # noqa: T201 - its starter reads it


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]]()
