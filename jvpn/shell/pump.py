"""A packet port for machines without a TUN: IP packets as datagrams of a unix socket. Real packets, but no kernel routes them."""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from jvpn.shell.errors import Unavailable
from jvpn.shell.tun import BATCH, MTU_MAX, Counters, Interface, Network


class Pump:
    """Takes packets sent to its socket, and sends what is delivered to whoever sent last."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`, in place of a socket that a crash left behind."""
        self.name, self.counters, self._path, self._peer = "pump", Counters(), path, ""
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        except OSError as error:
            raise Unavailable(f"cannot make the pump's socket {path}: {error.strerror}; choose another path") from error
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
                packet, self._peer = self._socket.recvfrom(MTU_MAX)
                if packet and packet[0] >> 4 in {4, 6}:
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
