"""A packet port for machines without a TUN: IP packets as datagrams of a unix socket. Real packets, but no kernel routes them.

A program binds a unix datagram socket of its own, sends an empty datagram to say where it is, then packets, and gets what is delivered.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jvpn.shell.errors import Unavailable
from jvpn.shell.tun import BATCH, MTU_MAX, Counters, Interface, Network

HEADER_BYTES: Final = {4: 20, 6: 40}  # the least that a packet of each version of IP has


class Pump:
    """Takes packets sent to its socket, and sends what is delivered to whoever sent last and has a name to be answered at."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`, in place of a socket that a crash left behind."""
        self.name, self.counters, self._path, self._peer = "pump", Counters(), path, ""
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"cannot make the pump's socket {path}: {error.strerror or error}; choose another path") from error
        finally:
            os.umask(mask)

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._socket.fileno()

    def read(self) -> list[bytes]:
        """Take up to BATCH packets; anything that is no IP packet is thrown away."""
        packets: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(BATCH):
                packet, peer = self._socket.recvfrom(MTU_MAX)
                self._peer = peer or self._peer  # a socket that was never bound has no name
                if packet and len(packet) >= HEADER_BYTES.get(packet[0] >> 4, MTU_MAX + 1):
                    packets.append(packet)
        self.counters.read += len(packets)
        return packets

    def write(self, packets: Sequence[bytes]) -> int:
        """Send packets to the peer; without one, or without room, they are counted as dropped."""
        written = 0
        for packet in packets:
            with contextlib.suppress(OSError):
                self._socket.sendto(packet, self._peer)
                written += 1
        self.counters.written += written
        self.counters.dropped += len(packets) - written
        return written

    def configure(self, addresses: Sequence[Interface], mtu: int) -> None:
        """Do nothing: no kernel knows this port."""

    def add_route(self, network: Network) -> None:
        """Do nothing: no kernel knows this port."""

    def remove_route(self, network: Network) -> None:
        """Do nothing: no kernel knows this port."""

    def close(self) -> None:
        """Remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
