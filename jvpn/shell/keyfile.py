"""Key files: JSON, mode 0600, created once, never shown. At this stage the secrets in them are plaintext; encryption is the next step.

A device's file holds its X25519 seed. A gateway's holds its own seed, the locator keys (newest first, at most two) and the
key-encryption key (KEK) of rows with its hour, hours since 1970. Each time a gateway's file is loaded, and hourly while it serves, the KEK
is ratcheted forward to 25 hours ago, and the file replaced: no row that could still live needs an older key, and an older key cannot be
computed from a newer one [K-6]. The file that was replaced is overwritten; copies of the disk's blocks or backups are out of reach.

Seeds are decoded from a buffer into a buffer, and both are overwritten. Locator keys and KEK become `Secret`, as the core takes them.
"""

import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from core import limits
from core.crypto.chain import next_kek
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.errors import require
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import create, locked, overwritten, read_private, replace, wipe
from jvpn.shell.forms import KEY_BYTES, key_bytes, key_text

DEVICE: Final = "jvpn device key 1"
GATEWAY: Final = "jvpn gateway key 1"
FILE_BYTES_MAX: Final = 4_096
HOUR_NS: Final = 3_600 * limits.SECOND
KEPT_HOURS: Final = limits.LIFETIME_S_MAX // 3_600 + 1
LOCATOR_KEYS_MAX: Final = 2
ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PRIVATE: Final = re.compile(rb'"private": ?"([A-Za-z0-9+/]{43}=)"')
NOT_SHOWN: Final = "A" * 43 + "="  # stands in the text while it is parsed or made

Entropy = Callable[[int], bytes]


class GatewayKeys(NamedTuple):
    """What a gateway's file holds: static key, locator keys of 32 bytes, newest first, and the KEK of `kek_hour`, 32 bytes."""

    static: PrivateKey
    locator_keys: tuple[Secret, ...]
    kek: Secret
    kek_hour: int

    def __repr__(self) -> str:
        """Show no secret."""
        return f"GatewayKeys({key_text(self.static.public)}, kek_hour={self.kek_hour})"


def create_device(path: Path, entropy: Entropy) -> bytes:
    """Make a device's key file; return its public key, 32 bytes. Misconfigured when the file is there or cannot be written."""
    return _create(path, {"format": DEVICE}, entropy)


def create_gateway(path: Path, entropy: Entropy, wall_ns: int) -> bytes:
    """Make a gateway's key file; return its public key, 32 bytes. Misconfigured when the file is there or cannot be written."""
    return _create(path, {"format": GATEWAY, "locator_keys": [key_text(entropy(KEY_BYTES))]} | _fresh_kek(entropy, wall_ns), entropy)


def load_device(path: Path) -> PrivateKey:
    """Return a device's key. Misconfigured when the file is not one, or not safe."""
    fields, seed = _read(path, DEVICE)
    return _key(path, fields, seed)


def load_gateway(path: Path, wall_ns: int) -> GatewayKeys:
    """Return a gateway's keys, after older KEKs were destroyed (see `ratchet`). Misconfigured when the file is not one, or not safe."""
    ratchet(path, wall_ns)
    fields, seed = _read(path, GATEWAY)
    locator_keys = tuple(Secret(key_bytes(text)) for text in fields["locator_keys"])
    return GatewayKeys(_key(path, fields, seed), locator_keys, Secret(key_bytes(fields["kek"])), fields["kek_hour"])


def public_of(path: Path, kind: str | None = None) -> bytes:
    """Return the public key of a key file, 32 bytes. Misconfigured when the file is not one, not safe, or not of the kind asked for."""
    fields, seed = _read(path, kind)
    return _key(path, fields, seed).public


def ratchet(path: Path, wall_ns: int) -> bool:
    """Destroy the KEKs that are older than 25 hours; return whether there were any.

    Raises:
        Misconfigured: the file is not a gateway's, not safe, or cannot be replaced; or its KEK is of an hour to come, so a clock is wrong.
    """
    with locked(path.parent):
        fields, seed = _read(path, GATEWAY)
        hour, oldest = fields["kek_hour"], wall_ns // HOUR_NS - KEPT_HOURS
        if hour > wall_ns // HOUR_NS:
            wipe(seed)
            raise Misconfigured(
                f"{path}: kek_hour: found {hour}, allowed up to {wall_ns // HOUR_NS}, which is now: this machine's clock is wrong, or was. "
                "Set the clock; if it is right, `jvpn keygen rotate --kek` makes a new KEK"
            )
        if hour >= oldest:
            wipe(seed)
            return False
        kek = Secret(key_bytes(fields["kek"]))
        for _ in range(oldest - hour):
            kek = next_kek(kek)
        _rewrite(path, fields | {"kek": key_text(kek.expose()), "kek_hour": oldest}, seed)
        return True


