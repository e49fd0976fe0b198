"""The text of key files: JSON whose seeds are taken out before anything parses it, and put in after everything else is rendered.

Seeds are decoded from a buffer into a buffer, and both are overwritten: neither the parser nor `bytes` ever holds one.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from core.crypto.primitives import PrivateKey, SigningKey
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import read_private, wipe
from jvpn.shell.forms import KEY_BYTES, key_bytes, key_text
from jvpn.shell.vault import FILE_BYTES_MAX, Vault

DEVICE: Final = "jvpn device key 1"
GATEWAY: Final = "jvpn gateway key 1"
ROLE: Final = "jvpn role key 1"
EXPORTED: Final = "jvpn exported key 1"
LOCATOR_KEYS_MAX: Final = 2
ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SEED: Final = re.compile(rb'"(private|retiring)": ?"([A-Za-z0-9+/]{43}=)"')
NOT_SHOWN: Final = "A" * 43 + "="  # stands in the text while it is parsed or made

Seeds = dict[str, bytearray]
K = TypeVar("K", PrivateKey, SigningKey)


def rendered(path: Path, fields: dict[str, Any], seeds: Seeds, vault: Vault, *, fresh: bool = False) -> bytearray:
    """Return the file's text, as the vault closes it; overwrite the seeds."""
    places = dict.fromkeys(seeds, NOT_SHOWN)
    text = bytearray(orjson.dumps(fields | places, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    for found in SEED.finditer(bytes(text)):
        text[found.start(2) : found.end(2)] = seeds[found[1].decode()]
    for seed in seeds.values():
        wipe(seed)
    return vault.closed(path, text, fields["format"], fields["public"], fresh=fresh)


def read(path: Path, vault: Vault, kind: str | None = None) -> tuple[dict[str, Any], Seeds]:
    """Return the fields of a key file without its seeds, and the texts of those, which the caller overwrites."""
    text, seeds = vault.opened(path, read_private(path, FILE_BYTES_MAX, absent="make one with `jvpn keygen`")), Seeds()
    try:
        for found in list(SEED.finditer(text)):
            seeds[found[1].decode()] = text[found.start(2) : found.end(2)]
            text[found.start(2) : found.end(2)] = NOT_SHOWN.encode()
        fields = orjson.loads(text)
        _judge(path, fields, kind, set(seeds))
    except orjson.JSONDecodeError:
        raise Misconfigured(f"{path}: not a key file of this program: make one with `jvpn keygen`") from None
    except Misconfigured:
        for seed in seeds.values():
            wipe(seed)
        raise
    finally:
        wipe(text)
    return {name: value for name, value in fields.items() if name not in seeds}, seeds


def _judge(path: Path, fields: object, kind: str | None, seeds: set[str]) -> None:
    """Raise Misconfigured, naming the field, unless these are the fields of a key file, of this kind if one is given."""
    if not isinstance(fields, dict) or "private" not in seeds or str(fields.get("format")) not in KINDS:
        raise Misconfigured(f"{path}: not a key file of this program: make one with `jvpn keygen`")
    if kind not in {None, fields["format"]}:
        raise Misconfigured(f"{path}: format: found {fields['format']}, allowed {kind}")
    needed = KINDS[fields["format"]] | ({"retiring_public": ONE_KEY} if "retiring" in fields or "retiring_public" in fields else {})
    for name, (allowed, formed) in needed.items():
        if not formed(fields.get(name)) or ("retiring" in fields) != ("retiring" in seeds):
            raise Misconfigured(f"{path}: {name}: damaged, allowed {allowed}: restore the file")
    if ("retiring_public" in fields) != ("retiring" in seeds):
        raise Misconfigured(f"{path}: retiring: damaged, allowed 32 bytes in base64 beside retiring_public: restore the file")


def keys_of(path: Path, fields: dict[str, Any], seeds: Seeds, kind: type[K]) -> tuple[K, ...]:
    """Return the keys of a file's seeds, the newest first; the seeds are overwritten."""
    keys = []
    for name, public in (("private", "public"), ("retiring", "retiring_public")):
        if name in seeds:
            raw = decoded(seeds[name])
            wipe(seeds[name])
            key = kind(raw)
            wipe(raw)
            if key_text(key.public) != fields[public]:
                raise Misconfigured(f"{path}: {public}: does not belong to the private key: the file is damaged, restore it")
            keys.append(key)
    return tuple(keys)


def decoded(text: bytearray) -> bytearray:
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
    ROLE: {"public": ONE_KEY},
    EXPORTED: {"public": ONE_KEY, "kind": (f"{DEVICE} or {GATEWAY}", lambda value: value in {DEVICE, GATEWAY})},
    GATEWAY: {
        "public": ONE_KEY,
        "kek": ONE_KEY,
        "kek_hour": ("a number of hours", lambda value: type(value) is int and value >= 0),
        "locator_keys": ("one or two times 32 bytes in base64", _are_keys),
    },
}
