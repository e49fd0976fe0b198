"""The file of a witness's key: its name and its secret, made once and kept for ever (clause A-70)."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from audit.errors import KeyUnusable
from audit.files import create_key
from audit.tlog.note import WITNESS, Verifier, name_of
from core.crypto.primitives import SigningKey

MAGIC: Final = b"jvp witness key 1\n"
SECRET_BYTES: Final = 32
FILE_BYTES_MAX: Final = 2_048


class WitnessKey(NamedTuple):
    """A witness's name and the key that it cosigns with."""

    name: str
    signing: SigningKey

    @property
    def verifier(self) -> Verifier:
        """Return what others verify its cosignatures with."""
        return Verifier(self.name, WITNESS, self.signing.public)


def create(path: Path, name: str, secret: bytes) -> WitnessKey:
    """Make a key file, of 32 random bytes. NoteMalformed for a name that names no key; FileExistsError; OSError."""
    key = WitnessKey(name_of(name), SigningKey(secret))
    if not create_key(path, MAGIC + secret + name.encode()):
        raise FileExistsError(f"{path} is there already")
    return key


def load(path: Path) -> WitnessKey:
    """Read a key file. KeyUnusable when it is missing, none, or open to other users."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            raw = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeyUnusable(f"{path}: mode {mode:04o} lets other users read it; 0600 is needed")
    secret, name = raw[len(MAGIC) : len(MAGIC) + SECRET_BYTES], raw[len(MAGIC) + SECRET_BYTES :]
    try:
        if not raw.startswith(MAGIC) or len(secret) != SECRET_BYTES:
            raise KeyUnusable(f"{path}: not a key of a witness")
        return WitnessKey(name_of(name.decode()), SigningKey(secret))
    except ValueError:
        raise KeyUnusable(f"{path}: not a key of a witness") from None
