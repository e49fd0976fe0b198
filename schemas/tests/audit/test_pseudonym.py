"""Pseudonyms and their key."""

import errno
from hashlib import blake2b
from pathlib import Path

import pytest

from audit.errors import KeyUnusable
from audit.pseudonym import Pseudonyms, key_path, load_key, store_key
from core.errors import CallerFault
from tests.audit.made import KEY


def test_what_is_named_is_kept_apart() -> None:
    """A-14: a session and a device whose bytes are equal would look like one thing."""
    names = Pseudonyms(KEY)
    device, address = bytes(range(32)), bytes(range(16))

    def keyed(what: bytes, value: bytes) -> str:
        return blake2b(value, digest_size=8, key=KEY, person=what).hexdigest()

    assert names.session(5) == keyed(b"session", b"\5" + bytes(7))
    assert names.device(device) == keyed(b"device", device)
    assert names.peer(address, 258) == keyed(b"peer", address + b"\2\1")


def test_the_key_is_kept_beside_the_log() -> None:
    """A-14: copying the log would copy the key of its pseudonyms."""
    log = Path("somewhere/log")
    assert key_path(log).parent == log.absolute().parent


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A-14: a second start would make all pseudonyms new, and sessions could not be followed over it."""
    path = tmp_path / "new" / "pseudonym.key"
    assert store_key(path, KEY)
    assert not store_key(path, bytes(32))
    assert load_key(path) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_key_that_is_there_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-14: a gateway that is restarted while its disk is full would not start, because of a file that it has already."""
    path = tmp_path / "pseudonym.key"
    assert store_key(path, KEY)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("audit.pseudonym.os.open", full)
    assert not store_key(path, bytes(32))
    with pytest.raises(OSError, match="No space"):
        store_key(tmp_path / "other", KEY)


@pytest.mark.parametrize("key", [b"", KEY[:-1], KEY + b"\0"])
def test_a_key_of_another_length_is_refused(tmp_path: Path, key: bytes) -> None:
    """A-14: a cut key could be guessed, and with it every pseudonym."""
    path = tmp_path / "pseudonym.key"
    path.write_bytes(key)
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="32 bytes are needed"):
        load_key(path)
    with pytest.raises(CallerFault):
        store_key(tmp_path / "other", key)
    with pytest.raises(CallerFault):
        Pseudonyms(key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A-14: another user of the machine could resolve the pseudonyms."""
    path = tmp_path / "pseudonym.key"
    path.write_bytes(KEY)
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match=f"mode {mode:04o}"):
        load_key(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """A-14: the operator would not be told which file is missing."""
    with pytest.raises(KeyUnusable, match=r"pseudonym\.key: No such file"):
        load_key(tmp_path / "pseudonym.key")
