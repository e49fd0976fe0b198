"""A store whose file is taken away while it is used (O-26), and what a store says of itself (O-27)."""

import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.values import Get, Operation, Outcome
from jvpn.shell.stores import sqlite as sqlite_module
from jvpn.shell.stores import tables as tables_module
from jvpn.shell.stores.base import Health
from jvpn.shell.stores.sqlite import SqliteStore
from jvpn.shell.stores.tables import Displaced, Tables
from tests.jvpn.shell.storing import BOOT, NODE, START, Clock, ask, create, end, move, outbox, outcomes, until

FAILED, WON, FOUND = Outcome.FAILED, Outcome.WON, Outcome.FOUND
NEVER_MS = 600_000


def remove(path: Path) -> None:
    """Remove the file alone."""
    path.unlink()


def move_away(path: Path) -> None:
    """Rename the file, as somebody who makes room for another one does."""
    path.rename(path.with_name("old"))


def restore(path: Path) -> None:
    """Put a copy in the file's place, as a restored backup does."""
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def cut_log(path: Path) -> None:
    """Remove the write-ahead log, which holds the newest commits."""
    Path(f"{path}-wal").unlink()


def swap_index(path: Path) -> None:
    """Put another index of the write-ahead log in its place: other processes would see another log."""
    Path(f"{path}-shm").rename(path.with_name("index"))
    Path(f"{path}-shm").touch(0o600)


WAYS = (remove, move_away, restore, cut_log, swap_index)


@pytest.mark.parametrize("take", WAYS)
def test_nothing_is_written_into_a_file_without_a_name(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch, take: Callable[[Path], None]
) -> None:
    """O-26: a gateway would go on binding sessions in a file that nobody can open, and lose them all at its end."""
    monkeypatch.setattr(sqlite_module, "LOOK_MS", NEVER_MS)  # an operation looks by itself, before and after
    ask(store, Get(1))
    take(path)
    assert outcomes(ask(store, move(1, 1, 2), Get(1), create(2, 3))) == [FAILED, FAILED, FAILED]
    assert f"{path}" in store.health().displaced


def test_it_is_noticed_without_any_operation(store: SqliteStore, path: Path) -> None:
    """O-26: a gateway whose clients are quiet would not notice before the next one moves."""
    path.unlink()
    until(lambda: bool(store.health().displaced), "the store looks by itself")
    assert store.health().displaced == f"{path} was removed or moved away while this process used it"


def test_what_comes_back_is_not_trusted(store: SqliteStore, path: Path) -> None:
    """O-26: another process may have written the file meanwhile, and this one would have two truths."""
    path.rename(path.with_name("away"))
    assert outcomes(ask(store, Get(1))) == [FAILED]
    path.with_name("away").rename(path)
    assert outcomes(ask(store, Get(1), move(1, 1, 2))) == [FAILED, FAILED]
    store.close()
    with closing(SqliteStore(path, NODE, b"boot-two", Clock())) as later:
        assert outcomes(ask(later, move(1, 1, 2))) == [WON]


@pytest.mark.parametrize("take", [remove, restore])
def test_a_commit_that_the_removal_overtook_does_not_count(path: Path, take: Callable[[Path], None]) -> None:
    """O-26: an operation that was committed while somebody took the file away would be answered WON."""
    with closing(Tables(path, NODE, BOOT, Clock())) as tables:

        def commit(operation: Operation, meanwhile: Callable[[Path], None]) -> None:
            with tables.transaction(write=True):
                tables.judge(0, operation)
                meanwhile(path)

        commit(create(1, 1), lambda _path: None)
        with pytest.raises(Displaced, match="while this process used it"):
            commit(move(1, 1, 2), take)


def test_the_file_in_the_place_is_left_alone(store: SqliteStore, path: Path) -> None:
    """O-26: a gateway that ends would remove the write-ahead log of the store that was put in its place."""
    Path(f"{path}-wal").unlink()
    Path(f"{path}-shm").unlink()
    path.unlink()
    with closing(SqliteStore(path, NODE, b"boot-two", Clock())) as other:
        ask(other, create(5, 5))
        store.close()
        assert Path(f"{path}-wal").exists()
        assert outcomes(ask(other, move(5, 1, 6))) == [WON]
    assert [stamped.fact.serial for stamped in outbox(path)] == [5, 6]


