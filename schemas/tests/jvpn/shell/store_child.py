"""Programs that tests of the embedded store run as processes of their own: to kill them, to race them, to fill their disk.

python -m tests.jvpn.shell.store_child stream|race|full DIRECTORY ...
"""

import errno
import os
import sys
import time
from pathlib import Path

import structlog

from core.values import Ask, Get, Live, Operation, Outcome
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.clock import boottime
from jvpn.shell.stores.sqlite import SqliteStore
from tests.jvpn.shell.storing import BOOT, NODE, Clock, ask, create, move, take

SESSIONS = 40


def stream(directory: Path) -> None:
    """Move sessions without end; say `handle version serial` of each answer that is WON, once it is taken."""
    clock = Clock()
    store = SqliteStore(directory / "store", NODE, BOOT, clock)
    AuditLink(Writer(directory / "log", NODE, BOOT, "gateway"), clock, boottime(), store.evidence_to)
    asked: dict[int, Operation] = {handle: create(handle, handle, bytes([handle]) * 32) for handle in range(1, SESSIONS + 1)}
    store.submit([Ask(handle, operation) for handle, operation in asked.items()])
    serial = SESSIONS
    while True:
        for answer in take(store, 1):
            operation = asked[answer.ticket]
            if answer.outcome is not Outcome.WON or answer.row is None or isinstance(operation, Get | Live):
                raise SystemExit(f"{answer}")
            sys.stdout.write(f"{answer.row.handle} {answer.row.binding_version} {operation.fact.serial}\n")
            serial += 1
            asked[answer.ticket] = move(answer.row.handle, answer.row.binding_version, serial, answer.row.device)
            store.submit([Ask(answer.ticket, asked[answer.ticket])])
        sys.stdout.flush()


def race(directory: Path, rounds: int) -> None:
    """Move session 7 as often as this process is the first, until the version is reached; say each version that was won."""
    store = SqliteStore(directory / "store", NODE, os.urandom(8), Clock())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    version = 1
    while version < rounds:
        (answer,) = ask(store, move(7, version, version))
        if answer.outcome is Outcome.WON:
            sys.stdout.write(f"{version + 1}\n")
            time.sleep(0.001)  # so that the other is not always late: SQLite gives a lock to whoever asks first
        if answer.row is not None:
            version = answer.row.binding_version
    store.close()


def full(directory: Path) -> None:
    """Fill the disk, ask, make room, ask again; say how each group was answered."""
    store = SqliteStore(directory / "store", NODE, BOOT, Clock())
    groups: list[list[Operation]] = [[create(1, 1)], [Get(1), create(2, 2), move(1, 1, 3), Get(2), Get(1)], [move(1, 1, 4), create(2, 5)]]
    for number, group in enumerate(groups):
        if number == 1:
            fill(directory / "filler")
        elif number == len(groups) - 1:
            (directory / "filler").unlink()
        answers = ask(store, *group)
        sys.stdout.write(" ".join(f"{answer.outcome.name}:{answer.row.binding_version if answer.row else 0}" for answer in answers) + "\n")
    store.close()


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with path.open("wb", buffering=0) as file:
        for size in (4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what it says on stdout is the result
    match sys.argv[1:]:
        case ["stream", directory]:
            stream(Path(directory))
        case ["race", directory, rounds]:
            race(Path(directory), int(rounds))
        case ["full", directory]:
            full(Path(directory))
        case _:
            raise SystemExit(__doc__)
