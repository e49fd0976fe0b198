"""The keys that sign a log: one for each epoch, each made of the one before, which is then destroyed (clauses A-64, A-65).

The key file is beside the log's directory, as that of the pseudonyms is. Who takes it can sign for this epoch and those after it; what
older epochs have signed stays theirs.
"""

import os
import struct
from pathlib import Path
from typing import Final

from audit.errors import KeyUnusable
from audit.files import replace_key
from core.crypto.primitives import SigningKey, expand
from core.crypto.secret import Holder, Secret

MAGIC: Final = b"jvp audit key 1\n"
FORM: Final = struct.Struct("<16sQ32s")  # magic, epoch, secret
SECRET_BYTES: Final = 32
SIGN, NEXT = b"jvp audit sign", b"jvp audit next"


class LogKey(Holder):
    """The secret of one epoch, and the key that signs in it."""

    __slots__ = ("_secret", "epoch", "signing")

    def __init__(self, epoch: int, secret: Secret) -> None:
        """Take the epoch's number and its secret of 32 bytes."""
        self.epoch, self._secret = epoch, secret
        self.signing = SigningKey(expand(secret, SIGN, SECRET_BYTES).expose())

    @property
    def public(self) -> bytes:
        """The epoch's public key, 32 bytes."""
        return self.signing.public

    def following(self) -> "LogKey":
        """Return the key of the next epoch; nothing leads back. Leaks: nothing but lengths."""
        return LogKey(self.epoch + 1, expand(self._secret, NEXT, SECRET_BYTES))

    def store(self, path: Path) -> None:
        """Put this key into the file in place of another, which is overwritten. OSError: the other still stands."""
        replace_key(path, FORM.pack(MAGIC, self.epoch, self._secret.expose()))


def key_path(log: Path) -> Path:
    """Return where a log's key lives: beside the directory, so that a copied log does not carry it."""
    return log.absolute().parent / "audit.key"


def fresh(secret: bytes) -> bytes:
    """Return the content of a new key file, of 32 random bytes."""
    return FORM.pack(MAGIC, 0, secret)


def load(path: Path) -> LogKey:
    """Read the key. KeyUnusable when it is missing, no key, or open to other users."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            raw = file.read(FORM.size + 1)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeyUnusable(f"{path}: mode {mode:04o} lets other users read it; 0600 is needed")
    if len(raw) != FORM.size or not raw.startswith(MAGIC):
        raise KeyUnusable(f"{path}: not a key of an audit log")
    _, epoch, secret = FORM.unpack(raw)
    return LogKey(epoch, Secret(secret))
