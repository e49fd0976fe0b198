"""The SQLite file: its guards, its schema, and each operation as statements inside a transaction that the caller began.

No table of devices: the partial index `live` is a device's live sessions, and cannot disagree with the rows that it is made from.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from audit.record import pack
from core.limits import SESSIONS_PER_DEVICE
from core.values import ROW_LIVE, Answer, CompareAndSet, Create, Fact, Get, Live, Operation, Outcome, Row, Tombstone
from jvpn.shell.errors import Unavailable
from jvpn.shell.stores.base import SECOND_NS, WallClock, applies, check, check_move

APPLICATION: Final = 0x4A565031  # "JVP1"
VERSION: Final = 1
BUSY_S: Final = 0.5  # how long another process's transaction is waited for; the core waits 2 s for an answer
PURGE_ROWS: Final = 256  # a transaction, so that operations wait little

# States in the file are 1 (live) and 2 (ended): literals, because a partial index serves only queries that spell its condition out.
SCHEMA: Final = (
    """CREATE TABLE sessions (
        handle INTEGER PRIMARY KEY, binding_version INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state IN (1, 2)),
        node BLOB NOT NULL, boot BLOB NOT NULL, attempt INTEGER NOT NULL, next INTEGER NOT NULL, device BLOB NOT NULL,
        gateway_key BLOB NOT NULL, born INTEGER NOT NULL, expires INTEGER NOT NULL, inner4 BLOB NOT NULL, inner6 BLOB NOT NULL,
        kek INTEGER NOT NULL, sealed BLOB NOT NULL CHECK (state = 1 OR length(sealed) = 0)) STRICT""",
    "CREATE INDEX live ON sessions (device, expires) WHERE state = 1",
    "CREATE INDEX expiry ON sessions (expires)",
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, node BLOB NOT NULL, record BLOB NOT NULL) STRICT",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
SELECT: Final = "SELECT * FROM sessions WHERE handle = ?"  # in the order of the schema, which is that of a row, as for INSERT
INSERT: Final = "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DEVICE: Final = "SELECT * FROM sessions WHERE device = ? AND state = 1 AND expires >= ? ORDER BY handle"
MOVE: Final = """UPDATE sessions SET binding_version = :binding_version, node = :node, boot = :boot, attempt = :attempt, next = :next,
    gateway_key = :gateway_key, inner4 = :inner4, inner6 = :inner6, kek = :kek, sealed = :sealed
    WHERE handle = :handle AND state = 1 AND binding_version = :binding_version - 1
    AND device = :device AND born = :born AND expires = :expires"""
END: Final = """UPDATE sessions SET state = 2, binding_version = binding_version + 1, sealed = x''
    WHERE handle = :handle AND state = 1 AND (:device IS NULL OR device = :device) AND (:expect IS NULL OR binding_version = :expect)"""
PURGE: Final = """DELETE FROM sessions WHERE handle IN
    (SELECT handle FROM sessions WHERE expires < ? AND (state = 2 OR expires < ?) LIMIT ?)"""
BESIDE: Final = ("", "-wal", "-shm")  # what SQLite keeps open: the file, and the two that it puts beside it


class Displaced(Exception):
    """Under the file's name, or under one of those beside it, is not what this process has open (O-26)."""


