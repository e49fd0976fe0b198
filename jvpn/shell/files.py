"""Files that must be whole, durable, and nobody else's: created or replaced in one step, read only when they are safe.

A file appears under its name complete and on disk, or not at all. What is read must be a regular file of this user; links are refused,
so that nobody who may write a directory can point us elsewhere.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
DIRECTORY: Final = 0o700
LOCK: Final = "service.lock"
OTHERS_READ: Final = 0o077
OTHERS_WRITE: Final = 0o022
DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})  # nobody's mistake in a configuration
DRAFT_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def create(path: Path, data: bytes | bytearray, mode: int = PRIVATE) -> None:
    """Create a file of this mode, whatever the umask is.

    Raises:
        Misconfigured: the name is taken, by a link too, or the directory cannot be written.
        Unavailable: the disk is full or broken.
    """
    draft = _draft(path, data, mode)
    try:
        path.hardlink_to(draft)  # refuses to replace whatever is there
        _sync_directory(path.parent)
    except FileExistsError:
        raise Misconfigured(f"{path}: is there already and is not overwritten: move it away or choose another name") from None
    except OSError as error:
        raise _unwritten(path, "created", error) from error
    finally:
        draft.unlink(missing_ok=True)


def replace(path: Path, data: bytes | bytearray, mode: int = PRIVATE) -> None:
    """Put new content under a name, with this mode. Misconfigured, Unavailable: as in `create`; then the old content stands."""
    draft = _draft(path, data, mode)
    try:
        draft.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritten(path, "replaced", error) from error


def read_private(path: Path, most: int, others: int = OTHERS_READ, absent: str = "") -> bytearray:
    """Return what a file of this user holds, at most `most` bytes, in a buffer that the caller may overwrite.

    Raises:
        Misconfigured: it is missing (`absent` says what makes one), a link, no regular file, somebody else's, longer, or open to others
            (mode bits `others`).
    """
    with _opened(path, os.O_RDONLY | os.O_NOFOLLOW, absent) as descriptor:
        _judge(path, os.fstat(descriptor), others)
        data = bytearray(most + 1)
        length = os.readv(descriptor, [data])
    if length > most:
        wipe(data)
        raise Misconfigured(f"{path}: found more than {most} bytes, which is no such file")
    del data[length:]
    return data


@contextmanager
def overwritten(path: Path) -> Iterator[None]:
    """Overwrite what a file held after it was replaced inside the `with`. What a disk, a snapshot or a backup copied is out of reach."""
    with _opened(path, os.O_RDWR | os.O_NOFOLLOW) as descriptor:
        yield
        with suppress(OSError):  # it has no name any more: nothing that is needed can be lost, and nothing else can be done
            found = os.fstat(descriptor)
            if found.st_nlink == 0:
                os.pwrite(descriptor, bytes(found.st_size), 0)
                os.fsync(descriptor)


def sweep(path: Path) -> None:
    """Overwrite and remove drafts of this file that writers left which were killed; the caller has `locked` the directory."""
    for draft in path.parent.glob(f".{escape(path.name)}.*"):
        if draft.suffix[1:].isdecimal():
            with overwritten(draft):
                draft.unlink()


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other programs of ours from changing files in a directory meanwhile. Misconfigured when it cannot be opened."""
    with _opened(directory, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the one service that uses a state directory, which is made when it is missing. The kernel lets go when the process ends, however.

    Raises:
        Unavailable: another service uses it, or it cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY)
        descriptor = os.open(directory / LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Unavailable(f"{directory}: the state directory cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unavailable(f"{directory}: in use by another gateway or client: each needs a state directory of its own") from None
    try:
        yield
    finally:
        os.close(descriptor)


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer."""
    buffer[:] = bytes(len(buffer))


@contextmanager
def _opened(path: Path, flags: int, absent: str = "") -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        why = "it is a link, and links are not followed here" if error.errno == errno.ELOOP else error.strerror
        hint = f": {absent}" if absent and error.errno == errno.ENOENT else ""
        raise Misconfigured(f"{path}: cannot be read: {why}{hint}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _judge(path: Path, found: os.stat_result, others: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Misconfigured(f"{path}: found no regular file, allowed a regular file")
    if found.st_uid not in {os.geteuid(), 0}:
        raise Misconfigured(f"{path}: found owner {found.st_uid}, allowed {os.geteuid()}, who runs this: run as its owner, or chown it")
    if found.st_mode & others:
        raise Misconfigured(f"{path}: found mode {stat.S_IMODE(found.st_mode):04o}, allowed {PRIVATE:04o}: chmod {PRIVATE:o} it")


def _unwritten(path: Path, what: str, error: OSError) -> Unavailable:
    """Return the error: of the disk, so that a supervisor tries again, or of who named this place."""
    kind = Unavailable if error.errno in DISK else Misconfigured
    return kind(f"{path}: cannot be {what}: {error.strerror}")


def _draft(path: Path, data: bytes | bytearray, mode: int) -> Path:
    """Write the content to a new file beside the name, and wait until the disk has it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)  # of a process that had our number and was killed
        descriptor = os.open(draft, DRAFT_FLAGS, PRIVATE)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritten(path, "written", error) from error
    return draft


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
