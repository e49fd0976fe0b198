"""The key file of the pseudonyms: who may read it, how it changes, and what a kill leaves of it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import names as module
from audit.errors import KeyUnusable
from audit.names import FILE, Keeper, before_path, change, destroy_before, key_path, load_before, load_ring, packed, store_key, unpacked
from audit.pseudonym import Owed, Ring, begin_of, names_of, read
from core.reasons import Reason
from tests.audit.made import KEY

NOW = read("2026-12")
DEVICE = bytes(range(32))


class Killed(BaseException):
    """The process ends here."""


def turned(months: int) -> Ring:
    """A ring that has seen so many months' ends."""
    ring = Ring.fresh(KEY, NOW)
    for month in range(NOW + 1, NOW + 1 + months):
        ring = ring.turned(month, 120)
    return ring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The key file of a log, with three ended months."""
    found = key_path(tmp_path / "log")
    store_key(found, KEY, NOW)
    change(found, lambda _: turned(3))
    return found


def secrets_in(folder: Path) -> bytes:
    """All that is in the files beside a log."""
    return b"".join(each.read_bytes() for each in folder.iterdir() if each.is_file())


def key_of(ring: Ring, month: int) -> bytes:
    """The bytes of a kept key."""
    return ring.secrets()[1][month].expose()


def test_the_key_is_kept_beside_the_log() -> None:
    """A-14: copying the log would copy the keys of its pseudonyms."""
    log = Path("somewhere/log")
    assert key_path(log).parent == before_path(log).parent == log.absolute().parent


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A-14: a second start would make all pseudonyms new, and sessions could not be followed over it."""
    path = tmp_path / "new" / FILE
    assert store_key(path, KEY, NOW)
    assert not store_key(path, bytes(32), NOW)
    assert load_ring(path).names(NOW).device(DEVICE) == names_of(KEY, NOW).at(begin_of(NOW)).device(DEVICE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_key_that_is_there_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-14: a gateway that is restarted while its disk is full would not start, because of a file that it has already."""
    path = tmp_path / FILE
    assert store_key(path, KEY)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("audit.files.os.open", full)
    assert not store_key(path, bytes(32))
    with pytest.raises(OSError, match="No space"):
        store_key(tmp_path / "other", KEY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    """A-14: another user of the machine could resolve the pseudonyms."""
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match=f"mode {mode:04o}"):
        load_ring(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """A-14: the operator would not be told which file is missing."""
    with pytest.raises(KeyUnusable, match=r"names\.key: No such file"):
        load_ring(tmp_path / FILE)


def test_what_is_no_key_file_is_refused(path: Path) -> None:
    """A-14: cut or foreign bytes would be taken for keys, and all names be others from then on."""
    whole = path.read_bytes()
    for data in (b"", whole[:-1], whole + b"\0", b"x" + whole[1:], KEY, whole.replace((NOW).to_bytes(4, "little"), b"\xff" * 4)):
        path.write_bytes(data)
        with pytest.raises(KeyUnusable, match="not the key of an audit log's pseudonyms"):
            load_ring(path)


def test_a_ring_is_read_as_it_was_written() -> None:
    """A-18: a restart would lose months, or what the log is still owed."""
    ring = turned(3).without(NOW + 1).noting(Reason.NAMES_RESOLVED, Owed(NOW, NOW + 2, 5))
    back = unpacked(packed(ring))
    assert back is not None
    assert packed(back) == packed(ring)
    assert (back.month, back.born, back.seen, back.kept, back.owed) == (ring.month, ring.born, ring.seen, ring.kept, ring.owed)


def test_what_is_destroyed_is_in_no_file(path: Path) -> None:
    """A-19: the old file would stay under another name, and resolve what nobody should."""
    gone, stays = key_of(load_ring(path), NOW), key_of(load_ring(path), NOW + 2)
    held = path.open("rb")  # as a thief's, or a backup's that has begun: it sees the very bytes that were
    change(path, lambda ring: ring.without(NOW + 1))
    assert gone not in secrets_in(path.parent)
    assert stays in secrets_in(path.parent)
    with held:
        assert not any(held.read())
    assert [each.name for each in path.parent.iterdir()] == [FILE]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", range(10))
def test_a_kill_leaves_the_one_or_the_other(path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """A-19: a kill -9 in the middle would lose the keys of this month, or leave a copy of a destroyed one that nobody cleans up."""
    before = load_ring(path)
    gone = key_of(before, NOW)
    left = [call]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def step(*words: object, **more: object) -> object:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*words, **more)

        return step

    with monkeypatch.context() as patched:
        for name in ("link", "fdatasync", "fsync"):
            patched.setattr(os, name, dying(getattr(os, name)))
        for name in ("unlink", "replace"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        patched.setattr(module, "wipe", dying(module.wipe))  # a finally that a kill would not run
        with pytest.raises(Killed):
            change(path, lambda ring: ring.without(NOW + 1))
    found = load_ring(path)
    assert packed(found) in {packed(before), packed(before.without(NOW + 1))}
    change(path, lambda ring: ring.without(NOW + 1))  # whoever comes next
    assert load_ring(path).kept == (NOW + 1, NOW + 2)
    assert gone not in secrets_in(path.parent)
    assert [each.name for each in path.parent.iterdir()] == [FILE]


def test_a_full_disk_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-18: a turn on a full disk would leave a file that nobody can read."""
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("audit.files.os.fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        change(path, lambda ring: ring.without(NOW + 1))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [FILE]


def test_a_keeper_turns_with_the_clock_and_follows_the_file(path: Path) -> None:
    """A-18, A-19: a gateway that runs for a year would keep every key, and go on using what a command has destroyed."""
    keeper = Keeper(path.parent / "log", 2)
    other = Keeper(path.parent / "log", 2)
    keeper.look(begin_of(NOW + 3))
    assert keeper.names.ring.kept == (NOW + 1, NOW + 2)
    keeper.look(begin_of(NOW + 4))
    assert load_ring(path).kept == keeper.names.ring.kept == (NOW + 2, NOW + 3)
    other.look(begin_of(NOW + 4))
    assert other.names.ring.kept == keeper.names.ring.kept
    before = keeper.names.at(begin_of(NOW + 4)).device(DEVICE)
    change(path, lambda ring: ring.anew(bytes(32), NOW + 4))
    keeper.look(begin_of(NOW + 4))
    assert keeper.names.at(begin_of(NOW + 4)).device(DEVICE) != before
    owed = dict(keeper.names.ring.owed)
    assert set(owed) == {Reason.NAMES_OVER, Reason.NAMES_DESTROYED}
    keeper.settle(owed)
    assert load_ring(path).owed == {}


def test_the_key_of_before_goes_with_the_time(tmp_path: Path) -> None:
    """A-18: what was named before there were months could be resolved for ever."""
    log = tmp_path / "log"
    store_key(key_path(log), bytes(32), NOW)
    before_path(log).write_bytes(KEY)
    before_path(log).chmod(0o600)
    assert load_before(before_path(log)) == KEY
    keeper = Keeper(log, 1)
    keeper.look(begin_of(NOW + 1))
    assert before_path(log).exists()
    keeper.look(begin_of(NOW + 2))
    assert not before_path(log).exists()
    assert load_before(before_path(log)) is None
    assert load_ring(key_path(log)).owed[Reason.NAMES_OVER] == Owed(0, NOW, 2)
    assert not destroy_before(before_path(log))
    before_path(log).write_bytes(KEY[1:])
    before_path(log).chmod(0o600)
    with pytest.raises(KeyUnusable, match="32 bytes"):
        load_before(before_path(log))
