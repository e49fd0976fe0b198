"""Two hosts and a cable: a laboratory of two network namespaces, without root where user namespaces are allowed.

    with Lab() as lab:
        lab.run("left", [sys.executable, "-m", "jvpn", ...])
        lab.block_udp()
        lab.replace_address("10.9.0.1/24", "10.9.0.7/24")

Everything that a laboratory starts ends with it, also when its process is killed (lab/netns.py says how).
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import ip_interface
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from lab import netns

Side = Literal["left", "right"]
SIDES: Final[tuple[Side, Side]] = ("left", "right")
CABLE: Final = "lab0"  # the interface's name on both sides
UDP: Final = 17
TCP: Final = 6
ANSWER_SECONDS: Final = 20  # a holder has to start or obey
POLITE_SECONDS: Final = 2  # between SIGTERM and SIGKILL
END_SECONDS: Final = 10  # a holder has to end

File = int | IO[Any] | None


class LabError(Exception):
    """The machine does not allow a laboratory, or a holder refused an order; the message says why."""


class _Holder:
    """One namespace, held by a process that obeys orders."""

    def __init__(self, join: int | None = None) -> None:
        command = [*netns.COMMAND, "hold", *([] if join is None else [str(join)])]
        # A session of its own keeps Ctrl-C from it: it ends when its input does.
        self.process = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            self._answer("start")
        except BaseException:
            self.close()
            raise
        self.namespace = netns.inode(self.process.pid)

    def order(self, do: str, **arguments: object) -> None:
        """Have something done inside; raise LabError when it fails."""
        if self.process.stdin is None or self.process.stdin.closed:
            raise LabError("the laboratory is closed")
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except BrokenPipeError as error:
            raise LabError(f"the namespace's holder is gone: it ended with {self.process.wait(END_SECONDS)}") from error
        self._answer(do)

    def close(self) -> None:
        """End the holder by ending its input; it ends whoever is left in its namespace."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:  # not before: what nobody waits for any more, after Ctrl-C, it still answers
            self.process.stdout.close()

    def _answer(self, do: str) -> None:
        answers = self.process.stdout
        line = b""
        if answers is not None and select.select([answers], [], [], ANSWER_SECONDS)[0]:
            line = answers.readline()
        if not line:
            raise LabError(f"the namespace's holder did not answer to {do!r}; it ended with {self.process.poll()}")
        if (error := json.loads(line)["error"]) is not None:
            raise LabError(f"{do}: {error}")


class Lab:
    """Two namespaces, `left` and `right`, joined by a veth pair; loopback is up on both."""

    def __init__(
        self, left: Sequence[str] = ("10.9.0.1/24", "fd09::1/64"), right: Sequence[str] = ("10.9.0.2/24", "fd09::2/64"), *, mtu: int = 1_500
    ) -> None:
        """Build it. Addresses have a prefix length.

        Raises:
            LabError: the machine does not allow it.
        """
        self.way, why = netns.probe()
        """`root`, or `user`: inside a user namespace."""
        if not self.way:
            raise LabError(why)
        self.addresses: dict[Side, list[str]] = {"left": list(left), "right": list(right)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._holders: dict[Side, _Holder] = {}
        with ExitStack() as building:
            building.callback(self.close)
            self._holders["left"] = _Holder()
            self._holders["right"] = _Holder(self.pid("left"))
            self._holders["left"].order("veth", name=CABLE, peer=self.pid("right"), mtu=mtu)
            for side in SIDES:
                self.link(up=True, side=side)
            building.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def pid(self, side: Side) -> int:
        """Return the process whose /proc/PID/ns/net is the side's namespace."""
        return self._holders[side].process.pid

    def ip(self, side: Side, version: int = 4) -> str:
        """Return the side's first address of an IP version, without its prefix length."""
        return next(str(found.ip) for found in map(ip_interface, self.addresses[side]) if found.version == version)

    def run(
        self,
        side: Side,
        argv: Sequence[str],
        *,
        stdin: File = None,
        stdout: File = None,
        stderr: File = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program on one side, in a session of its own; it ends with the laboratory, or with the thread that called this."""
        command = [*netns.COMMAND, "exec", str(self.pid(side)), "--", *argv]
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=True)
        self._processes.append(process)
        return process

    def block_udp(self, side: Side | None = None, *, on: bool = True, spare: Collection[int] = ()) -> None:
        """Let UDP that arrives at `side` over the cable vanish (None: at both, so in both directions), except from or to ports `spare`."""
        self._block(UDP, side, on=on, spare=spare)

    def block_tcp(self, side: Side | None = None, *, on: bool = True, spare: Collection[int] = ()) -> None:
        """Let TCP vanish, as `block_udp`; connections that are open hear nothing of it either."""
        self._block(TCP, side, on=on, spare=spare)

    def replace_address(self, old: str, new: str) -> None:
        """Take an address from the side that has it and give that side a new one (both with prefix length)."""
        for side, addresses in self.addresses.items():
            if old in addresses:
                self._holders[side].order("address", name=CABLE, remove=[old], add=[new])
                addresses[addresses.index(old)] = new
                return
        raise LabError(f"no side has the address {old}; they have {self.addresses}")

    def link(self, *, up: bool, side: Side = "left") -> None:
        """Plug the cable in or out at one side; the other side sees the carrier go."""
        self._holders[side].order("link", name=CABLE, up=up)
        if up:  # the kernel takes IPv6 addresses away with the link
            self._holders[side].order("address", name=CABLE, add=self.addresses[side], remove=[])

    def mtu(self, size: int, side: Side | None = None) -> None:
        """Set the cable's MTU, bytes, at one side or both."""
        for here in SIDES if side is None else (side,):
            self._holders[here].order("mtu", name=CABLE, size=size)

    def close(self) -> None:
        """End what runs, then the namespaces. Closing again changes nothing."""
        with ExitStack() as ending:  # each step happens, whatever the one before raises
            for side in SIDES:
                if side in self._holders:
                    ending.callback(self._holders[side].close)
            for process in self._processes:
                ending.callback(_end, process)
            for process in self._processes:
                ending.callback(process.send_signal, signal.SIGTERM)  # to all first, so that they end side by side
        self._processes.clear()

    def _block(self, protocol: int, side: Side | None, *, on: bool, spare: Collection[int]) -> None:
        for here in SIDES if side is None else (side,):
            self._holders[here].order("block", name=CABLE, protocol=protocol, on=on, spare=sorted(spare))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has had SIGTERM; kill it, and what is left of its session, when it does not end."""
    try:
        process.wait(POLITE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        process.wait()


def main() -> None:
    """Say whether a laboratory can be built here."""
    possible = netns.probe()
    print(f"network namespaces: {possible.way or 'no'}{possible.why and ' - ' + possible.why}")
    sys.exit(not possible.way)


if __name__ == "__main__":
    main()
