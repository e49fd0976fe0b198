"""Pseudonyms: who is linkable for whom (clause A-14).

A pseudonym is a keyed BLAKE2b of 8 bytes, separated by what it stands for. Whoever holds the key can test a guess; whoever destroys
it makes every pseudonym of the log anonymous, and the chain stays valid.
"""

import os
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from audit.errors import KeyUnusable
from audit.files import KEY_MODE, create_key
from core.errors import CallerFault

KEY_BYTES: Final = 32
PSEUDONYM_BYTES: Final = 8
CACHED: Final = 4_096  # as many sessions and peers are looked up instead of computed


class Pseudonyms:
    """Names of sessions (48-bit handles), devices (32-byte keys) and peers (16-byte address, port) under one key.

    Leaks: a repeated name is found in a cache, so timing shows that it was seen lately; the log shows that anyhow.
    """

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key. CallerFault for another length."""
        if len(key) != KEY_BYTES:
            raise CallerFault(f"a pseudonym key has {KEY_BYTES} bytes, this has {len(key)}")

        @lru_cache(maxsize=CACHED)
        def of(what: bytes, value: bytes) -> str:
            return blake2b(value, digest_size=PSEUDONYM_BYTES, key=key, person=what).hexdigest()

        self._of = of

    def session(self, handle: int) -> str:
        """Return the pseudonym of a session handle."""
        return self._of(b"session", handle.to_bytes(8, "little"))

    def device(self, public_key: bytes) -> str:
        """Return the pseudonym of a device key."""
        return self._of(b"device", public_key)

    def peer(self, address: bytes, port: int) -> str:
        """Return the pseudonym of an endpoint."""
        return self._of(b"peer", address + port.to_bytes(2, "little"))


def key_path(log: Path) -> Path:
    """Return where the key of a log's pseudonyms lives: beside the directory, so that a copied log does not carry it."""
    return log.absolute().parent / "pseudonym.key"


def store_key(path: Path, key: bytes) -> bool:
    """Create the key file with these 32 fresh random bytes; leave an existing one alone. Return whether it was created."""
    if len(key) != KEY_BYTES:
        raise CallerFault(f"a pseudonym key has {KEY_BYTES} bytes, this has {len(key)}")
    return create_key(path, key)


def load_key(path: Path) -> bytes:
    """Read the key. KeyUnusable when it is missing, not 32 bytes, or open to other users."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeyUnusable(f"{path}: mode {mode:04o} lets other users read it; {KEY_MODE:04o} is needed")
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"{path}: {KEY_BYTES} bytes are needed")
    return key
