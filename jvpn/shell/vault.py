"""Encrypted key files: the text of a key file, sealed under a passphrase [K-9].

    {"format": "jvpn sealed key 1", "kind": ..., "public": ..., "kdf": {"name": "argon2id", "memory_kib": 65536, "passes": 3, "lanes": 4,
     "salt": ...}, "nonce": ..., "sealed": ...}

The key is Argon2id (RFC 9106) of the passphrase; the text is sealed by ChaCha20-Poly1305 with all other fields, in canonical form, as
associated data. The costs have a floor and a ceiling, which are judged before anything is derived: a hostile file must not ask for 100 GB,
nor be so cheap that its passphrase can be searched. Each time a file is written it has a fresh nonce; salt and costs stay, so the process
that rewrites its file every hour derives the key once.
"""

import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from audit.canonical import canonical
from core.crypto.primitives import TagMismatch, argon2id, new_cipher
from core.crypto.secret import Holder, Secret
from jvpn.shell.checked import Misconfigured
from jvpn.shell.entropy import entropy
from jvpn.shell.files import read_private, wipe

FORMAT: Final = "jvpn sealed key 1"
FILE_BYTES_MAX: Final = 16_384
SALT_BYTES, NONCE_BYTES = 16, 12
PASSPHRASE_BYTES: Final = range(12, 1_025)
MEMORY_KIB: Final = range(19_456, 1_048_577)  # the floor is OWASP's least for two passes
PASSES: Final = range(2, 17)
LANES: Final = range(1, 17)


class Costs(NamedTuple):
    """What deriving the key costs: KiB of memory, passes over it, lanes."""

    memory_kib: int
    passes: int
    lanes: int


USUAL: Final = Costs(65_536, 3, 4)  # RFC 9106, 4: the second recommended choice, for less memory


class Vault(Holder):
    """How one process reads and writes its key files: with one passphrase, or none. Derived keys are kept, the passphrase too."""

    def __init__(self, passphrase: Secret | None, entropy: Callable[[int], bytes], costs: Costs | None = None) -> None:
        """Open sealed files with `passphrase`; without one only plain files can be read, and what is made is plain."""
        self._passphrase, self._entropy, self._costs = passphrase, entropy, costs or USUAL
        self._keys: dict[tuple[bytes, Costs], Secret] = {}

    def opened(self, path: Path, text: bytearray) -> bytearray:
        """Return the plain text of a key file's text, which is overwritten when it was another; a plain file's text is itself.

        Raises:
            Misconfigured: the file is sealed and there is no passphrase, or another; it is damaged; or its costs are out of bounds.
        """
        fields = sealed_fields(text)
        if fields is None:
            return text
        salt, costs, nonce, sealed = _judged(path, fields)
        key = self._key(path, salt, costs)
        try:
            plain = bytearray(new_cipher(key).decrypt(nonce, sealed, canonical(fields)))
        except TagMismatch:
            raise Misconfigured(f"{path}: the passphrase is another one, or the file is damaged") from None
        wipe(text)
        return plain

    def closed(self, path: Path, text: bytearray, kind: str, public: str, *, fresh: bool = False) -> bytearray:
        """Return what to write for a plain text, which is overwritten when the vault seals.

        Salt and costs are those of the file that is there, unless `fresh`, else new and the vault's.
        """
        if self._passphrase is None:
            return text
        salt, costs = (None if fresh else self._present(path)) or (self._entropy(SALT_BYTES), self._costs)
        nonce = self._entropy(NONCE_BYTES)
        kdf = {"name": "argon2id", **costs._asdict(), "salt": _text(salt)}
        fields: dict[str, Any] = {"format": FORMAT, "kind": kind, "public": public, "kdf": kdf, "nonce": _text(nonce)}
        sealed = new_cipher(self._key(path, salt, costs)).encrypt(nonce, bytes(text), canonical(fields))
        wipe(text)
        return bytearray(orjson.dumps(fields | {"sealed": _text(sealed)}, option=orjson.OPT_INDENT_2) + b"\n")

    def _present(self, path: Path) -> tuple[bytes, Costs] | None:
        if not path.exists():
            return None
        fields = sealed_fields(read_private(path, FILE_BYTES_MAX))
        return _judged(path, fields)[:2] if fields else None

    def _key(self, path: Path, salt: bytes, costs: Costs) -> Secret:
        if self._passphrase is None:
            raise Misconfigured(f"{path}: is encrypted: name a file with its passphrase (key_passphrase, or --passphrase-file)")
        if (salt, costs) not in self._keys:
            self._keys[salt, costs] = argon2id(self._passphrase, salt, *costs)
        return self._keys[salt, costs]


