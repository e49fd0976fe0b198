"""What the process of a gateway and that of a client share: signals, word to the supervisor, parts that end in order.

A signal that comes before the loop turns is heard by the loop: a reload or a stop in the first second neither kills nor is lost.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeVar

from core.reasons import Event, Reason
from core.values import Fact, Order
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.clock import boottime, wall
from jvpn.shell.control import Control
from jvpn.shell.driver import Driver
from jvpn.shell.errors import Unavailable
from jvpn.shell.randomness import Faulty
from jvpn.shell.tun import PacketPort

HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALS_MAX: Final = 64  # taken at once


class Signals:
    """Signals as a descriptor, from the making of this object until `close`. For the main thread."""

    def __init__(self) -> None:
        """Begin to listen."""
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in HEARD:
            signal.signal(number, lambda _number, _frame: None)

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._reading

    def read(self) -> bytes:
        """Take the numbers of the signals that came, a byte each; none when none did."""
        try:
            return os.read(self._reading, SIGNALS_MAX)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stop listening; the handlers stay, and do nothing."""
        signal.set_wakeup_fd(-1)
        os.close(self._reading)
        os.close(self._writing)


class Running(Protocol):
    """A process that has opened everything."""

    driver: Driver
    ending: Reason

    def close(self) -> None:
        """Close it in good order."""


def serve(make: Callable[[], Running]) -> int:
    """Run what `make` makes until SIGTERM or SIGINT; return the exit status.

    Raises:
        Faulty: the randomness failed while it served; what the process knew is recorded and its log is ended.
        Unavailable: the machine cannot give what the configuration asks for.
    """
    signals = Signals()
    try:
        process = make()
        try:
            process.driver.listen(signals.fileno(), signals.read)
            say_ready()
            process.driver.run()
        except Faulty:
            process.ending = Reason.RANDOMNESS_FAILED
            raise
        finally:
            process.close()
    finally:
        signals.close()
    return 0


def record_refusal(writer: Writer) -> None:
    """Record, in a chain of its own, that a service did not start because its self-test failed. Unavailable when that cannot be."""
    link = AuditLink(writer, wall, boottime())
    link.record(Fact(Event.PROCESS_STOPPED, Reason.SELFTEST_FAILED, 1, 0, boottime()))
    link.flush()
    link.close()


def say_ready() -> None:
    """Tell a supervisor that asked for it (sd_notify(3)); before that it sends no SIGHUP. Without one nothing happens."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
        if name:
            supervisor.sendto(b"READY=1", f"\0{name[1:]}" if name.startswith("@") else name)


class Part(Protocol):
    """What all parts of a process have in common."""

    def close(self) -> object:
        """Let go of everything."""


P = TypeVar("P", bound=Part)


class Parts:
    """The parts of a process, made in an order that leaves nothing behind when one is missing."""

    driver: Driver
    link: AuditLink
    control: Control
    port: PacketPort
    ending = Reason.PROCESS_STOPPED

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._open: list[Part] = []

    def _serial(self) -> int:
        """Return the serial of the next record."""
        raise NotImplementedError

    def _keep(self, part: P) -> P:
        self._open.append(part)
        return part

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Close what was kept, the newest first, when a part cannot be had."""
        try:
            yield
        except (Unavailable, OSError):
            for each in reversed(self._open):
                each.close()
            raise

    def _record(self, event: Event, reason: Reason) -> None:
        self.driver.record(Fact(event, reason, self._serial(), 0, boottime()))

    def _end(self, orders: tuple[Order, ...], *others: Part) -> None:
        """Give the last orders, record the end, close everything: `others` before the link, which takes their last evidence."""
        with suppress(Faulty):  # one that is the reason for this end
            for order in orders:
                self.driver.execute(self.driver.engine.command(order, boottime()))
        self._record(Event.PROCESS_STOPPED, self.ending)
        self.link.flush()
        parts: tuple[Part, ...] = (self.control, self.driver, *others, self.link, self.port)
        for each in parts:
            each.close()
