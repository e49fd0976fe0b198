"""Key files: JSON, mode 0600, created once, never shown; sealed under a passphrase where there is one (`vault`), plain otherwise.

A device's file holds its X25519 seed. A gateway's holds its own seed, for the time of a rotation the one before it, the locator keys
(newest first, at most two) and the key-encryption key (KEK) of rows with its hour, hours since 1970. Each time a gateway's file is loaded,
and hourly while it serves, the KEK is ratcheted forward to 25 hours ago, and the file replaced: no row that could still live needs an older
key, and an older key cannot be computed from a newer one [K-6]. The file that was replaced is overwritten; copies of the disk's blocks or
backups are out of reach.

Seeds are decoded from a buffer into a buffer, and both are overwritten. Locator keys and KEK become `Secret`, as the core takes them.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from core import limits
from core.crypto.chain import next_kek
from core.crypto.primitives import PrivateKey, SigningKey
from core.crypto.secret import Secret
from core.errors import Invariant
from jvpn.shell import second
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import create, locked, overwritten, read_private, replace, wipe
from jvpn.shell.forms import KEY_BYTES, key_bytes, key_text
from jvpn.shell.randomness import Faulty
from jvpn.shell.vault import FILE_BYTES_MAX, PLAIN, Vault

DEVICE: Final = "jvpn device key 1"
GATEWAY: Final = "jvpn gateway key 1"
ROLE: Final = "jvpn role key 1"
HOUR_NS: Final = 3_600 * limits.SECOND
KEPT_HOURS: Final = limits.LIFETIME_S_MAX // 3_600 + 1
LOCATOR_KEYS_MAX: Final = 2
ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SEED: Final = re.compile(rb'"(private|retiring)": ?"([A-Za-z0-9+/]{43}=)"')
NOT_SHOWN: Final = "A" * 43 + "="  # stands in the text while it is parsed or made

Entropy = Callable[[int], bytes]
Seeds = dict[str, bytearray]
K = TypeVar("K", PrivateKey, SigningKey)


class GatewayKeys(NamedTuple):
    """What a gateway's file holds: static keys [K-10] and locator keys, at most two of each and the newest first; the KEK of `kek_hour`."""

    statics: tuple[PrivateKey, ...]
    locator_keys: tuple[Secret, ...]
    kek: Secret
    kek_hour: int

    def __repr__(self) -> str:
        """Show no secret."""
        return f"GatewayKeys({', '.join(key_text(each.public) for each in self.statics)}, kek_hour={self.kek_hour})"


def create_device(path: Path, entropy: Entropy, vault: Vault = PLAIN) -> bytes:
    """Make a device's key file; return its public key, 32 bytes. Misconfigured when the file is there or cannot be written."""
    return _create(path, {"format": DEVICE}, entropy, vault)


def create_gateway(path: Path, entropy: Entropy, wall_ns: int, vault: Vault = PLAIN) -> bytes:
    """Make a gateway's key file; return its public key, 32 bytes. Misconfigured when the file is there or cannot be written."""
    fields = {"format": GATEWAY, "locator_keys": [key_text(entropy(KEY_BYTES))]} | _fresh_kek(entropy, wall_ns)
    return _create(path, fields, entropy, vault)


def create_role(path: Path, entropy: Entropy, vault: Vault = PLAIN) -> bytes:
    """Make the key file of who signs documents, Ed25519; return its public key, 32 bytes. Misconfigured as in `create_device`."""
    return _create(path, {"format": ROLE}, entropy, vault)


def load_role(path: Path, vault: Vault = PLAIN) -> SigningKey:
    """Return a key that signs documents. Misconfigured as in `load_device`."""
    (key,) = _keys(path, *_read(path, vault, ROLE), SigningKey)
    return key


def destroy(path: Path, vault: Vault = PLAIN) -> tuple[str, bytes]:
    """Overwrite a key file of any kind and remove it; return its kind and its newest public key. Misconfigured as in `load_device`."""
    with locked(path.parent):
        fields, seeds = _read(path, vault)
        for seed in seeds.values():
            wipe(seed)
        with overwritten(path):
            path.unlink()
        return str(fields["format"]), key_bytes(fields["public"])


