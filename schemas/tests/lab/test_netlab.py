"""The laboratory: two hosts that see each other, what is done to their cable, and nothing left behind."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import netns
from lab.netlab import SIDES, Lab, LabError, Side
from tests.support import ROOT, requires

pytestmark = requires("nft")  # makes a network namespace, and asks the kernel in it for nf_tables

TRAFFIC = [sys.executable, "-I", str(Path(__file__).with_name("traffic.py"))]
BOUND = 20


def line(process: subprocess.Popen[bytes]) -> str:
    """Return the next line of a process's output, in bounded time."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], BOUND)[0], "no output in time"
    return process.stdout.readline().decode().strip()


class Asker:
    """A process on the left that says who on the right answers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.run("right", [*TRAFFIC, "serve"], stdout=subprocess.PIPE)
        self.client = lab.run("left", [*TRAFFIC, "ask"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert line(self.server) == "ready"

    def ask(self, address: str = "10.9.0.2") -> set[str]:
        """Return the protocols that get an answer."""
        assert self.client.stdin is not None
        self.client.stdin.write(f"{address}\n".encode())
        self.client.stdin.flush()
        return set(line(self.client).split())


def close_pipes(*processes: subprocess.Popen[bytes]) -> None:
    """Close our ends."""
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def asker() -> Iterator[Asker]:
    """Return an asker in a laboratory."""
    with Lab() as lab:
        made = Asker(lab)
        yield made
        close_pipes(made.server, made.client)


ALL = {"ping", "tcp", "udp", "udp53"}


def test_the_hosts_see_each_other(asker: Asker) -> None:
    """Every measurement over the cable would be of nothing."""
    assert asker.ask() == ALL
    assert asker.ask("fd09::2") == ALL - {"ping"}
    assert asker.ask("10.9.0.3") == set()


def test_udp_vanishes_and_tcp_goes_on(asker: Asker) -> None:
    """The jump from UDP to TCP would be shown on a network where UDP works, or where nothing does."""
    asker.lab.block_udp()
    assert asker.ask() == {"ping", "tcp"}
    assert asker.ask("fd09::2") == {"tcp"}
    asker.lab.block_udp(spare=[53])
    assert asker.ask() == {"ping", "tcp", "udp53"}
    asker.lab.block_tcp()
    assert asker.ask() == {"ping", "udp53"}
    asker.lab.block_udp(on=False)
    assert asker.ask() == ALL - {"tcp"}
    asker.lab.block_tcp(on=False)
    asker.lab.block_tcp(on=False)
    assert asker.ask() == ALL


@pytest.mark.parametrize("side", SIDES)
def test_one_direction_is_enough_to_lose_the_answer(asker: Asker, side: Side) -> None:
    """Half-dead paths would never be met in the laboratory, only in the field."""
    asker.lab.block_udp(side)
    assert asker.ask() == {"ping", "tcp"}
    asker.lab.block_udp(side, on=False)
    assert asker.ask() == ALL


def test_an_address_is_replaced(asker: Asker) -> None:
    """A client that moves would be shown without having moved."""
    asker.lab.replace_address("10.9.0.2/24", "10.9.0.7/24")
    assert asker.ask() == set()
    assert asker.ask("10.9.0.7") == ALL
    assert asker.lab.ip("right") == "10.9.0.7"
    with pytest.raises(LabError, match=r"no side has the address 10\.9\.0\.2/24"):
        asker.lab.replace_address("10.9.0.2/24", "10.9.0.8/24")


def test_the_cable_is_pulled(asker: Asker) -> None:
    """A lost link would look like a network that works."""
    asker.lab.link(up=False)
    assert asker.ask() == set()
    asker.lab.link(up=True)
    assert asker.ask() == ALL
    assert asker.ask("fd09::2") == ALL - {"ping"}, "the kernel takes IPv6 addresses away with the link"


def test_the_cable_has_the_mtu_that_it_was_given(asker: Asker) -> None:
    """Paths that are too narrow for a full frame would not be narrow."""
    asker.lab.mtu(1_300, "left")
    asked = "import fcntl, socket, struct; ask = struct.pack('16sI', b'lab0', 0); "
    asked += "print(struct.unpack('16sI', fcntl.ioctl(socket.socket(), 0x8921, ask))[1])"  # SIOCGIFMTU
    sizes = {}
    for side in SIDES:
        out = asker.lab.run(side, [sys.executable, "-I", "-c", asked], stdout=subprocess.PIPE)
        sizes[side] = int(out.communicate(timeout=BOUND)[0])
    assert sizes == {"left": 1_300, "right": 1_500}


def test_programs_run_where_they_should(asker: Asker) -> None:
    """A program on the wrong side, or on the machine itself, would change the developer's own network."""
    inside = {side: asker.lab._holders[side].namespace for side in SIDES}
    outside = netns.inode(os.getpid())
    assert len({*inside.values(), outside}) == 3
    assert asker.ask() == ALL, "it answers: so it is where it is to stay"
    assert netns.inode(asker.client.pid) == inside["left"]
    assert netns.inode(asker.server.pid) == inside["right"]
    assert set(netns.members(inside["left"] or 0)) == {asker.lab.pid("left"), asker.client.pid}


