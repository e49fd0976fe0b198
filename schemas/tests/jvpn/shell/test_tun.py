"""The TUN device: what the kernel sends arrives, what we write is delivered, and whoever lacks something reads what to do."""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, ip_interface, ip_network

import pytest
from pyroute2 import IPRoute

from jvpn.shell import tun
from jvpn.shell.errors import Unavailable
from jvpn.shell.transports.base import Poll
from jvpn.shell.tun import BATCH, MemoryTun, PacketPort, Tun
from tests.jvpn.shell.inside import inside, isolated
from tests.support import requires

HERE, THERE = "10.7.0.1", "10.7.0.2"
WAIT_NS = 5_000_000_000


def udp_packet(source: str, destination: str, payload: bytes, port: int) -> bytes:
    """Return an IPv4 packet (RFC 791) with a UDP datagram (RFC 768) without checksum."""
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0, IPv4Address(source).packed, IPv4Address(destination).packed
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:] + struct.pack(">HHHH", 5_555, port, 8 + len(payload), 0) + payload


def opened() -> Tun:
    """Return a configured device; loopback is up too."""
    with IPRoute() as route:
        route.link("set", index=1, state="up")
    port = Tun("jv%d")
    port.configure([ip_interface(f"{HERE}/24")], 1_280)
    return port


def wait(port: PacketPort) -> list[bytes]:
    """Return the packets that come next."""
    poll, found = Poll(), list[bytes]()
    poll.watcher(lambda _: found.extend(port.read())).watch(port.fileno())
    poll.turn(WAIT_NS)
    poll.close()
    return found


@requires("tun")
@isolated
def test_it_sends_and_delivers() -> None:
    """No packet of the user would ever enter or leave the tunnel."""
    port = opened()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((HERE, 0))
        here.settimeout(5)
        here.sendto(b"out", (THERE, 99))
        (packet,) = wait(port)
        assert packet[12:20] == IPv4Address(HERE).packed + IPv4Address(THERE).packed
        assert packet.endswith(b"out")
        assert port.write([udp_packet(THERE, HERE, b"in", here.getsockname()[1])]) == 1
        assert here.recvfrom(99) == (b"in", (THERE, 5_555))
    assert (port.counters.read, port.counters.written) == (1, 1)
    port.close()
    port.close()


@requires("tun")
@isolated
def test_it_reads_in_bursts() -> None:
    """One core call a packet would cost the data path its speed, and an endless read the loop its fairness."""
    port = opened()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        for number in range(BATCH + 10):
            here.sendto(bytes([number]), (THERE, 99))
    bursts = [port.read(), port.read(), port.read()]
    assert [len(burst) for burst in bursts] == [BATCH, 10, 0]
    assert [packet[-1] for burst in bursts for packet in burst] == list(range(BATCH + 10))
    port.close()


@requires("tun")
@isolated
def test_what_is_no_packet_is_refused() -> None:
    """One bad packet of a client would stop the gateway for all."""
    port = opened()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((HERE, 0))
        here.settimeout(5)
        good = udp_packet(THERE, HERE, b"good", here.getsockname()[1])
        assert port.write([b"", b"\x00" * 40, good]) == 1
        assert here.recv(99) == b"good"
    assert port.counters.refused == 2
    port.close()


@requires("tun")
@isolated
def test_it_has_exactly_what_was_configured() -> None:
    """Addresses of the last session would stay, and answer for the wrong device."""
    port = opened()
    port.configure([ip_interface("10.7.1.1/24"), ip_interface("fd07::1/64")], 1_380)
    port.configure([ip_interface("10.7.1.1/24"), ip_interface("fd07::1/64")], 1_380)
    with IPRoute() as route:
        index = route.link_lookup(ifname=port.name)[0]
        assert sorted(found.get_attr("IFA_ADDRESS") for found in route.get_addr(index=index)) == ["10.7.1.1", "fd07::1"]
        (link,) = route.get_links(index)
        assert (link.get_attr("IFLA_MTU"), link["state"]) == (1_380, "up")
    assert port.read() == [], "a link-local address would send router solicitations into the tunnel"
    port.close()


