"""A witness (C2SP tlog-witness): it cosigns a log's checkpoint when that goes on from the last one that it cosigned (A-70, A-71).

What it has cosigned is in SQLite: comparing with it and replacing it is one transaction, and durable before the answer. What shows that a
log has two histories is kept. Nothing here draws randomness, reads a clock or knows the network.
"""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from audit.errors import NoteMalformed, ProofWrong
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint, hashes_of, size_of
from audit.tlog.merkle import EMPTY, check_consistency
from audit.tlog.note import Note, Verifier
from core.crypto.primitives import SigningKey

BODY_BYTES_MAX: Final = note.NOTE_BYTES_MAX + 4_096  # old size and 63 hashes of 45 bytes before the note
CONFLICTS_MAX: Final = 64  # kept for each log; the first ones say all
LOCK_SECONDS: Final = 10
PLAIN, SIZE_TYPE = "text/plain; charset=utf-8", "text/x.tlog.size"
OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 400, 403, 404, 409, 422
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS latest (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS conflict (origin TEXT NOT NULL, time_s INTEGER NOT NULL, ours BLOB NOT NULL, theirs BLOB NOT NULL) STRICT;
"""


class Answer(NamedTuple):
    """An HTTP answer: status, body, and its content type."""

    status: int
    body: bytes
    content_type: str = PLAIN


class Request(NamedTuple):
    """What `add-checkpoint` is asked with."""

    old: int
    proof: tuple[bytes, ...]
    signed: Note

    @property
    def raw(self) -> bytes:
        """Return the body."""
        return f"old {self.old}\n".encode() + b"".join(b64encode(each) + b"\n" for each in self.proof) + b"\n" + self.signed.raw


class Conflict(NamedTuple):
    """Two checkpoints of one log, both signed by it, of which the second does not go on from the first; and when it came (seconds)."""

    origin: str
    time_s: int
    ours: bytes
    theirs: bytes


class States:
    """What a witness has cosigned, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is made when it is not there. sqlite3.Error."""
        self._path = path
        with closing(self._connect()) as connection:
            connection.executescript(SCHEMA)

    @contextmanager
    def exchange(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else's can come between; durable when it ends, undone when it ends with an error. sqlite3.Error."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def latest(self) -> list[Checkpoint]:
        """Return the newest checkpoint of each log that was cosigned."""
        with closing(self._connect()) as connection:
            return [Checkpoint(*row) for row in connection.execute("SELECT origin, size, root FROM latest ORDER BY origin")]

    def conflicts(self) -> list[Conflict]:
        """Return what shows that logs have two histories."""
        with closing(self._connect()) as connection:
            return [Conflict(*row) for row in connection.execute("SELECT origin, time_s, ours, theirs FROM conflict ORDER BY rowid")]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection


class Witness:
    """One witness with one key, and the logs that it knows."""

    def __init__(self, name: str, key: SigningKey, logs: Mapping[str, tuple[Verifier, ...]], states: States) -> None:
        """Take name and key, the keys of logs by origin, and what was cosigned before."""
        self._name, self._key, self._logs, self._states = name, key, logs, states

    def add_checkpoint(self, body: bytes, time_s: int) -> Answer:
        """Answer a request, at this time in seconds. sqlite3.Error: nothing was cosigned."""
        try:
            request = parse_request(body)
            says = Checkpoint.of(request.signed)
        except NoteMalformed as error:
            return _refused(BAD_REQUEST, str(error))
        if says.origin not in self._logs:
            return _refused(NOT_FOUND, f"{says.origin} is not a log that this witness knows")
        if not any(note.carries(request.signed, key) for key in self._logs[says.origin]):
            return _refused(FORBIDDEN, f"no signature of a key that this witness knows for {says.origin}")
        if request.old > says.size:
            return _refused(BAD_REQUEST, f"the old size {request.old} is above the checkpoint's, {says.size}")
        with self._states.exchange() as connection:
            answer = _judged(connection, request, says, time_s)
        if answer:
            return answer
        return Answer(OK, f"{note.cosign(request.signed.text, self._name, self._key, time_s).line}\n".encode())


def parse_request(body: bytes) -> Request:
    """Return what a body asks; raise NoteMalformed."""
    if len(body) > BODY_BYTES_MAX:
        raise NoteMalformed(f"found {len(body)} bytes, allowed {BODY_BYTES_MAX}")
    head, parted, signed = body.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteMalformed("old size and proof are ASCII") from None
    if not parted or not first.startswith("old "):
        raise NoteMalformed("the first line is not `old SIZE`, or no empty line is before the checkpoint")
    return Request(size_of(first.removeprefix("old ")), hashes_of(proof), note.parse(signed))


def _judged(connection: sqlite3.Connection, request: Request, says: Checkpoint, time_s: int) -> Answer | None:
    """Return why the checkpoint is not cosigned; or None, and it is the latest now."""
    row = connection.execute("SELECT size, root, note FROM latest WHERE origin = ?", (says.origin,)).fetchone()
    size, root, ours = row or (0, EMPTY, b"")
    known = Answer(CONFLICT, f"{size}\n".encode(), SIZE_TYPE)
    if row and says.size == size and says.root != root:
        _keep(connection, Conflict(says.origin, time_s, ours, request.signed.raw))
        return known
    if request.old != size:
        return known
    try:
        check_consistency(size, says.size, root, says.root, request.proof)
    except ProofWrong as error:
        return _refused(UNPROCESSABLE, str(error))
    connection.execute("REPLACE INTO latest VALUES (?, ?, ?, ?)", (says.origin, says.size, says.root, request.signed.raw))
    return None


def _keep(connection: sqlite3.Connection, conflict: Conflict) -> None:
    (count,) = connection.execute("SELECT count(*) FROM conflict WHERE origin = ?", (conflict.origin,)).fetchone()
    known = connection.execute("SELECT 1 FROM conflict WHERE origin = ? AND theirs = ?", (conflict.origin, conflict.theirs)).fetchone()
    if count < CONFLICTS_MAX and not known:
        connection.execute("INSERT INTO conflict VALUES (?, ?, ?, ?)", conflict)


def _refused(status: int, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode())