def test_a_bad_order_is_an_error_and_the_laboratory_goes_on(asker: Asker) -> None:
    """A typing error in a scenario would hang it, or be taken for the network's doing."""
    with pytest.raises(LabError, match="address: ValueError"):
        asker.lab._holders["left"].order("address", name="lab0", add=["nonsense"], remove=[])
    with pytest.raises(LabError, match="no interface lab9"):
        asker.lab._holders["left"].order("link", name="lab9", up=True)
    assert asker.ask() == ALL


# --- What is left behind ---------------------------------------------------------------------------------------------

# Ignores SIGTERM, and has a child in a session of its own that does so too; prints the child's number.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    os.setsid()
print(child, flush=True) if child else None
time.sleep(600)
"""


def eventually(true: Callable[[], object]) -> bool:
    """Wait, in bounded time, until something is so."""
    end = time.monotonic() + BOUND
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that waits for somebody else's wait has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def contents(lab: Lab) -> tuple[list[int], list[int]]:
    """Return a laboratory's namespaces and the processes in them."""
    namespaces = [lab._holders[side].namespace or 0 for side in SIDES]
    return namespaces, [pid for namespace in namespaces for pid in netns.members(namespace)]


def test_nothing_is_left_after_an_exception() -> None:
    """Each failed test would leave two namespaces and its processes on the developer's machine."""

    def fail_inside() -> None:
        with Lab() as lab:
            process = lab.run("right", [sys.executable, "-I", "-c", STUBBORN], stdout=subprocess.PIPE)
            child = int(line(process))
            close_pipes(process)
            namespaces, processes = contents(lab)
            assert {process.pid, child} < set(processes)
            made.append((lab, namespaces, processes))
            raise ZeroDivisionError

    made: list[tuple[Lab, list[int], list[int]]] = []
    with pytest.raises(ZeroDivisionError):
        fail_inside()
    ((lab, namespaces, processes),) = made
    assert [netns.members(namespace) for namespace in namespaces] == [[], []]
    assert [pid for pid in processes if not gone(pid)] == []
    lab.close()
    with pytest.raises(LabError, match="closed"):
        lab.link(up=False)


OWNER = f"""
import signal, subprocess, sys
from lab.netlab import Lab
with Lab() as lab:
    process = lab.run("left", [sys.executable, "-I", "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
    print(lab.pid("left"), lab.pid("right"), process.pid, process.stdout.readline().decode().strip(), flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_owner_is_killed(how: signal.Signals) -> None:
    """A test run that is cancelled would leave namespaces that nobody knows how to remove."""
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        processes = [int(word) for word in line(owner).split()]
        assert len(processes) == 4
        namespaces = [netns.inode(pid) for pid in processes[:2]]
        assert len({*namespaces, netns.inode(os.getpid()), None}) == 4
        owner.send_signal(how)
        owner.wait(BOUND)
    assert eventually(lambda: all(gone(pid) for pid in processes)), "a process outlived its laboratory"
    assert [netns.members(namespace or 0) for namespace in namespaces] == [[], []]


def test_a_failed_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first namespace would stay when the second, or the cable, cannot be made."""
    started: list[int] = []
    real = netns.inode

    def note(pid: int) -> int | None:
        started.append(pid)
        return real(pid)

    monkeypatch.setattr(netns, "inode", note)
    with pytest.raises(LabError, match="address"):
        Lab(right=["not an address"])
    assert len(started) == 2
    assert all(gone(pid) for pid in started)


def test_where_it_is_not_allowed_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader on a locked-down machine would get a traceback instead of the reason."""
    monkeypatch.setattr(netns, "probe", lambda: netns.Possible("", "user namespaces are not allowed"))
    with pytest.raises(LabError, match="user namespaces are not allowed"):
        Lab()
