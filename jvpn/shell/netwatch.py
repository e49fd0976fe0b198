"""What happens to this machine's addresses, links and routes, told by the kernel (rtnetlink(7)): the client's cue to move.

Messages are read from a socket of our own, which a poll can watch, and parsed by pyroute2. What is told is a hint: who needs the state
asks for it, above all after OVERFLOW.
"""

import errno
import os
import socket
from collections.abc import Sequence
from enum import Enum, auto
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol

from pyroute2 import IPRoute
from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from jvpn.shell.errors import Unavailable

BATCH: Final = 64  # netlink datagrams a call of `read`
READ_BYTES: Final = 65_536
BUFFER_BYTES: Final = 1 << 20
IFA_F_TENTATIVE: Final = 0x40  # linux/if_addr.h: not usable yet, the kernel still asks whether it is unique
MAPPED: Final = bytes(10) + b"\xff\xff"

# linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE
GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400


class NetKind(Enum):
    """What happened."""

    ADDRESS_ADDED = auto()
    ADDRESS_REMOVED = auto()
    LINK_UP = auto()
    LINK_DOWN = auto()
    ROUTES_CHANGED = auto()  # once a call of `read`, however many
    OVERFLOW = auto()  # more happened than was told


class NetEvent(NamedTuple):
    """One event. `ifname` is empty and `address` None where they say nothing; an address has 16 bytes, IPv4 as v4-mapped."""

    kind: NetKind
    ifname: str = ""
    address: bytes | None = None


class Watch(Protocol):
    """Where events come from."""

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""

    def read(self) -> list[NetEvent]:
        """Take what happened since the last call, in order; none when nothing did."""

    def addresses(self) -> frozenset[bytes]:
        """Return the addresses that the machine has now, in the form of events; for whoever missed something."""

    def close(self) -> None:
        """Stop listening. Closing again changes nothing."""


class NetWatch:
    """The kernel's own notices; needs no permission."""

    def __init__(self) -> None:
        """Begin to listen; raise Unavailable when the machine refuses."""
        self._parse = MarshalRtnl().parse
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._names: dict[int, str] = {}
        self._up: set[int] = set()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            self._socket.bind((0, GROUPS))
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"cannot listen to address and route changes: {error.strerror}; the client will not move by itself"
            ) from error

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._socket.fileno()

    def read(self) -> list[NetEvent]:
        """Take what happened."""
        events: list[NetEvent] = []
        for _ in range(BATCH):
            try:
                data, (sender, _) = self._socket.recvfrom(READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise Unavailable(f"address and route changes are no longer told: {error.strerror}; start again") from error
                events.append(NetEvent(NetKind.OVERFLOW))
                self._load()
                continue
            if sender == 0:  # the kernel; any process may send to this socket
                for message in self._parse(data):
                    event = self._event(message)
                    if event is not None and (event.kind is not NetKind.ROUTES_CHANGED or event not in events):
                        events.append(event)
        return events

    def addresses(self) -> frozenset[bytes]:
        """Ask the kernel."""
        with IPRoute() as route:
            texts = [found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS") for found in route.get_addr()]
        return frozenset(_packed(text) for text in texts if text is not None)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _event(self, message: nlmsg) -> NetEvent | None:
        kind = message.get("event")
        if kind in {"RTM_NEWADDR", "RTM_DELADDR"}:
            return self._address(message, added=kind == "RTM_NEWADDR")
        if kind in {"RTM_NEWLINK", "RTM_DELLINK"}:
            return self._link(message, there=kind == "RTM_NEWLINK")
        return NetEvent(NetKind.ROUTES_CHANGED) if kind in {"RTM_NEWROUTE", "RTM_DELROUTE"} else None

    def _address(self, message: nlmsg, *, added: bool) -> NetEvent | None:
        flags = message.get_attr("IFA_FLAGS") or 0
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")  # on a point-to-point link ADDRESS is the peer's
        if text is None or (added and flags & IFA_F_TENTATIVE):
            return None
        kind = NetKind.ADDRESS_ADDED if added else NetKind.ADDRESS_REMOVED
        return NetEvent(kind, self._name(message["index"]), _packed(text))

    def _link(self, message: nlmsg, *, there: bool) -> NetEvent | None:
        """Tell a link that came up or went down; other changes of it are told to everyone too, and say nothing here."""
        index = message["index"]
        name = self._names[index] = message.get_attr("IFLA_IFNAME") or self._name(index)
        was = index in self._up
        now = there and _is_up(message)
        if now:
            self._up.add(index)
        else:
            self._up.discard(index)
        if not there:
            del self._names[index]
        return None if was == now else NetEvent(NetKind.LINK_UP if now else NetKind.LINK_DOWN, name)

    def _load(self) -> None:
        """Ask which links there are."""
        with IPRoute() as route:
            links = route.get_links()
        self._names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
        self._up = {link["index"] for link in links if _is_up(link)}

    def _name(self, index: int) -> str:
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:  # gone since
                return ""
        return self._names[index]


def _packed(text: str) -> bytes:
    raw = ip_address(text).packed
    return MAPPED + raw if len(raw) == 4 else raw  # noqa: PLR2004 - bytes of IPv4


def _is_up(link: nlmsg) -> bool:
    """Whether a link can carry something: devices without a carrier, such as TUN, say UNKNOWN."""
    return link["state"] == "up" and link.get_attr("IFLA_OPERSTATE") in {"UP", "UNKNOWN"}


class MemoryWatch:
    """The twin for tests."""

    def __init__(self) -> None:
        self._waiting: list[NetEvent] = []
        self.there: set[bytes] = set()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def happen(self, events: Sequence[NetEvent]) -> None:
        """Let something happen."""
        self._waiting += events
        os.eventfd_write(self._fd, 1)

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._fd

    def read(self) -> list[NetEvent]:
        """Take what happened."""
        events, self._waiting = self._waiting, []
        if events:
            os.eventfd_read(self._fd)
        return events

    def addresses(self) -> frozenset[bytes]:
        """Return what the test put there."""
        return frozenset(self.there)

    def close(self) -> None:
        """Stop listening."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
