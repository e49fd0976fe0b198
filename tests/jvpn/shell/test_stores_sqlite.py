"""What only a store with a file can get wrong (O-9, O-11, O-13 to O-16)."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.values import Answer, Ask, Get, Operation, Outcome
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.clock import boottime
from jvpn.shell.errors import Unavailable
from jvpn.shell.stores import sqlite as sqlite_module
from jvpn.shell.stores import tables as tables_module
from jvpn.shell.stores.sqlite import GROUP, SqliteStore
from jvpn.shell.stores.tables import VERSION, Tables
from tests.jvpn.shell.storing import BOOT, NODE, Clock, ask, create, end, evidence, move, outbox, outcomes, take, until
from tests.support import ROOT, requires

WON, LOST, FOUND, ABSENT, FULL, FAILED = Outcome
BOUND_S = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be made."""
    return tmp_path / "store"


@contextmanager
def opened(path: Path, clock: Clock | None = None) -> Iterator[SqliteStore]:
    """Open a store and close it."""
    store = SqliteStore(path, NODE, BOOT, clock or Clock())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def held(store: SqliteStore) -> Iterator[None]:
    """Stop the store's thread at the beginning of a group, as a disk that hangs would."""
    going, reached = threading.Event(), threading.Event()
    really = store._commit

    def stuck(group: list[Ask]) -> list[Answer]:
        reached.set()
        assert going.wait(BOUND_S)
        return really(group)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_commit", stuck)
        store.submit([Ask(0, Get(0))])
        assert reached.wait(BOUND_S)
        patch.undo()
        try:
            yield
        finally:
            going.set()


@contextmanager
def child(*words: str, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run one of the programs of store_child; end it by its id whatever happens."""
    command = [*before, sys.executable, "-m", "tests.jvpn.shell.store_child", *words]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


# --- The file. ------------------------------------------------------------------------------------------------------


def test_only_its_user_reads_the_file(path: Path) -> None:
    """O-15: other users could read which devices are attached, and copy sealed chains."""
    umask = os.umask(0)
    try:
        with opened(path) as store:
            ask(store, create(1, 1))
            modes = {found.name: found.stat().st_mode & 0o777 for found in path.parent.iterdir()}
    finally:
        os.umask(umask)
    assert modes == {"store": 0o600, "store-wal": 0o600, "store-shm": 0o600}


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    """O-15: whoever places a link could make the gateway write elsewhere."""
    (tmp_path / "elsewhere").touch(0o600)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="no link"):
        SqliteStore(path, NODE, BOOT, Clock())
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize(("what", "mode"), [("store", 0o640), ("store", 0o604), ("", 0o770), ("", 0o1777)])
def test_what_is_open_to_others_is_refused(path: Path, what: str, mode: int) -> None:
    """O-15: another user's changes would count as the truth about who owns which session."""
    path.touch(0o600)
    (path.parent / what).chmod(mode)
    with pytest.raises(Unavailable):
        SqliteStore(path, NODE, BOOT, Clock())


@requires("root")
@pytest.mark.parametrize("what", ["store", ""])
def test_a_foreign_owner_is_refused(path: Path, what: str) -> None:
    """O-15: the same, by a file that another user made."""
    path.touch(0o600)
    os.chown(path.parent / what, 65_534, -1)
    with pytest.raises(Unavailable):
        SqliteStore(path, NODE, BOOT, Clock())


def test_a_missing_directory_is_told(path: Path) -> None:
    """O-15: an operator would see a traceback for a mistyped path."""
    with pytest.raises(Unavailable, match="No such file"):
        SqliteStore(path / "below" / "store", NODE, BOOT, Clock())


def test_a_newer_store_is_refused(path: Path) -> None:
    """O-15: an older program would damage what a newer one wrote."""
    with opened(path) as store:
        ask(store, create(1, 1))
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="newer"):
        SqliteStore(path, NODE, BOOT, Clock())
    assert path.read_bytes() == before


