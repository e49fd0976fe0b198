"""The key file of a log's pseudonyms: `names.key` beside the log (clauses A-14, A-18, A-19).

A writer, a second one on a log beside it, and commands may change it at one time: each change is made under a lock on the directory, and
replaces the file. What it held is overwritten, and so it is after a kill in the middle: the next one who takes the lock goes on with that.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from audit.errors import KeyUnusable
from audit.files import KEY_MODE, create_key, replace, sync_directory
from audit.pseudonym import KEY_BYTES, MONTHS_MAX, Names, Owed, Ring, month_of
from core.crypto.secret import Secret
from core.reasons import Reason

FILE: Final = "names.key"
OF_BEFORE: Final = "pseudonym.key"  # one key for all time, of before 1.1.0: named nothing since, kept as long as an ended month
MAGIC: Final = b"jvp names key 1\n"
HEAD: Final = struct.Struct("<16sIII32sH")  # magic; month, born, seen; the secret of the month; how many keys are kept
KEPT: Final = struct.Struct("<I32s")  # a month and its key
OWED: Final = struct.Struct("<III")  # first and last month, how often
REASONS: Final = (Reason.NAMES_OVER, Reason.NAMES_DESTROYED, Reason.NAMES_RESOLVED)  # in the file's order
NOTHING: Final = Owed(0, 0, 0)
MONTHS: Final = 12  # ended months whose pseudonyms can be resolved, unless the configuration says otherwise
KEPT_MAX: Final = 1_200
FILE_BYTES_MAX: Final = HEAD.size + KEPT_MAX * KEPT.size + len(REASONS) * OWED.size
COUNT_MAX: Final = 2**32 - 1

Change = Callable[[Ring], Ring]


def key_path(log: Path) -> Path:
    """Return where the keys of a log's pseudonyms live: beside the directory, so that a copied log does not carry them."""
    return log.absolute().parent / FILE


def before_path(log: Path) -> Path:
    """Return where the one key is that logs of before had."""
    return log.absolute().parent / OF_BEFORE


def store_key(path: Path, secret: bytes, month: int = 0) -> bool:
    """Create the key file with 32 fresh random bytes, from a month on; leave an existing one alone. Return whether it was created."""
    return create_key(path, packed(Ring.fresh(secret, month)))


def load_ring(path: Path) -> Ring:
    """Read the keys. KeyUnusable when the file is missing, no such file, or open to other users."""
    return _read(path)[0]


def load_before(path: Path) -> bytes | None:
    """Return the key of before there were months, 32 bytes; None where there is none. KeyUnusable as in `load_ring`."""
    if not os.path.lexists(path):
        return None
    raw, _ = _private(path, KEY_BYTES + 1)
    if len(raw) != KEY_BYTES:
        raise KeyUnusable(f"{path}: {KEY_BYTES} bytes are needed")
    return raw


def change(path: Path, how: Change) -> Ring:
    """Replace the ring in the file by what `how` makes of it, and destroy what is in it no more; return it. KeyUnusable, OSError."""
    with _locked(path):
        ring = load_ring(path)
        after = how(ring)
        if after is not ring:
            _put(path, packed(after))
        return after


def destroy_before(path: Path) -> bool:
    """Overwrite and remove the one key of before there were months. Return whether there was one. OSError."""
    with _locked(path):
        there = path.exists()
        wipe(path)
        return there


class Keeper:
    """The names of one writer: they follow the clock, and whoever changes the key file."""

    def __init__(self, log: Path, months: int) -> None:
        """Read the keys; those of so many ended months are to be kept. KeyUnusable."""
        self._path, self._before, self._months = key_path(log), before_path(log), months
        ring, self._known = _read(self._path)
        self.names = Names(ring)

    def look(self, now_ns: int) -> None:
        """See whether the file was replaced, or a month is over. KeyUnusable, OSError: the names go on as they are."""
        status = self._path.stat()
        if self._known != _identity(status):
            ring, self._known = _read(self._path)
            self.names.use(ring)
        now = month_of(now_ns)
        if self.names.ring.turned(now, self._months) is not self.names.ring:
            self._change(lambda there: there.turned(now, self._months))
        ring = self.names.ring
        if now - ring.born > self._months and now == ring.month and self._before.exists() and destroy_before(self._before):
            self._change(lambda there: there.noting(Reason.NAMES_OVER, Owed(0, there.born, 1)))

    def settle(self, told: dict[Reason, Owed]) -> None:
        """Forget what the log was told. KeyUnusable, OSError: it will be told again."""
        self._change(lambda ring: ring.settled(told))

    def _change(self, how: Change) -> None:
        self.names.use(change(self._path, how))
        self._known = _identity(self._path.stat())


def packed(ring: Ring) -> bytes:
    """Return the content of a key file."""
    secret, kept = ring.secrets()
    head = HEAD.pack(MAGIC, ring.month, ring.born, ring.seen, secret.expose(), len(kept))
    owed = (ring.owed.get(reason, NOTHING) for reason in REASONS)
    tail = b"".join(OWED.pack(each.first, each.last, min(each.times, COUNT_MAX)) for each in owed)
    return head + b"".join(KEPT.pack(month, key.expose()) for month, key in kept.items()) + tail


def unpacked(raw: bytes) -> Ring | None:
    """Return the ring in a key file's bytes, or None when they are none."""
    if len(raw) < HEAD.size or not raw.startswith(MAGIC):
        return None
    _, month, born, seen, secret, count = HEAD.unpack_from(raw)
    end = HEAD.size + count * KEPT.size
    if len(raw) != end + len(REASONS) * OWED.size:
        return None
    kept = {at: Secret(key) for at, key in KEPT.iter_unpack(raw[HEAD.size : end])}
    owed = {reason: Owed(*each) for reason, each in zip(REASONS, OWED.iter_unpack(raw[end:]), strict=True) if any(each)}
    sound = len(kept) == count and all(at < month for at in kept) and max(month, born, seen) < MONTHS_MAX
    return Ring(month, Secret(secret), kept, born=born, seen=seen, owed=owed) if sound else None


def _read(path: Path) -> tuple[Ring, tuple[int, ...]]:
    raw, identity = _private(path, FILE_BYTES_MAX + 1)
    ring = unpacked(raw)
    if ring is None:
        raise KeyUnusable(f"{path}: not the key of an audit log's pseudonyms")
    return ring, identity


def _private(path: Path, limit: int) -> tuple[bytes, tuple[int, ...]]:
    """Return what a file that only its owner can read holds, and which file it was."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(limit)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    if (mode := status.st_mode & 0o777) & 0o077:
        raise KeyUnusable(f"{path}: mode {mode:04o} lets other users read it; {KEY_MODE:04o} is needed")
    return raw, _identity(status)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock on the key's directory; finish first what somebody was killed in the middle of."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for rest in (_old(path), path.with_name(f".{path.name}")):
            wipe(rest, path)
        yield
    finally:
        os.close(descriptor)


def _put(path: Path, data: bytes) -> None:
    """Replace the file; what it held keeps a name until it is overwritten."""
    os.link(path, _old(path))
    try:
        replace(path.parent, path.name, data)
    finally:
        wipe(_old(path), path)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def wipe(path: Path, in_use: Path | None = None) -> None:
    """Overwrite and remove a file with secrets, if there is one; only remove a second name of the file that is in use.

    What a disk, a snapshot or a backup has copied is out of reach. OSError when it could not be removed.
    """
    if not os.path.lexists(path):
        return
    if in_use is None or not (in_use.exists() and path.samefile(in_use)):
        with path.open("r+b", buffering=0) as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)
