"""The keys that sign a log: one that names it for ever, and one for each epoch, made of the one before, which is destroyed (A-64, A-65).

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
FORM: Final = struct.Struct("<16sQ32s32s")  # magic, epoch, the epoch's secret, the log's
SECRET_BYTES: Final = 32
SIGN, NEXT, NAME = b"jvp audit sign", b"jvp audit next", b"jvp audit log"


class LogKeys(Holder):
    """The secret of one epoch and of the log, and the keys that sign: `log` for all time, `signing` in this epoch."""

    __slots__ = ("_named", "_secret", "epoch", "log", "signing")

    def __init__(self, epoch: int, secret: Secret, named: Secret) -> None:
        """Take the epoch's number, its secret and that of the log, 32 bytes each."""
        self.epoch, self._secret, self._named = epoch, secret, named
        self.log = SigningKey(named.expose())
        self.signing = SigningKey(expand(secret, SIGN, SECRET_BYTES).expose())

    @property
    def public(self) -> bytes:
        """The epoch's public key, 32 bytes."""
        return self.signing.public

    def following(self) -> "LogKeys":
        """Return the keys of the next epoch; nothing leads back. Leaks: nothing but lengths."""
        return LogKeys(self.epoch + 1, expand(self._secret, NEXT, SECRET_BYTES), self._named)

    def store(self, path: Path) -> None:
        """Put these keys into the file in place of others, which are overwritten. OSError: the others still stand."""
        replace_key(path, FORM.pack(MAGIC, self.epoch, self._secret.expose(), self._named.expose()))


def key_path(log: Path) -> Path:
    """Return where a log's keys live: beside the directory, so that a copied log does not carry them."""
    return log.absolute().parent / "audit.key"


def fresh(secret: bytes) -> bytes:
    """Return the content of a new key file, of 32 random bytes."""
    return FORM.pack(MAGIC, 0, secret, expand(Secret(secret), NAME, SECRET_BYTES).expose())


def load(path: Path) -> LogKeys:
    """Read the keys. KeyUnusable when the file is missing, no such file, or open to other users."""
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
    _, epoch, secret, named = FORM.unpack(raw)
    return LogKeys(epoch, Secret(secret), Secret(named))