def load_device(path: Path, vault: Vault = PLAIN) -> PrivateKey:
    """Return a device's key. Misconfigured when the file is not one, not safe, or sealed under another passphrase."""
    (key,) = _keys(path, *_read(path, vault, DEVICE), PrivateKey)
    return key


def load_gateway(path: Path, wall_ns: int, vault: Vault = PLAIN) -> GatewayKeys:
    """Return a gateway's keys, after older KEKs were destroyed (see `ratchet`). Misconfigured as in `load_device`."""
    ratchet(path, wall_ns, vault)
    fields, seeds = _read(path, vault, GATEWAY)
    locator_keys = tuple(Secret(key_bytes(text)) for text in fields["locator_keys"])
    return GatewayKeys(_keys(path, fields, seeds, PrivateKey), locator_keys, Secret(key_bytes(fields["kek"])), fields["kek_hour"])


def public_of(path: Path, kind: str | None = None, vault: Vault = PLAIN) -> bytes:
    """Return the newest public key of a key file, 32 bytes. Misconfigured as in `load_device`, and when it is not of the kind asked for."""
    fields, seeds = _read(path, vault, kind)
    if fields["format"] == ROLE:
        return _keys(path, fields, seeds, SigningKey)[0].public
    return _keys(path, fields, seeds, PrivateKey)[0].public


def ratchet(path: Path, wall_ns: int, vault: Vault = PLAIN) -> bool:
    """Destroy the KEKs that are older than 25 hours; return whether there were any.

    Raises:
        Misconfigured: the file is not a gateway's, not safe, or cannot be replaced; or its KEK is of an hour to come, so a clock is wrong.
    """
    with _changed(path, vault) as (fields, _):
        hour, oldest = fields["kek_hour"], wall_ns // HOUR_NS - KEPT_HOURS
        if hour > wall_ns // HOUR_NS:
            raise Misconfigured(
                f"{path}: kek_hour: found {hour}, allowed up to {wall_ns // HOUR_NS}, which is now: this machine's clock is wrong, or was. "
                "Set the clock; if it is right, `jvpn keygen rotate --kek` makes a new KEK"
            )
        if hour >= oldest:
            return False
        kek = Secret(key_bytes(fields["kek"]))
        for _ in range(oldest - hour):
            kek = next_kek(kek)
        fields.update({"kek": key_text(kek.expose()), "kek_hour": oldest})
        return True


def rotate_locators(path: Path, entropy: Entropy, vault: Vault = PLAIN) -> None:
    """Put a fresh locator key before the newest; the one before that still opens, older ones are dropped. Misconfigured as in `ratchet`."""
    with _changed(path, vault) as (fields, _):
        fields["locator_keys"] = [key_text(entropy(KEY_BYTES)), *fields["locator_keys"]][:LOCATOR_KEYS_MAX]


def renew_kek(path: Path, entropy: Entropy, wall_ns: int, vault: Vault = PLAIN) -> None:
    """Replace the KEK by a fresh one: no session of the store can be taken up again after a restart. Misconfigured as in `ratchet`."""
    with _changed(path, vault) as (fields, _):
        fields.update(_fresh_kek(entropy, wall_ns))


def rotate_static(path: Path, entropy: Entropy, vault: Vault = PLAIN) -> bytes:
    """Put a fresh static key before the newest, which retires: it is served and not offered any more. Return the new public key, 32 bytes.

    Raises:
        Misconfigured: as in `ratchet`; or a key is retiring already, and has to be dropped first.
    """
    with _changed(path, vault) as (fields, seeds):
        if "retiring" in seeds:
            raise Misconfigured(
                f"{path}: retiring: there is a key that retires already: drop it first, when no session is left that knows it"
            )
        public, seed = _born(entropy)
        seeds["retiring"], seeds["private"] = seeds["private"], seed
        fields["retiring_public"], fields["public"] = fields["public"], key_text(public)
        return public


def drop_retiring(path: Path, vault: Vault = PLAIN) -> bytes:
    """Destroy the key that retires; return its public key, 32 bytes. Misconfigured as in `ratchet`, and when none does."""
    with _changed(path, vault) as (fields, seeds):
        if "retiring" not in seeds:
            raise Misconfigured(f"{path}: retiring: no key retires")
        wipe(seeds.pop("retiring"))
        return key_bytes(fields.pop("retiring_public"))