@requires("tun")
@isolated
def test_nothing_is_cut_unseen() -> None:
    """Packets would arrive cut, with a length that lies."""
    port = opened()
    with IPRoute() as route:
        route.link("set", index=route.link_lookup(ifname=port.name)[0], mtu=1_500)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.sendto(bytes(1_400), (THERE, 99))
        here.sendto(bytes(1_252), (THERE, 99))
    assert [len(packet) for packet in port.read()] == [1_280]
    assert (port.counters.cut, port.counters.read) == (1, 1)
    port.close()


@requires("tun")
@isolated
def test_routes_lead_into_it_and_away_again() -> None:
    """Traffic that belongs into the tunnel would leave beside it, in the clear."""
    port = opened()
    networks = [ip_network("10.64.0.0/10"), ip_network("0.0.0.0/1"), ip_network("0.0.0.0/0"), ip_network("fd99::/64"), ip_network("::/0")]
    port.configure([ip_interface(f"{HERE}/24"), ip_interface("fd07::1/64")], 1_280)
    for network in networks:
        port.add_route(network)
        port.add_route(network)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.sendto(b"", ("10.99.0.1", 9))
        here.sendto(b"", ("192.0.2.1", 9))
        assert [packet[16:20] for packet in port.read()] == [IPv4Address("10.99.0.1").packed, IPv4Address("192.0.2.1").packed]
        for network in networks:
            port.remove_route(network)
            port.remove_route(network)
        with pytest.raises(OSError, match="unreachable"):
            here.sendto(b"", ("192.0.2.1", 9))
    port.close()


@requires("tun")
@isolated
def test_a_new_address_keeps_the_routes() -> None:
    """While the session is renewed, traffic would leave beside the tunnel, in the clear: the kernel drops routes with the last address."""
    port = opened()
    port.configure([ip_interface("10.64.0.1/32"), ip_interface("fd07::1/128")], 1_280)
    port.add_route(ip_network("0.0.0.0/0"))
    port.add_route(ip_network("::/0"))
    port.configure([ip_interface("10.64.0.9/32"), ip_interface("fd07::9/128")], 1_280)
    with IPRoute() as route:
        index = route.link_lookup(ifname=port.name)[0]
        for family in (socket.AF_INET, socket.AF_INET6):
            assert [found for found in route.get_routes(family=family, oif=index) if found["dst_len"] == 0]
        assert sorted(found.get_attr("IFA_ADDRESS") for found in route.get_addr(index=index)) == ["10.64.0.9", "fd07::9"]
    port.configure([ip_interface("10.7.0.8/24")], 1_280)
    port.configure([ip_interface("10.7.0.9/24")], 1_280)
    with IPRoute() as route:
        assert [found.get_attr("IFA_LOCAL") for found in route.get_addr(index=index)] == ["10.7.0.9"]
    port.close()


