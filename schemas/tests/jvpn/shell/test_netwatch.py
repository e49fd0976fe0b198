"""What the kernel tells about addresses, links and routes reaches the client: once, in order, and only from the kernel."""

import errno
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_interface, ip_network

import pytest
from pyroute2 import IPRoute

from jvpn.shell.errors import Unavailable
from jvpn.shell.netwatch import IFA_F_TENTATIVE, MemoryWatch, NetEvent, NetKind, NetWatch, Watch
from jvpn.shell.transports.base import Poll, endpoint
from jvpn.shell.tun import Tun
from tests.jvpn.shell.inside import isolated
from tests.support import requires

WAIT_NS = 5_000_000_000


def raw(host: str) -> bytes:
    """Return an address as events have it."""
    return endpoint(host, 0).address


def told(watch: Watch, until: Callable[[list[NetEvent]], object]) -> list[NetEvent]:
    """Poll until what is told is enough; return all of it."""
    poll, found = Poll(), list[NetEvent]()
    poll.watcher(lambda _: found.extend(watch.read())).watch(watch.fileno())
    while not until(found):
        assert poll.turn(WAIT_NS), f"never told; only {found}"
    poll.close()
    return found


@requires("tun")
@isolated
def test_addresses_are_told_with_their_interface() -> None:
    """The client would stay on a path whose address is gone, until silence tells it."""
    port = Tun("jv%d")
    watch = NetWatch()
    added, removed = NetKind.ADDRESS_ADDED, NetKind.ADDRESS_REMOVED
    port.configure([ip_interface("10.7.0.1/24"), ip_interface("fd07::1/64")], 1_280)
    seen = told(watch, lambda found: sum(event.kind is added for event in found) == 2)
    port.configure([ip_interface("10.8.0.2/24")], 1_280)
    seen += told(watch, lambda found: sum(event.kind is removed for event in found) == 2)
    events = [event for event in seen if event.kind in {added, removed}]
    addresses = [event.address for event in events]
    assert {event.ifname for event in events} == {port.name}
    assert [event.kind for event in events] == [added, added, added, removed, removed]
    assert set(addresses[:2]) == set(addresses[3:]) == {raw("10.7.0.1"), raw("fd07::1")}
    assert addresses[2] == raw("10.8.0.2")
    watch.close()
    port.close()


@requires("tun")
@isolated
def test_the_machine_says_which_addresses_it_has() -> None:
    """After an overflow the client would close a path that is alive, or keep one whose address is gone."""
    port = Tun("jv%d")
    port.configure([ip_interface("10.7.0.1/24"), ip_interface("fd07::1/64")], 1_280)
    watch = NetWatch()
    assert watch.addresses() == {raw("10.7.0.1"), raw("fd07::1")}
    port.configure([ip_interface("10.8.0.2/32")], 1_280)
    assert watch.addresses() == {raw("10.8.0.2")}
    watch.close()
    port.close()


@requires("tun")
@isolated
def test_links_are_told_when_they_come_up_and_go_down() -> None:
    """A cable that is pulled would be noticed only by silence; other changes of a link must not look like it."""
    port = Tun("jv%d")
    watch = NetWatch()
    port.configure([], 1_280)
    port.configure([], 1_380)  # told by the kernel too, and says nothing
    with IPRoute() as route:
        index = route.link_lookup(ifname=port.name)[0]
        route.link("set", index=index, state="down")
        route.link("set", index=index, state="up")
        route.link("del", index=index)
    port.close()
    up, down = NetEvent(NetKind.LINK_UP, port.name), NetEvent(NetKind.LINK_DOWN, port.name)
    events = told(watch, lambda found: found.count(down) == 2)
    assert [event for event in events if event in {up, down}] == [up, down, up, down]
    watch.close()


@requires("tun")
@isolated
def test_routes_are_told_once_a_read() -> None:
    """A routing daemon that changes thousands of routes would make the client look at its paths thousands of times."""
    port = Tun("jv%d")
    port.configure([ip_interface("10.7.0.1/24")], 1_280)
    watch = NetWatch()
    for number in range(20):
        port.add_route(ip_network(f"10.8.{number}.0/24"))
    events = watch.read()
    assert events == [NetEvent(NetKind.ROUTES_CHANGED)]
    assert watch.read() == []
    watch.close()
    port.close()


@requires("tun")
@isolated
def test_more_than_fits_is_an_event_of_its_own() -> None:
    """After lost notices the client would trust a picture that is wrong for ever."""
    port = Tun("jv%d")
    port.configure([ip_interface("10.7.0.1/24")], 1_280)
    watch = NetWatch()
    watch._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for number in range(50):
        port.add_route(ip_network(f"10.8.{number}.0/24"))
    events = told(watch, lambda found: found)
    assert NetEvent(NetKind.OVERFLOW) in events
    assert watch.read() in ([], [NetEvent(NetKind.ROUTES_CHANGED)])
    watch.close()
    port.close()


def newaddr(index: int, flags: int = 0x80) -> bytes:
    """Return an RTM_NEWADDR message of 10.6.6.6, with IFA_ADDRESS and IFA_FLAGS (rtnetlink(7))."""
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0x80, 0, index) + struct.pack("=HH4sHHI", 8, 1, bytes([10, 6, 6, 6]), 8, 8, flags)
    return struct.pack("=IHHII", 16 + len(body), 20, 0, 0, 0) + body


@requires("nft")
@isolated
def test_only_the_kernel_is_believed() -> None:
    """Any program on the machine could make the client move, at any rate."""
    watch = NetWatch()
    address = watch._socket.getsockname()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as forger:
        forger.sendto(newaddr(1), address)
    assert watch._event(next(iter(watch._parse(newaddr(1))))) is not None, "the forgery is a good one"
    assert watch.read() == []
    watch.close()
    watch.close()


@requires("nft")
@isolated
def test_an_address_is_told_when_it_can_be_used() -> None:
    """The client would dial from an address that the kernel still checks, fail, and not try it again."""
    watch = NetWatch()
    checked, usable = (watch._event(next(iter(watch._parse(newaddr(1, flags))))) for flags in (0x80 | IFA_F_TENTATIVE, 0x80))
    assert checked is None
    assert usable == NetEvent(NetKind.ADDRESS_ADDED, "lo", raw("10.6.6.6"))
    watch.close()


def test_a_machine_that_refuses_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would start, and never move when it should."""
    made: list[socket.socket] = []

    class Refusing(socket.socket):
        def bind(self, _: object) -> None:
            made.append(self)
            raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(Unavailable, match="Operation not permitted; the client will not move by itself"):
        NetWatch()
    assert made[0].fileno() == -1, "closed"


def test_the_twin_tells_what_happens() -> None:
    """What tests show with the twin would not hold for the kernel."""
    twin = MemoryWatch()
    assert twin.read() == []
    event = NetEvent(NetKind.ADDRESS_ADDED, "eth0", raw("192.0.2.1"))
    twin.happen([event, event])
    assert told(twin, lambda found: found) == [event, event]
    assert twin.read() == []
    twin.close()
    twin.close()
