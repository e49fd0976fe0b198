"""The TUN device: IP packets from the kernel and to it, in bursts, and the addresses and routes that lead there.

The device is configured over netlink by pyroute2, whose calls run an event loop of their own: not from inside a running asyncio loop.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any, Final, Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from jvpn.shell.errors import Unavailable

DEVICE: Final = "/dev/net/tun"
NAME_BYTES: Final = 15  # IFNAMSIZ without its zero
BATCH: Final = 64  # packets a call of `read`
MTU_MAX: Final = 65_535
QUEUE_PACKETS: Final = 1_000  # the kernel's queue towards us
WAITING_MAX: Final = 1_024  # packets that wait in the twin

IPV6: Final = 6
NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL})  # what a kernel without it says

TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
IFREQ: Final = struct.Struct("16sH22x")
IFA_F_NODAD: Final = 2  # linux/if_addr.h: usable at once, there is nobody on a tunnel to have the same address
ADDR_GEN_MODE_NONE: Final = 1  # linux/if_link.h: no link-local address, so no router solicitations into the tunnel

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


@dataclass(slots=True)
class Counters:
    """What passed, in packets; only ever counted up."""

    read: int = 0
    cut: int = 0  # read and thrown away: longer than the MTU that was configured
    written: int = 0
    dropped: int = 0  # not written: the device is down, or its buffer is full
    refused: int = 0  # not written: the kernel says that this is no IP packet


class PacketPort(Protocol):
    """Where IP packets of this machine come from and go to."""

    name: str
    counters: Counters

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""

    def read(self) -> list[bytes]:
        """Take up to BATCH packets; none when nothing waits."""

    def write(self, packets: Sequence[bytes]) -> int:
        """Hand packets to the kernel; return how many it took. The rest is counted."""

    def configure(self, addresses: Sequence[Interface], mtu: int) -> None:
        """Give the device exactly these addresses and this MTU, and set it up."""

    def add_route(self, network: Network) -> None:
        """Send a network through the device; again changes nothing. A route of somebody else's for the same network stays: Unavailable."""

    def remove_route(self, network: Network) -> None:
        """Stop that; a route that is not there changes nothing."""

    def close(self) -> None:
        """Remove the device, its addresses and its routes. Closing again changes nothing."""


