"""What the tests of stores and of the way to the audit writer share: rows, facts, and asking."""

import faulthandler
import fcntl
import json
import select
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict, Unpack

from audit.files import LOCK, segments_in
from audit.record import Stamped, unpack
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from core.values import ROW_LIVE, Answer, Ask, CompareAndSet, Create, Endpoint, Fact, Instant, Operation, Outcome, Row, Tombstone
from jvpn.shell.stores.base import Store

NODE, BOOT = b"node-one", b"boot-one"
DEVICE = bytes(range(32))
START = 1_800_000_000  # wall seconds
LIFETIME = 28_800
PATIENCE_S = 20.0  # how long a test waits before it fails; it never asserts how long something took
FROM = Endpoint(bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]), 4_500)


class Clock:
    """A wall clock that tests set, in seconds."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> int:
        """Return nanoseconds since 1970."""
        return self.seconds * 1_000_000_000


class Fields(TypedDict, total=False):
    """What a test may want different in a row."""

    state: int
    node: bytes
    boot: bytes
    attempt: int
    next: int
    gateway_key: bytes
    born: int
    expires: int
    inner4: bytes
    inner6: bytes
    kek: int
    sealed: bytes


def row(handle: int, device: bytes = DEVICE, version: int = 1, **fields: Unpack[Fields]) -> Row:
    """Return a live row; each version has other secrets and another owner."""
    made = Row(handle, version, ROW_LIVE, NODE, BOOT, version, version + 1, device, bytes([version % 256]) * 32, START, START + LIFETIME,
               bytes([10, 0, 0, 1]), bytes(15) + b"\1", START // 3_600, b"sealed %d" % version)  # fmt: skip
    return made._replace(**fields)


def fact(event: Event, reason: Reason, handle: int, serial: int, version: int) -> Fact:
    """Return a fact that fits the schema of its event."""
    return Fact(event, reason, serial, 0, Instant(serial), handle, b"c" * 16, 1, State.ATTACHED, version, version, 1,
                carrier_to=Carrier.UDP, device=DEVICE, remote=FROM)  # fmt: skip


def create(handle: int, serial: int, device: bytes = DEVICE, supersede: tuple[Tombstone, ...] = (), **fields: Unpack[Fields]) -> Create:
    """Return the birth of a session."""
    return Create(row(handle, device, **fields), fact(Event.SESSION_BORN, Reason.HANDSHAKE_COMPLETED, handle, serial, 1), supersede)


def move(handle: int, expect: int, serial: int, device: bytes = DEVICE, **fields: Unpack[Fields]) -> CompareAndSet:
    """Return a move from version `expect` to the next."""
    moved = fact(Event.SESSION_MOVED, Reason.MOVED_PATH_DEAD, handle, serial, expect + 1)
    return CompareAndSet(row(handle, device, expect + 1, **fields), expect, moved)


def end(handle: int, serial: int, expect: int | None = None) -> Tombstone:
    """Return the end of a session, of any version or of one."""
    ended = fact(Event.SESSION_ENDED, Reason.CLOSED_BY_PEER, handle, serial, 9)._replace(
        carrier_to=0, remote=None, state_to=State.TERMINATED
    )
    return Tombstone(handle, ended, expect)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that happens elsewhere; fail loudly when it does not."""
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up, f"waited in vain: {what}"
        time.sleep(0.002)


def take(store: Store, count: int) -> list[Answer]:
    """Wait for so many answers, by the descriptor alone."""
    got: list[Answer] = []
    poll = select.poll()
    poll.register(store.fileno(), select.POLLIN)
    while len(got) < count:
        assert poll.poll(PATIENCE_S * 1_000), f"{len(got)} of {count} answers came; meanwhile:\n{stacks()}"
        got += store.answers()
    return got


def stacks() -> str:
    """Return where each thread of this process is: a store that does not answer waits for something."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()


def ask(store: Store, *operations: Operation) -> list[Answer]:
    """Submit operations at once; return their answers in the order of the tickets."""
    store.submit([Ask(ticket, operation) for ticket, operation in enumerate(operations)])
    got = sorted(take(store, len(operations)))
    assert [answer.ticket for answer in got] == list(range(len(operations)))
    return got


def outcomes(answers: Iterable[Answer]) -> list[Outcome]:
    """Return only how they were answered."""
    return [answer.outcome for answer in answers]


def outbox(path: Path) -> list[Stamped]:
    """Return what stands in the outbox of a store's file, in order."""
    connection = sqlite3.connect(path)
    try:
        return [unpack(record) for (record,) in connection.execute("SELECT record FROM outbox ORDER BY id")]
    finally:
        connection.close()


def events(log: Path) -> list[dict[str, Any]]:
    """Return the events of a log whose writer has ended, in order."""
    until(lambda: _unlocked(log), "the writer lets its log go")
    lines = [line for segment in segments_in(log) for line in segment.read_text().splitlines()]
    found = [json.loads(line)["event"] for line in lines]
    assert [event["seq"] for event in found] == list(range(len(found)))
    return found


def evidence(log: Path) -> list[tuple[str, int]]:
    """Return (boot, serial) of each evidence event in a log."""
    told = [event["event_id"].split("-") for event in events(log) if event["event_class"] == "evidence"]
    return [(boot, int(serial, 16)) for boot, serial in told]


def _unlocked(log: Path) -> bool:
    try:
        with (log / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