class Tables:
    """One connection. Methods raise sqlite3.Error or Displaced; `judge`, `outbox` and `forget` belong inside `transaction`."""

    def __init__(self, path: Path, node: bytes, boot: bytes, wall: WallClock) -> None:
        self._path, self._node, self._boot, self._wall = path, node, boot, wall
        self._connection = _open(path)
        self._places = _places(path)
        self._displaced = ""
        self.kept: list[Fact] = []  # the evidence that this transaction, or the last one, leaves
        self.wrote = False  # whether the last transaction changed anything: one that did not says nothing about the disk

    @contextlib.contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """Commit at the end, or roll back and raise; `write` takes the one write lock at the start, before anything is read (O-14)."""
        self.look()
        self.kept, self.wrote, before = [], False, self._connection.total_changes
        self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # after some errors SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise
        self.wrote = self._connection.total_changes > before
        self.look()  # what was committed into a file without a name counts for nobody

    def look(self) -> None:
        """Raise Displaced, from the first time on for ever, when the file was removed, moved or replaced (O-26); OSError: nobody knows."""
        if not self._displaced:
            self._displaced = _difference(self._path, self._places)
        if self._displaced:
            raise Displaced(self._displaced)

    def judge(self, ticket: int, operation: Operation) -> Answer:
        """Perform one operation; the answer counts once the transaction is committed. CallerFault for one that nobody may ask for."""
        check(operation)
        if isinstance(operation, Get):  # O-2
            row = self._row(operation.handle)
            return Answer(ticket, Outcome.ABSENT if row is None else Outcome.FOUND, row)
        if isinstance(operation, Create):
            return self._create(ticket, operation)
        if isinstance(operation, CompareAndSet):
            return self._compare_and_set(ticket, operation)
        if isinstance(operation, Live):  # O-25
            return Answer(ticket, Outcome.FOUND, None, self._live(operation.device))
        self._end(operation, None)  # O-7
        row = self._row(operation.handle)
        if row is None or row.state == ROW_LIVE:
            return Answer(ticket, Outcome.ABSENT if row is None else Outcome.LOST, row)
        return Answer(ticket, Outcome.WON, row)

    def outbox(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (id, record) of this node's evidence after an id, oldest first."""
        query = "SELECT id, record FROM outbox WHERE id > ? AND node = ? ORDER BY id LIMIT ?"
        return self._connection.execute(query, (after, self._node, limit)).fetchall()

    def waiting(self, after: int) -> int:
        """Return how much of this node's evidence stands after an id."""
        (count,) = self._connection.execute("SELECT count(*) FROM outbox WHERE id > ? AND node = ?", (after, self._node)).fetchone()
        return int(count)

    def forget(self, upto: int) -> None:
        """Delete this node's evidence up to an id: the log has it (O-18)."""
        self._connection.execute("DELETE FROM outbox WHERE id <= ? AND node = ?", (upto, self._node))

    def purge(self, now: int, live: int) -> bool:
        """Delete some tombstones that expired before `now` and live rows that did before `live` (wall s); return whether more may be left.

        It is a transaction of its own.
        """
        with self.transaction(write=True):
            return self._connection.execute(PURGE, (now, live, PURGE_ROWS)).rowcount == PURGE_ROWS

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file and cut it, so that it keeps no old sealed chains."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection; the last one also removes the write-ahead log."""
        self._connection.close()

    def _row(self, handle: int) -> Row | None:
        found = self._connection.execute(SELECT, (handle,)).fetchone()
        return None if found is None else Row._make(found)

    def _live(self, device: bytes) -> tuple[Row, ...]:
        return tuple(map(Row._make, self._connection.execute(DEVICE, (device, self._wall() // SECOND_NS))))

    def _create(self, ticket: int, operation: Create) -> Answer:
        """Judge a birth: the handle (O-3), the device's limit (O-5), then the sessions that give way (O-4)."""
        new = operation.row
        stored = self._row(new.handle)
        if stored is not None:
            return Answer(ticket, Outcome.LOST, stored)
        live = {row.handle: row for row in self._live(new.device)}
        ending = {each.handle for each in operation.supersede if each.handle in live and applies(each, live[each.handle])}
        if len(live) - len(ending) >= SESSIONS_PER_DEVICE:
            return Answer(ticket, Outcome.FULL, None, tuple(live.values()))
        for tombstone in operation.supersede:
            self._end(tombstone, new.device)
        self._connection.execute(INSERT, new)
        self._keep(operation.fact)
        return Answer(ticket, Outcome.WON, new)

    def _compare_and_set(self, ticket: int, operation: CompareAndSet) -> Answer:
        """Judge a move: one statement compares and sets (O-6)."""
        new = operation.row
        if self._connection.execute(MOVE, new._asdict()).rowcount == 1:  # `check` saw that the new version is the expected one + 1
            self._keep(operation.fact)
            return Answer(ticket, Outcome.WON, new)
        stored = self._row(new.handle)
        if stored is None:
            return Answer(ticket, Outcome.ABSENT)
        if stored.state == ROW_LIVE and stored.binding_version == operation.expect:
            check_move(stored, new)
        return Answer(ticket, Outcome.LOST, stored)

    def _end(self, tombstone: Tombstone, device: bytes | None) -> None:
        """Write the tombstone and its fact if the session is live, at the expected version, and, where given, the device's."""
        if self._connection.execute(END, {"handle": tombstone.handle, "device": device, "expect": tombstone.expect}).rowcount == 1:
            self._keep(tombstone.fact)

    def _keep(self, fact: Fact) -> None:
        """Leave the evidence of a change, in the transaction of the change (O-10)."""
        self._connection.execute("INSERT INTO outbox (node, record) VALUES (?, ?)", (self._node, pack(fact, self._wall(), self._boot)))
        self.kept.append(fact)


def _open(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that only this user can read, with the schema of this version.

    Raises:
        Unavailable: the file or its directory is open to others, is no store, is newer than this program, damaged or locked.
    """
    _guard(path)
    try:
        # The store's thread uses it; the constructor, which runs elsewhere, is done before that thread starts.
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise Unavailable(f"cannot open the store {path}: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise Unavailable(f"cannot use the store {path}: {error}") from error
    except Unavailable:
        connection.close()
        raise
    return connection


def _guard(path: Path) -> None:
    """Create the file with mode 0600, or refuse one that another user could have made, changed or read (O-15)."""
    try:
        there = path.parent.stat()
        # What SQLite puts beside the file could be a link that somebody else placed there.
        if there.st_uid not in {0, os.geteuid()} or there.st_mode & 0o022:
            raise Unavailable(f"others may write in the directory of the store {path}; give it to this user with mode 0700")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        found = path.lstat()  # not opened: closing a second descriptor would drop the locks of this process (fcntl(2))
    except OSError as error:
        raise Unavailable(f"cannot open the store {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise Unavailable(f"the store {path} must be a regular file, no link, of this user and with mode 0600")


def _places(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Return which file, by device and inode, is under each name that SQLite uses; None for a name that is not there."""
    found: list[tuple[int, int] | None] = []
    for beside in BESIDE:
        try:
            there = os.lstat(f"{path}{beside}")
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((there.st_dev, there.st_ino))
    return tuple(found)


def _difference(path: Path, places: tuple[tuple[int, int] | None, ...]) -> str:
    """Say what became of the first file that is not where it was; nothing when all are."""
    for beside, before, now in zip(BESIDE, places, _places(path), strict=True):
        if now != before:
            what = "was removed or moved away" if now is None else "was replaced by another file"
            return f"{path}{beside} {what} while this process used it"
    return ""


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set what is set for each connection; make the schema in an empty file."""
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1_000)}")
    _check_version(connection, path)  # before anything is written
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise Unavailable(f"the file system of the store {path} cannot do write-ahead logging; use a local one")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    if _check_version(connection, path) == 0:  # of two processes that start at once, one makes the tables
        for statement in SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version, 0 for an empty file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or objects):
        raise Unavailable(f"{path} is a database of another program")
    if version > VERSION:
        raise Unavailable(f"the store {path} has version {version}; this program knows {VERSION}: use the newer program")
    return int(version)