class Tun:
    """A real TUN device, which lives as long as this object."""

    def __init__(self, name: str = "jvpn%d") -> None:
        """Make the device; `%d` becomes the first free number.

        Raises:
            Unavailable: no /dev/net/tun, no permission, or the name is taken.
        """
        if not 0 < len(name.encode()) <= NAME_BYTES:
            raise Unavailable(f"the interface name {name!r} has to have 1 to {NAME_BYTES} bytes")
        self.counters = Counters()
        self._mtu = MTU_MAX
        self._fd = _open()
        try:
            made = fcntl.ioctl(self._fd, TUNSETIFF, IFREQ.pack(name.encode(), IFF_TUN | IFF_NO_PI))
            self.name = IFREQ.unpack(made)[0].rstrip(b"\0").decode()
        except OSError as error:
            os.close(self._fd)
            raise _explained(error, f"cannot make the TUN interface {name}") from error

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._fd

    def read(self) -> list[bytes]:
        """Take up to BATCH packets.

        Raises:
            Unavailable: somebody removed the device.
        """
        packets: list[bytes] = []
        try:
            for _ in range(BATCH):
                packets.append(os.read(self._fd, self._mtu + 1))  # noqa: PERF401 - what came before the exception stays
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:  # down: nothing waits
                raise _explained(error, f"the TUN interface {self.name} is gone") from error
        if any(len(packet) > self._mtu for packet in packets):  # somebody raised the device's MTU: this is a cut packet
            whole = [packet for packet in packets if len(packet) <= self._mtu]
            self.counters.cut += len(packets) - len(whole)
            packets = whole
        self.counters.read += len(packets)
        return packets

    def write(self, packets: Sequence[bytes]) -> int:
        """Hand packets to the kernel.

        Raises:
            Unavailable: somebody removed the device.
        """
        written = 0
        for packet in packets:
            try:
                os.write(self._fd, packet)
                written += 1
            except OSError as error:
                if error.errno == errno.EINVAL:
                    self.counters.refused += 1
                elif error.errno in {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EIO}:
                    self.counters.dropped += 1
                else:
                    raise _explained(error, f"the TUN interface {self.name} is gone") from error
        self.counters.written += written
        return written

    def configure(self, addresses: Sequence[Interface], mtu: int) -> None:
        """Give the device exactly these addresses and this MTU, and set it up; raise Unavailable when the kernel refuses."""
        with _netlink(f"cannot configure {self.name} with {', '.join(map(str, addresses)) or 'no address'} and MTU {mtu}") as route:
            index = self._index(route)
            route.link("set", index=index, mtu=mtu, txqlen=QUEUE_PACKETS)
            self._no_link_local(route, index, needed=any(address.version == IPV6 for address in addresses))
            route.link("set", index=index, state="up")
            wanted = {(str(address.ip), address.network.prefixlen) for address in addresses}
            had = _addresses(route, index)
            _add(route, index, wanted - had)  # before removing: with its last IPv4 address a device loses its routes
            for address, length in had - wanted:
                route.addr("del", index=index, address=address, prefixlen=length)
            _add(route, index, wanted - _addresses(route, index))  # one of the same network as a removed one may have gone with it
        self._mtu = mtu

    def add_route(self, network: Network) -> None:
        """Send a network through the device; raise Unavailable when the kernel refuses, or has another route for it."""
        with _netlink(f"cannot send {network} through {self.name}") as route:
            index = self._index(route)
            try:
                route.route("add", dst=str(network), oif=index)
            except NetlinkError as error:
                if error.code != errno.EEXIST or not self._has_route(route, index, network):
                    raise

    def remove_route(self, network: Network) -> None:
        """Stop sending a network through the device; raise Unavailable when the kernel refuses."""
        with _netlink(f"cannot remove the route {network} through {self.name}") as route:
            try:
                route.route("del", dst=str(network), oif=self._index(route))
            except NetlinkError as error:
                if error.code != errno.ESRCH:  # it is not there
                    raise

    def close(self) -> None:
        """Remove the device, its addresses and its routes."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _index(self, route: IPRoute) -> int:
        found = route.link_lookup(ifname=self.name)
        if not found:
            raise Unavailable(f"the TUN interface {self.name} is gone: somebody removed or renamed it")
        return int(found[0])

    def _no_link_local(self, route: IPRoute, index: int, *, needed: bool) -> None:
        """Ask for no link-local address; a machine without IPv6 has none to ask about."""
        none = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", ADDR_GEN_MODE_NONE)]})]}
        try:
            route.link("set", index=index, IFLA_AF_SPEC=none)
        except NetlinkError as error:
            if needed or error.code not in NO_IPV6:
                raise

    def _has_route(self, route: IPRoute, index: int, network: Network) -> bool:
        family = socket.AF_INET6 if network.version == IPV6 else socket.AF_INET
        return any(
            found["dst_len"] == network.prefixlen and found.get_attr("RTA_DST") in {str(network.network_address), None}
            for found in route.get_routes(family=family, oif=index)
        )


def _addresses(route: IPRoute, index: int) -> set[tuple[str, int]]:
    return {(found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS"), found["prefixlen"]) for found in route.get_addr(index=index)}


def _add(route: IPRoute, index: int, addresses: Iterable[tuple[str, int]]) -> None:
    for address, length in addresses:
        flags = {"flags": IFA_F_NODAD} if ":" in address else {}
        route.addr("add", index=index, address=address, prefixlen=length, **flags)


class MemoryTun:
    """The twin for tests: `inject` is the machine that sends, `delivered` is what the machine was given."""

    def __init__(self, name: str = "memory0") -> None:
        self.name = name
        self.counters = Counters()
        self.addresses: list[Interface] = []
        self.mtu = 0
        self.routes: set[Network] = set()
        self.delivered: list[bytes] = []
        self._waiting: list[bytes] = []
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def inject(self, packets: Sequence[bytes]) -> None:
        """Let the machine send packets; above WAITING_MAX they are lost, as in the kernel's queue."""
        self._waiting += packets[: WAITING_MAX - len(self._waiting)]
        if self._waiting:
            os.eventfd_write(self._fd, 1)

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._fd

    def read(self) -> list[bytes]:
        """Take up to BATCH packets."""
        packets, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if not self._waiting:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                return []
        self.counters.read += len(packets)
        return packets

    def write(self, packets: Sequence[bytes]) -> int:
        """Give packets to the machine."""
        good = [packet for packet in packets if packet and packet[0] >> 4 in {4, 6}]
        self.delivered += good
        self.counters.written += len(good)
        self.counters.refused += len(packets) - len(good)
        return len(good)

    def configure(self, addresses: Sequence[Interface], mtu: int) -> None:
        """Remember addresses and MTU."""
        self.addresses, self.mtu = list(addresses), mtu

    def add_route(self, network: Network) -> None:
        """Remember a route."""
        self.routes.add(network)

    def remove_route(self, network: Network) -> None:
        """Forget a route."""
        self.routes.discard(network)

    def close(self) -> None:
        """Close the eventfd."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open() -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, f"cannot open {DEVICE}") from error


CAPABILITY: Final = "CAP_NET_ADMIN is missing: run as root, or give the service that capability; in a container --cap-add NET_ADMIN"
DEVICE_ADVICE: Final = {
    errno.ENOENT: "load the module (modprobe tun); in a container pass the device in (--device /dev/net/tun)",
    errno.ENODEV: "load the module (modprobe tun)",
    errno.EACCES: "the device file does not let this user in: run as root, or allow it with a udev rule",
    errno.EPERM: CAPABILITY,
    errno.EBUSY: "another process holds an interface of that name: stop it or choose another name",
    errno.EINVAL: "the name belongs to an interface of another kind, or cannot be a name: choose another one",
    errno.EBADFD: "somebody removed it: start again",
}
NETLINK_ADVICE: Final = {
    errno.EPERM: CAPABILITY,
    errno.EACCES: "IPv6 is switched off (net.ipv6.conf.all.disable_ipv6): switch it on or configure no IPv6 address",
    errno.EEXIST: "the machine has another route there: remove it, or send two halves (0.0.0.0/1 and 128.0.0.0/1)",
    errno.ENETDOWN: "the interface is down: configure it first",
}


def _explained(error: OSError, what: str) -> Unavailable:
    """Return the error that says what to do."""
    return Unavailable(f"{what}: {error.strerror}; {DEVICE_ADVICE.get(error.errno or 0, 'the kernel log may say more')}")


@contextmanager
def _netlink(what: str) -> Iterator[Any]:
    """Open a netlink socket; say what failed."""
    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        advice = NETLINK_ADVICE.get(error.code, "the values are not possible for this interface")
        raise Unavailable(f"{what}: {os.strerror(error.code)}; {advice}") from error