def rotate_locators(path: Path, entropy: Entropy) -> None:
    """Put a fresh locator key before the newest; the one before that still opens, older ones are dropped. Misconfigured as in `ratchet`."""
    with locked(path.parent):
        fields, seed = _read(path, GATEWAY)
        keys = [key_text(entropy(KEY_BYTES)), *fields["locator_keys"]][:LOCATOR_KEYS_MAX]
        _rewrite(path, fields | {"locator_keys": keys}, seed)


def renew_kek(path: Path, entropy: Entropy, wall_ns: int) -> None:
    """Replace the KEK by a fresh one: no session of the store can be taken up again after a restart. Misconfigured as in `ratchet`."""
    with locked(path.parent):
        fields, seed = _read(path, GATEWAY)
        _rewrite(path, fields | _fresh_kek(entropy, wall_ns), seed)


def _fresh_kek(entropy: Entropy, wall_ns: int) -> dict[str, Any]:
    """Return a KEK with its hour, which is the oldest that is kept: clocks that differ a little, or are set back, do no harm."""
    return {"kek": key_text(entropy(KEY_BYTES)), "kek_hour": wall_ns // HOUR_NS - KEPT_HOURS}


def _create(path: Path, fields: dict[str, Any], entropy: Entropy) -> bytes:
    raw = entropy(KEY_BYTES)
    key, seed = PrivateKey(raw), bytearray(binascii.b2a_base64(raw, newline=False))
    text = _rendered(fields | {"public": key_text(key.public)}, seed)
    try:
        create(path, text)
    finally:
        wipe(text)
    return key.public


def _rewrite(path: Path, fields: dict[str, Any], seed: bytearray) -> None:
    text = _rendered(fields, seed)
    try:
        with overwritten(path):
            replace(path, text)
    finally:
        wipe(text)


def _rendered(fields: dict[str, Any], seed: bytearray) -> bytearray:
    """Return the file's text; overwrite the seed's."""
    text = bytearray(orjson.dumps(fields | {"private": NOT_SHOWN}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    found = PRIVATE.search(text)
    require(found is not None, "the file's text has a place for the seed")
    if found:
        text[found.start(1) : found.end(1)] = seed
    wipe(seed)
    return text


def _read(path: Path, kind: str | None = None) -> tuple[dict[str, Any], bytearray]:
    """Return the fields of a key file without its seed, and the text of that, which the caller overwrites."""
    text = read_private(path, FILE_BYTES_MAX, absent="make one with `jvpn keygen`")
    seed, found = bytearray(), PRIVATE.search(text)
    try:
        if found:
            seed = text[found.start(1) : found.end(1)]
            text[found.start(1) : found.end(1)] = NOT_SHOWN.encode()
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        fields = None
    finally:
        wipe(text)
    if not isinstance(fields, dict) or fields.get("private") != NOT_SHOWN or str(fields.get("format")) not in KINDS:
        wipe(seed)
        raise Misconfigured(f"{path}: not a key file of this program: make one with `jvpn keygen`")
    if kind not in {None, fields["format"]}:
        wipe(seed)
        raise Misconfigured(f"{path}: format: found {fields['format']}, allowed {kind}")
    for name, (allowed, formed) in KINDS[fields["format"]].items():
        if not formed(fields.get(name)):
            wipe(seed)
            raise Misconfigured(f"{path}: {name}: damaged, allowed {allowed}: restore the file")
    return fields, seed


def _key(path: Path, fields: dict[str, Any], seed: bytearray) -> PrivateKey:
    """Return the key of a seed's text, which is overwritten, as is the seed."""
    raw = _decoded(seed)
    wipe(seed)
    key = PrivateKey(raw)
    wipe(raw)
    if key_text(key.public) != fields["public"]:
        raise Misconfigured(f"{path}: public: does not belong to the private key: the file is damaged, restore it")
    return key


def _decoded(text: bytearray) -> bytearray:
    """Return the 32 bytes of 44 characters of base64 in a buffer, where the library would give `bytes`, which cannot be overwritten.

    Leaks: the timing of a search in 64 characters, to who can measure the start of this process.
    """
    raw = bytearray()
    for place in range(0, len(text) - 1, 4):
        group = 0
        for char in text[place : place + 4]:
            group = group << 6 | max(ALPHABET.find(char), 0)
        raw += bytes((group >> 16, group >> 8 & 255, group & 255))
    return raw[:KEY_BYTES]


def _is_key(value: object) -> bool:
    """Tell whether a value is 32 bytes in base64."""
    try:
        return isinstance(value, str) and bool(key_bytes(value))
    except ValueError:
        return False


def _are_keys(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= LOCATOR_KEYS_MAX and all(map(_is_key, value))


ONE_KEY: Final = ("32 bytes in base64", _is_key)
KINDS: Final[dict[str, dict[str, tuple[str, Callable[[object], bool]]]]] = {
    DEVICE: {"public": ONE_KEY},
    GATEWAY: {
        "public": ONE_KEY,
        "kek": ONE_KEY,
        "kek_hour": ("a number of hours", lambda value: type(value) is int and value >= 0),
        "locator_keys": ("one or two times 32 bytes in base64", _are_keys),
    },
}