def reseal(path: Path, old: Vault, new: Vault) -> None:
    """Write a key file, of any kind, under another passphrase or none; the file that was is overwritten. Misconfigured as in `ratchet`."""
    with locked(path.parent):
        fields, seeds = _read(path, old)
        _replace(path, _rendered(path, fields, seeds, new, fresh=True))


def _fresh_kek(entropy: Entropy, wall_ns: int) -> dict[str, Any]:
    """Return a KEK with its hour, which is the oldest that is kept: clocks that differ a little, or are set back, do no harm."""
    return {"kek": key_text(entropy(KEY_BYTES)), "kek_hour": wall_ns // HOUR_NS - KEPT_HOURS}


def _create(path: Path, fields: dict[str, Any], entropy: Entropy, vault: Vault) -> bytes:
    public, seed = _born(entropy, SigningKey if fields["format"] == ROLE else PrivateKey)
    text = _rendered(path, fields | {"public": key_text(public)}, {"private": seed}, vault)
    try:
        create(path, text)
    finally:
        wipe(text)
    return public


def _born(entropy: Entropy, kind: type[PrivateKey] | type[SigningKey] = PrivateKey) -> tuple[bytes, bytearray]:
    """Make a key and test the pair [K-12]; return its public key, 32 bytes, and the text of its seed."""
    raw = entropy(KEY_BYTES)
    try:
        (second.signing_pair if kind is SigningKey else second.pair)(raw)
    except Invariant as error:
        raise Faulty(f"a fresh key fails its pairwise test: {error}; do not use this installation") from error
    return kind(raw).public, bytearray(binascii.b2a_base64(raw, newline=False))


@contextmanager
def _changed(path: Path, vault: Vault) -> Iterator[tuple[dict[str, Any], Seeds]]:
    """Give fields and seeds of a gateway's file to change; write them, if they were changed, and overwrite the file that was."""
    with locked(path.parent):
        fields, seeds = _read(path, vault, GATEWAY)
        before = dict(fields), set(seeds)
        try:
            yield fields, seeds
            if (fields, set(seeds)) != before:
                _replace(path, _rendered(path, fields, seeds, vault))
        finally:
            for seed in seeds.values():
                wipe(seed)


def _replace(path: Path, text: bytearray) -> None:
    try:
        with overwritten(path):
            replace(path, text)
    finally:
        wipe(text)


def _rendered(path: Path, fields: dict[str, Any], seeds: Seeds, vault: Vault, *, fresh: bool = False) -> bytearray:
    """Return the file's text, as the vault closes it; overwrite the seeds."""
    places = dict.fromkeys(seeds, NOT_SHOWN)
    text = bytearray(orjson.dumps(fields | places, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    for found in SEED.finditer(bytes(text)):
        text[found.start(2) : found.end(2)] = seeds[found[1].decode()]
    for seed in seeds.values():
        wipe(seed)
    return vault.closed(path, text, fields["format"], fields["public"], fresh=fresh)


def _read(path: Path, vault: Vault, kind: str | None = None) -> tuple[dict[str, Any], Seeds]:
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


def _judge(path: Path, fields: Any, kind: str | None, seeds: set[str]) -> None:  # noqa: ANN401 - a JSON document
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


def _keys(path: Path, fields: dict[str, Any], seeds: Seeds, kind: type[K]) -> tuple[K, ...]:
    """Return the keys of a file's seeds, the newest first; the seeds are overwritten."""
    keys = []
    for name, public in (("private", "public"), ("retiring", "retiring_public")):
        if name in seeds:
            raw = _decoded(seeds[name])
            wipe(seeds[name])
            key = kind(raw)
            wipe(raw)
            if key_text(key.public) != fields[public]:
                raise Misconfigured(f"{path}: {public}: does not belong to the private key: the file is damaged, restore it")
            keys.append(key)
    return tuple(keys)


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
    ROLE: {"public": ONE_KEY},
    GATEWAY: {
        "public": ONE_KEY,
        "kek": ONE_KEY,
        "kek_hour": ("a number of hours", lambda value: type(value) is int and value >= 0),
        "locator_keys": ("one or two times 32 bytes in base64", _are_keys),
    },
}