def _none(_n: int) -> bytes:
    raise Misconfigured("a vault without a passphrase seals nothing")


PLAIN: Final = Vault(None, _none)
"""For files that are not sealed."""


def sealed_fields(text: bytes | bytearray) -> dict[str, Any] | None:
    """Return the fields of a sealed key file, or None for a text that is none. Nothing in them is judged yet."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) and fields.get("format") == FORMAT else None


def vault_of(passphrase_file: Path | None) -> Vault:
    """Return the vault of a passphrase file, or PLAIN. Misconfigured as in `read_passphrase`."""
    return PLAIN if passphrase_file is None else Vault(read_passphrase(passphrase_file), entropy)


def read_passphrase(path: Path) -> Secret:
    """Return the passphrase in a file that only its owner may read: its first line, 12 to 1,024 bytes. Misconfigured for another one."""
    text = read_private(path, PASSPHRASE_BYTES.stop + 2)
    line = bytes(text).split(b"\n")[0].rstrip(b"\r")
    wipe(text)
    return judged_passphrase(line, str(path))


def judged_passphrase(line: bytes, source: str) -> Secret:
    """Return a passphrase; Misconfigured for one that is too short or too long, which names its source and not itself."""
    if len(line) not in PASSPHRASE_BYTES:
        allowed = f"{PASSPHRASE_BYTES.start} to {PASSPHRASE_BYTES.stop - 1}"
        raise Misconfigured(f"{source}: a passphrase of {len(line)} bytes, allowed {allowed}")
    return Secret(line)


def _judged(path: Path, fields: dict[str, Any]) -> tuple[bytes, Costs, bytes, bytes]:
    """Return (salt, costs, nonce, sealed bytes), which is taken out of the fields; Misconfigured by name for what is not allowed."""
    kdf = fields.get("kdf")
    if not isinstance(kdf, dict) or set(fields) != {"format", "kind", "public", "kdf", "nonce", "sealed"}:
        raise Misconfigured(f"{path}: damaged: found the fields {', '.join(sorted(map(str, fields)))}: restore the file")
    if set(kdf) != {"name", "memory_kib", "passes", "lanes", "salt"} or kdf["name"] != "argon2id":
        raise Misconfigured(f"{path}: kdf: found {kdf.get('name')}, allowed argon2id with memory_kib, passes, lanes and salt")
    for name, allowed in (("memory_kib", MEMORY_KIB), ("passes", PASSES), ("lanes", LANES)):
        if type(kdf[name]) is not int or kdf[name] not in allowed:
            raise Misconfigured(f"{path}: kdf.{name}: found {kdf[name]}, allowed {allowed.start} to {allowed.stop - 1}")
    if not all(isinstance(fields[name], str) for name in ("kind", "public", "nonce", "sealed")):
        raise Misconfigured(f"{path}: kind, public, nonce or sealed: damaged, allowed texts: restore the file")
    salt, nonce = _raw(path, "kdf.salt", kdf["salt"], SALT_BYTES), _raw(path, "nonce", fields["nonce"], NONCE_BYTES)
    return salt, Costs(kdf["memory_kib"], kdf["passes"], kdf["lanes"]), nonce, _raw(path, "sealed", fields.pop("sealed"))


def _raw(path: Path, name: str, text: object, size: int | None = None) -> bytes:
    try:
        raw = binascii.a2b_base64(str(text), strict_mode=True)
    except ValueError:
        raw = b""
    if not raw or _text(raw) != text or size not in {None, len(raw)}:
        raise Misconfigured(f"{path}: {name}: damaged, allowed base64{f' of {size} bytes' if size else ''}: restore the file")
    return raw


def _text(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()
