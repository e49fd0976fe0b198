"""The packet pump: packets of a program arrive, what is delivered reaches it, and nothing that a program sends ends the process."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from jvpn.shell.errors import Unavailable
from jvpn.shell.pump import Pump
from jvpn.shell.tun import BATCH, PacketPort

PACKET = struct.pack("!B19x", 0x45)
PACKET6 = struct.pack("!B39x", 0x60)


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[Pump]:
    """One that is there, and is closed at the end."""
    with closing(Pump(tmp_path / "pump.sock")) as made:
        yield made


@pytest.fixture
def program(tmp_path: Path) -> Iterator[socket.socket]:
    """A program with a socket of its own, which has said nothing yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "program.sock"))
        made.settimeout(5)
        yield made


def tell(sender: socket.socket, pump: Pump, *datagrams: bytes) -> list[bytes]:
    """Send datagrams; return what the pump reads."""
    for datagram in datagrams:
        sender.sendto(datagram, str(pump._path))
    return pump.read()


def test_packets_go_both_ways(pump: Pump, program: socket.socket) -> None:
    """No packet would ever enter or leave the tunnel where there is no TUN."""
    assert tell(program, pump, PACKET, PACKET6) == [PACKET, PACKET6]
    assert pump.write([PACKET6, PACKET]) == 2
    assert [program.recv(99), program.recv(99)] == [PACKET6, PACKET]
    assert (pump.counters.read, pump.counters.written, pump.counters.dropped) == (2, 2, 0)
    assert pump.read() == []


def test_an_empty_datagram_says_where_to_deliver(pump: Pump, program: socket.socket) -> None:
    """A server, which speaks only when it is asked, could never be asked."""
    assert pump.write([PACKET]) == 0
    assert tell(program, pump, b"") == []
    assert pump.write([PACKET]) == 1
    assert program.recv(99) == PACKET
    assert (pump.counters.read, pump.counters.written, pump.counters.dropped) == (0, 1, 1)


def test_a_program_without_a_name_is_no_place_to_deliver_to(pump: Pump, program: socket.socket) -> None:
    """Any program that did not bind its socket would end the process with a TypeError at the next delivery."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        assert tell(nameless, pump, PACKET) == [PACKET]
        assert pump.write([PACKET]) == 0
        assert tell(program, pump, b"") == []
        assert tell(nameless, pump, PACKET) == [PACKET]
    assert pump.write([PACKET6]) == 1, "to the one with a name"
    assert program.recv(99) == PACKET6


@pytest.mark.parametrize("noise", [b"\0", b"hello", PACKET[:19], PACKET6[:39], bytes(60)])
def test_what_is_no_packet_is_thrown_away(pump: Pump, program: socket.socket, noise: bytes) -> None:
    """The core would look for an address behind the packet's end."""
    assert tell(program, pump, noise, PACKET) == [PACKET]


def test_it_reads_in_bursts(pump: Pump, tmp_path: Path) -> None:
    """A program that sends without end would keep the loop from everything else."""

    class Endless:
        def recvfrom(self, size: int) -> tuple[bytes, str]:
            return PACKET[:size], "somewhere"

        def close(self) -> None:
            """Nothing is open."""

    real, pump._socket = pump._socket, Endless()  # type: ignore[assignment]  # a unix socket holds fewer than a burst
    assert len(pump.read()) == BATCH
    pump._socket = real


def test_what_nobody_takes_is_counted_and_never_waited_for(pump: Pump, program: socket.socket) -> None:
    """A program that stopped reading, or is gone, would stop the tunnel, or vanish from the numbers."""
    tell(program, pump, b"")
    taken = pump.write([PACKET] * 2_000)
    assert (pump.counters.written, pump.counters.dropped) == (taken, 2_000 - taken)
    assert 0 < taken < 2_000
    program.close()
    assert pump.write([PACKET]) == 0


def test_only_its_owner_can_reach_it_and_it_leaves_nothing(tmp_path: Path) -> None:
    """Another user of the machine could send into the tunnel; a restart after a crash would fail."""
    path = tmp_path / "pump.sock"
    path.write_text("a crash left this behind")
    port: PacketPort = Pump(path)
    assert path.stat().st_mode & 0o777 == 0o600
    port.configure([ip_interface("10.0.0.1/24")], 1_280)
    port.add_route(ip_network("10.0.0.0/8"))
    port.remove_route(ip_network("10.0.0.0/8"))
    port.close()
    assert not path.exists()


@pytest.mark.parametrize(("name", "why"), [("n" * 108, "too long"), ("missing/pump.sock", "No such file")])
def test_a_path_that_cannot_be_is_told_apart(tmp_path: Path, name: str, why: str) -> None:
    """An operator would read that something is wrong, and not what."""
    with pytest.raises(Unavailable, match=f"cannot make the pump's socket .*{why}.*choose another path"):
        Pump(tmp_path / name)