def test_a_second_process_on_the_file_is_no_removal(store: SqliteStore, path: Path) -> None:
    """O-26: whoever looks into the store with another program would end the gateway."""
    with closing(SqliteStore(path, b"node-two", b"boot-two", Clock())) as other:
        ask(other, create(2, 2))
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM sessions").fetchone() == (2,)
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert outcomes(ask(store, move(1, 1, 3), Get(2))) == [WON, FOUND]
    assert not store.health().displaced


def test_a_name_that_cannot_be_looked_at_is_trouble_and_not_the_end(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O-26: a directory that cannot be read for a moment would end the gateway for good."""

    def refuse(_: Path) -> tuple[None, ...]:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as denied:
        denied.setattr(tables_module, "_places", refuse)
        assert outcomes(ask(store, move(1, 1, 2))) == [FAILED]
    assert not store.health().displaced
    assert outcomes(ask(store, move(1, 1, 2))) == [WON]


@contextmanager
def full() -> Iterator[None]:
    """Let no file of this process grow, as a full disk does; what exists can be overwritten."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with capture_logs():  # of this process; the service's own log drops and counts lines that a full disk refuses
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_store_says_since_when_it_fails_and_why(path: Path) -> None:
    """O-27: an operator would see sessions that do not move and a store that says nothing."""
    clock = Clock()
    with closing(SqliteStore(path, NODE, BOOT, clock)) as store:
        ask(store, create(1, 1))
        assert store.health() == Health(None, "", "", 0, 0, 1)
        clock.seconds += 5
        with full():
            assert outcomes(ask(store, create(2, 2))) == [FAILED]
            clock.seconds += 60
            assert outcomes(ask(store, create(3, 3))) == [FAILED]
        assert outcomes(ask(store, end(99, 4))) == [Outcome.ABSENT]  # nothing was written: it says nothing about the disk
        sick = store.health()
        assert (sick.failing_since, sick.operations_failed) == ((START + 5) * 1_000_000_000, 2)
        assert sick.error.startswith("OperationalError: ")
        assert outcomes(ask(store, create(2, 2))) == [WON]
        until(lambda: store.health().evidence_waiting == 2, "the evidence is counted again")
        well = store.health()
        assert (well.failing_since, well.error, well.operations_failed) == (None, "", 2)


def test_a_store_says_how_much_evidence_waits(store: SqliteStore, path: Path) -> None:
    """O-27: a log that lags behind by hours would look like one that is complete; also after a restart."""
    ask(store, *(move(1, version, version + 1) for version in range(1, 40)))
    assert store.health().evidence_waiting == 40
    store.close()
    with closing(SqliteStore(path, NODE, b"boot-two", Clock())) as later:
        until(lambda: later.health().evidence_waiting == 40, "what a former process left is counted")
        with closing(SqliteStore(path, b"node-two", b"boot-two", Clock())) as other:
            ask(other, Get(1))
            assert other.health().evidence_waiting == 0


def test_evidence_of_a_commit_that_was_taken_for_failed_is_counted(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-27: the count would stay wrong for good once a disk failed at the wrong moment."""
    looks = iter([False, False, True])  # the turn's own look, that before the transaction, that after it

    def look(tables: Tables) -> None:
        if next(looks, False):
            raise OSError(5, "Input/output error")
        really(tables)

    really = Tables.look
    monkeypatch.setattr(sqlite_module, "LOOK_MS", NEVER_MS)
    ask(store, Get(1))  # sleeps until the next operation from now on
    monkeypatch.setattr(Tables, "look", look)
    assert outcomes(ask(store, move(1, 1, 2))) == [FAILED]
    assert outcomes(ask(store, move(1, 1, 3), move(1, 2, 4))) == [Outcome.LOST, WON]
    until(lambda: store.health().evidence_waiting == 3, "what the failed commit left is counted too")