@pytest.mark.parametrize("foreign", ["CREATE TABLE photos (id)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
def test_a_foreign_database_is_refused(path: Path, foreign: str) -> None:
    """O-15: a mistyped path would put sessions into another program's data."""
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as other:
        other.execute(foreign)
    with pytest.raises(Unavailable, match="another program"):
        SqliteStore(path, NODE, BOOT, Clock())


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """O-15: an operator would see a traceback for a damaged file."""
    path.write_bytes(b"no database" * 1_000)
    path.chmod(0o600)
    with pytest.raises(Unavailable, match="not a database"):
        SqliteStore(path, NODE, BOOT, Clock())


def test_rows_and_evidence_outlive_the_process(path: Path) -> None:
    """O-9: a restart would lose sessions, or forget that some have ended."""
    with opened(path) as store:
        assert set(outcomes(ask(store, create(1, 1), move(1, 1, 2), create(2, 3), end(2, 4)))) == {WON}
        rows = [answer.row for answer in ask(store, Get(1), Get(2))]
    with opened(path) as store:
        assert [answer.row for answer in ask(store, Get(1), Get(2))] == rows
    assert [stamped.fact.serial for stamped in outbox(path)] == [1, 2, 3, 4]


def test_each_commit_reaches_the_disk(path: Path) -> None:
    """O-9: a power cut would take back what was answered, or leave deleted secrets in free pages."""
    with closing(Tables(path, NODE, BOOT, Clock())) as tables:
        pragmas = {
            name: tables._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


# --- Trouble. -------------------------------------------------------------------------------------------------------


def test_a_lock_fails_writes_and_lets_reads_through(path: Path) -> None:
    """O-11, O-13, O-28: one stuck process would stop everything for good, reads included; or be counted for what it never let happen."""
    with opened(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        ask(store, create(1, 1))
        other.execute("BEGIN IMMEDIATE")
        assert outcomes(ask(store, Get(1), move(1, 1, 2), end(1, 3), Get(1))) == [FOUND, FAILED, FAILED, FOUND]
        other.execute("ROLLBACK")
        assert outcomes(ask(store, move(1, 1, 4))) == [WON]
        assert sum(store.committed().values()) == 2
    assert [stamped.fact.serial for stamped in outbox(path)] == [1, 4]


def test_a_lock_that_is_let_go_in_time_costs_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-14: an operation that reads before it writes would fail whenever another process wrote in between."""
    monkeypatch.setattr(tables_module, "BUSY_S", BOUND_S)
    with opened(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        ask(store, Get(1))  # what it does at the start is done
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO outbox (node, record) VALUES (x'', x'')")
        store.submit([Ask(0, create(1, 1))])
        time.sleep(0.1)  # the store waits for the lock by now, most likely; if not, the test is easier, not wrong
        other.execute("COMMIT")
        assert outcomes(take(store, 1)) == [WON]


def test_one_bad_operation_does_not_undo_its_group(path: Path) -> None:
    """O-11: what the tables refuse would take down operations of other sessions, or leave a row without its evidence."""
    wrong = create(2, 2)
    unfit = wrong._replace(fact=wrong.fact._replace(state_from=999))  # found out after the row is written
    typed = create(3, 3, sealed="text")  # type: ignore[arg-type]  # what a type checker would stop
    with opened(path) as store:
        assert outcomes(ask(store, create(1, 1), unfit, move(1, 1, 4), typed, Get(2), Get(3))) == [WON, FAILED, WON, FAILED, ABSENT, ABSENT]
        assert outcomes(ask(store, unfit)) == [FAILED]
        assert sum(store.committed().values()) == 2, "what was rolled back with its group is counted once, what failed never [O-28]"
    assert [stamped.fact.serial for stamped in outbox(path)] == [1, 4]


def test_a_failed_commit_is_performed_again_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-11, O-13: operations would be answered WON although their transaction was rolled back."""
    groups: list[int] = []

    def judge(self: Tables, ticket: int, operation: Operation) -> Answer:
        groups.append(ticket)
        if len(groups) == 3:
            raise sqlite3.OperationalError("database or disk is full")
        return really(self, ticket, operation)

    really = Tables.judge
    monkeypatch.setattr(Tables, "judge", judge)
    with opened(path) as store:
        assert outcomes(ask(store, create(1, 1), create(2, 2), create(3, 3), create(4, 4))) == [WON] * 4
    assert groups == [0, 1, 2, 0, 1, 2, 3]
    assert [stamped.fact.serial for stamped in outbox(path)] == [1, 2, 3, 4]


def test_a_damaged_file_fails_operations_not_the_thread(path: Path) -> None:
    """O-13: damage on the disk would end the gateway with a traceback instead of suspending sessions."""
    with opened(path) as store:
        ask(store, *(create(handle, handle, bytes([handle]) * 32) for handle in range(1, 60)))
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + b"\xa5" * (len(content) - 4_096))
    with opened(path) as store:
        for _ in range(2):
            assert set(outcomes(ask(store, Get(1), move(1, 1, 70), create(80, 80)))) == {FAILED}


def test_a_full_queue_fails_what_does_not_fit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-13: a disk that hangs would make the queue grow until memory is gone."""
    monkeypatch.setattr(sqlite_module, "QUEUE", 10)
    with opened(path) as store:
        with held(store):
            store.submit([Ask(ticket, Get(ticket)) for ticket in range(8)])
            store.submit([Ask(ticket, Get(ticket)) for ticket in range(8, 13)])
            assert outcomes(take(store, 3)) == [FAILED] * 3
        assert outcomes(take(store, 11)) == [ABSENT] * 11


# The words that run a command with a small disk of its own over the first argument; it goes with the command.
ON_A_SMALL_DISK = (
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs -o size=512k,mode=700 none "$0" && exec "$@"',
)


@requires("userns")
def test_a_full_disk_fails_writes_and_nothing_else(tmp_path: Path) -> None:
    """O-11, O-13: a full disk would end the gateway, or half a transaction would count once there is room again."""
    with child("full", str(tmp_path), before=(*ON_A_SMALL_DISK, str(tmp_path))) as process:
        told, _ = process.communicate(timeout=BOUND_S)
    assert told.splitlines() == ["WON:1", "FOUND:1 FAILED:0 FAILED:0 ABSENT:0 FOUND:1", "WON:2 WON:1"]


# --- Several processes. ---------------------------------------------------------------------------------------------


def test_of_two_processes_one_wins(path: Path) -> None:
    """O-14: two gateways on one file would both own a session at the same version."""
    rounds = 300
    with opened(path) as store:
        ask(store, create(7, 1))
    with child("race", str(path.parent), str(rounds)) as one, child("race", str(path.parent), str(rounds)) as other:
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        won = [[int(line) for line in process.communicate(timeout=BOUND_S)[0].split()] for process in (one, other)]
    assert sorted(won[0] + won[1]) == list(range(2, rounds + 1))
    assert all(won), "one process won everything: this was no race"
    assert [stamped.fact.binding_version for stamped in outbox(path)] == list(range(1, rounds + 1))


@pytest.mark.parametrize("answers", [1, 41, 5 * GROUP, 3_000])
def test_a_killed_process_keeps_its_word(tmp_path: Path, answers: int) -> None:
    """O-9, O-10, O-19: a crash would take back an answered move, or its evidence would be missing or in the log twice."""
    with child("stream", str(tmp_path)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(answers)]
        process.send_signal(signal.SIGKILL)
        lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    told = [tuple(map(int, line.split())) for line in lines]
    clock = Clock()
    store = SqliteStore(tmp_path / "store", NODE, b"boot-two", clock)
    link = AuditLink(Writer(tmp_path / "log", NODE, b"boot-two", "gateway"), clock, boottime(), store.evidence_to)
    rows = {answer.row.handle: answer.row for answer in ask(store, *map(Get, range(1, 41))) if answer.row}
    until(lambda: outbox(tmp_path / "store") == [], "the log has all evidence")
    store.close()
    assert link.close()
    assert all(rows[handle].binding_version >= version for handle, version, _ in told)
    recorded = Counter(evidence(tmp_path / "log"))
    assert {recorded[BOOT.hex(), serial] for _, _, serial in told} == {1}
    assert set(recorded.values()) == {1}
    assert len(recorded) == sum(row.binding_version for row in rows.values())