@requires("tun")
@isolated
def test_routes_of_others_stay() -> None:
    """Starting the client would take the machine's own default route away for good."""
    port, other = opened(), Tun("other%d")
    other.configure([ip_interface("10.9.0.1/24")], 1_280)
    other.add_route(ip_network("0.0.0.0/0"))
    with pytest.raises(Unavailable, match=r"cannot send 0\.0\.0\.0/0 through jv0: File exists; the machine has another route"):
        port.add_route(ip_network("0.0.0.0/0"))
    port.remove_route(ip_network("0.0.0.0/0"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.sendto(b"", ("192.0.2.1", 9))
    assert len(other.read()) == 1
    port.close()
    other.close()


@requires("tun")
@isolated
def test_it_says_what_is_wrong() -> None:
    """The operator would get a traceback, or a gateway that silently carries nothing."""
    port = opened()
    for name, said in ((port.name, "another process holds"), ("lo", "another kind"), ("a/b", "cannot be a name")):
        with pytest.raises(Unavailable, match=said):
            Tun(name)
    with pytest.raises(Unavailable, match=r"MTU 70000: Invalid argument; the values"):
        port.configure([], 70_000)
    with IPRoute() as route:
        index = route.link_lookup(ifname=port.name)[0]
        route.link("set", index=index, state="down")
        assert port.write([udp_packet(THERE, HERE, b"", 1)] * 3) == 0
        assert port.counters.dropped == 3
        assert port.read() == []
        route.link("del", index=index)
    calls: list[Callable[[], object]] = [port.read, lambda: port.write([b"\x45"]), lambda: port.add_route(ip_network("10.0.0.0/8"))]
    for call in calls:
        with pytest.raises(Unavailable, match="the TUN interface jv0 is gone"):
            call()
    port.close()


@requires("tun")
@isolated
def test_closing_removes_it() -> None:
    """Each start would leave another dead interface."""
    port = opened()
    port.close()
    with IPRoute() as route:
        assert not route.link_lookup(ifname=port.name)


@requires("tun")
def test_a_failure_inside_is_a_failure_here() -> None:
    """The tests of the real device could not fail."""
    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"):
        inside(lambda: 1 // 0)
    with pytest.raises(pytest.fail.Exception, match="inside: "):
        inside(lambda: os._exit(3))


@pytest.mark.parametrize(
    ("trouble", "advice"),
    [(errno.ENOENT, "modprobe tun"), (errno.EACCES, "run as root"), (errno.EPERM, "CAP_NET_ADMIN"), (errno.EIO, "kernel log")],
)
def test_a_machine_without_tun_says_what_to_do(monkeypatch: pytest.MonkeyPatch, trouble: int, advice: str) -> None:
    """Most first starts fail here: in a container, without the module, without root."""

    def refuse(*_: object) -> int:
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unavailable, match=f"cannot open /dev/net/tun: .*; .*{advice}"):
        Tun()


def test_without_permission_it_says_which_and_leaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one step later: the device opens for anyone, the interface needs the capability."""
    fds: list[int] = []

    def refuse(fd: int, *_: object) -> bytes:
        fds.append(fd)
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(tun, "DEVICE", "/dev/null")
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(Unavailable, match="cannot make the TUN interface jvpn%d: Operation not permitted; CAP_NET_ADMIN is missing"):
        Tun()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fds[0])


@pytest.mark.parametrize("name", ["", "x" * 16, "ä" * 8])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    """The kernel would cut it, and the operator would look for an interface that is called otherwise."""
    with pytest.raises(Unavailable, match="1 to 15 bytes"):
        Tun(name)


def test_the_twin_behaves_like_the_device() -> None:
    """What tests show with the twin would not hold for the device."""
    twin: PacketPort = MemoryTun()
    assert isinstance(twin, MemoryTun)
    assert twin.read() == []
    twin.inject([bytes([0x45, number]) for number in range(BATCH + 10)])
    poll, bursts = Poll(), list[int]()
    poll.watcher(lambda _: bursts.append(len(twin.read()))).watch(twin.fileno())
    while poll.turn(0):
        pass
    assert bursts == [BATCH, 10]
    assert twin.write([b"", b"\x00", b"\x45abc", b"\x60abc"]) == 2
    assert twin.delivered == [b"\x45abc", b"\x60abc"]
    twin.configure([ip_interface("10.0.0.1/8")], 1_280)
    twin.add_route(ip_network("10.0.0.0/8"))
    twin.remove_route(ip_network("10.0.0.0/8"))
    twin.remove_route(ip_network("10.0.0.0/8"))
    assert (twin.addresses, twin.mtu, twin.routes) == ([ip_interface("10.0.0.1/8")], 1_280, set())
    twin.inject([b"\x45"] * 5_000)
    assert sum(len(twin.read()) for _ in range(100)) == tun.WAITING_MAX
    assert (twin.counters.read, twin.counters.written, twin.counters.refused) == (BATCH + 10 + tun.WAITING_MAX, 2, 2)
    poll.close()
    twin.close()
    twin.close()
