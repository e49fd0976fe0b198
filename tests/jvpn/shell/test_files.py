"""Files that must be whole and nobody else's: every way in which one is not."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable
from jvpn.shell.files import OTHERS_WRITE, PUBLIC, create, locked, overwritten, read_private, replace, wipe
from tests.support import need


def names(folder: Path) -> list[str]:
    """Return what is in a directory."""
    return [each.name for each in folder.iterdir()]


def test_a_created_file_is_whole_and_private(tmp_path: Path) -> None:
    """A key could be read by others, or its drafts would stay behind."""
    path = tmp_path / "key"
    old = os.umask(0)
    try:
        create(path, b"secret")
    finally:
        os.umask(old)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["key"]


def test_what_is_public_others_can_read(tmp_path: Path) -> None:
    """A signed document is hidden from the gateway's own user by the umask of who signs."""
    path = tmp_path / "list"
    old = os.umask(0o077)
    try:
        create(path, b"public", PUBLIC)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        path.chmod(0o600)
        replace(path, b"public", PUBLIC)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    replace(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """`keygen` would destroy the key that all devices know."""
    path = tmp_path / "key"
    path.write_bytes(b"old")
    with pytest.raises(Misconfigured, match="is there already and is not overwritten"):
        create(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["key"]


def test_a_link_is_not_followed_when_creating(tmp_path: Path) -> None:
    """Whoever may write the directory would choose which file of root's is written."""
    (tmp_path / "key").symlink_to(tmp_path / "target")
    with pytest.raises(Misconfigured, match="is there already"):
        create(tmp_path / "key", b"new")
    assert not (tmp_path / "target").exists()


def test_a_planted_draft_is_not_written_into(tmp_path: Path) -> None:
    """Whoever guesses the draft's name, which holds a process number, would receive the key through a link."""
    stolen = tmp_path / "stolen"
    (tmp_path / f".key.{os.getpid()}").symlink_to(stolen)
    create(tmp_path / "key", b"secret")
    assert not stolen.exists()
    assert not (tmp_path / "key").is_symlink()


def test_a_draft_that_is_planted_again_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is quick enough would own the file that the key is written into."""
    (tmp_path / f".key.{os.getpid()}").write_bytes(b"planted")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(Misconfigured, match="cannot be written: File exists"):
        create(tmp_path / "key", b"secret")
    assert not (tmp_path / "key").exists()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the wrong moment would cost the allow list, or a gateway's key."""
    path = tmp_path / "list"
    create(path, b"old")

    def full(_descriptor: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(Unavailable, match="cannot be written: No space left on device"):
            replace(path, b"new")
        with pytest.raises(Unavailable, match="No space left on device"):
            create(tmp_path / "other", b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["list"]


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that took only a part would leave half a key under the whole name."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    create(tmp_path / "key", b"0123456789")
    assert (tmp_path / "key").read_bytes() == b"0123456789"


def test_everything_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there would be an empty file under the name, and the old one gone."""
    steps: list[str] = []
    fsync, rename, link = os.fsync, Path.rename, Path.hardlink_to

    def watch(descriptor: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)

    def named(real: Callable[[Path, Path], object]) -> Callable[[Path, Path], None]:
        def name(draft: Path, path: Path) -> None:
            steps.append("named")
            real(draft, path)

        return name

    monkeypatch.setattr(Path, "rename", named(rename))
    monkeypatch.setattr(Path, "hardlink_to", named(link))
    create(tmp_path / "key", b"1")
    replace(tmp_path / "key", b"2")
    assert steps == ["file", "named", "directory"] * 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_what_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    """A key that others could have read would be trusted as if it were secret."""
    path = tmp_path / "key"
    create(path, b"secret")
    path.chmod(mode)
    with pytest.raises(Misconfigured, match=f"found mode {mode:04o}, allowed 0600: chmod 600 it"):
        read_private(path, 10)


def test_what_others_can_only_read_may_be_public(tmp_path: Path) -> None:
    """An allow list, which holds no secret, could not be shown to others; or one that others may write would be trusted."""
    path = tmp_path / "list"
    create(path, b"public")
    path.chmod(0o644)
    assert read_private(path, 10, OTHERS_WRITE) == b"public"
    for mode in (0o664, 0o646):
        path.chmod(mode)
        with pytest.raises(Misconfigured, match="found mode"):
            read_private(path, 10, OTHERS_WRITE)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A link, a pipe or a device would be read as a key; a pipe would also stop the start for ever."""
    create(tmp_path / "real", b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(Misconfigured, match="it is a link, and links are not followed here"):
        read_private(tmp_path / "link", 10)
    for name in ("pipe", "."):
        with pytest.raises(Misconfigured, match="found no regular file"):
            read_private(tmp_path / name, 10)
    with pytest.raises(Misconfigured, match="No such file"):
        read_private(tmp_path / "absent", 10)


def test_a_file_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    """Another user who may write the directory would give this gateway a key that they know."""
    need("root")
    create(tmp_path / "key", b"theirs")
    os.chown(tmp_path / "key", 12_345, -1)
    with pytest.raises(Misconfigured, match=f"found owner 12345, allowed {os.geteuid()}"):
        read_private(tmp_path / "key", 10)


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    """A wrong file would fill the memory."""
    create(tmp_path / "key", b"0123456789")
    assert read_private(tmp_path / "key", 10) == b"0123456789"
    with pytest.raises(Misconfigured, match="more than 9 bytes"):
        read_private(tmp_path / "key", 9)


def test_what_was_replaced_is_overwritten(tmp_path: Path) -> None:
    """An old key-encryption key would still stand in the blocks of the file that was replaced."""
    path = tmp_path / "key"
    create(path, b"old secret")
    with path.open("rb") as held:
        with overwritten(path):
            replace(path, b"new")
        held.seek(0)
        assert held.read() == bytes(len(b"old secret"))
    assert path.read_bytes() == b"new"


def test_what_is_still_needed_is_not_overwritten(tmp_path: Path) -> None:
    """A replacement that failed, or a second name of the file, would cost the only copy of a key."""
    path = tmp_path / "key"
    create(path, b"only copy")
    with pytest.raises(Misconfigured), overwritten(path):
        raise Misconfigured("full")
    assert path.read_bytes() == b"only copy"
    os.link(path, tmp_path / "backup")
    with overwritten(path):
        replace(path, b"new")
    assert (tmp_path / "backup").read_bytes() == b"only copy"


def test_changes_wait_for_each_other(tmp_path: Path) -> None:
    """Two enrolments at one time would lose one device."""
    entered, leave, order = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        with locked(tmp_path):
            entered.set()
            leave.wait(30)
            order.append("first")

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    one = threading.Thread(target=first)
    one.start()
    entered.wait(30)
    two = threading.Thread(target=second)
    two.start()
    two.join(0.2)
    assert order == []
    leave.set()
    one.join(30)
    two.join(30)
    assert order == ["first", "second"]


def test_a_wiped_buffer_holds_nothing() -> None:
    """A seed would stay in memory after its key was made."""
    buffer = bytearray(b"secret")
    wipe(buffer)
    assert buffer == bytes(6)
