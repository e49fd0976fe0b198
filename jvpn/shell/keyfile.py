"""Key files: JSON, mode 0600, created once, never shown; sealed under a passphrase where there is one (`vault`), plain otherwise.

A device's file holds its X25519 seed. A gateway's holds its own seed, for the time of a rotation the one before it, the locator keys
(newest first, at most two) and the key-encryption key (KEK) of rows with its hour, hours since 1970. Each time a gateway's file is loaded,
and hourly while it serves, the KEK is ratcheted forward to 25 hours ago, and the file replaced: no row that could still live needs an older
key, and an older key cannot be computed from a newer one [K-6]. The file that was replaced is overwritten; copies of the disk's blocks or
backups are out of reach.

Seeds are overwritten after use (`keytext`). Locator keys and KEK become `Secret`, as the core takes them.
"""

import binascii
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from core import limits
from core.crypto.chain import next_kek
from core.crypto.primitives import PrivateKey, SigningKey
from core.crypto.secret import Secret
from core.errors import Invariant
from jvpn.shell import second
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import create, locked, overwritten, replace, sweep, wipe
from jvpn.shell.forms import KEY_BYTES, key_bytes, key_text
from jvpn.shell.keytext import DEVICE, EXPORTED, GATEWAY, LOCATOR_KEYS_MAX, ROLE, Seeds, keys_of, read, rendered
from jvpn.shell.randomness import Faulty
from jvpn.shell.vault import PLAIN, Vault

HOUR_NS: Final = 3_600 * limits.SECOND
KEPT_HOURS: Final = limits.LIFETIME_S_MAX // 3_600 + 1
AHEAD_HOURS_MAX: Final = 31 * 24  # a gateway may be off for a month; a clock that is years ahead destroys nothing [K-43]

Entropy = Callable[[int], bytes]


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
    return _create(path, gateway_fields(entropy, wall_ns), entropy, vault)


def create_role(path: Path, entropy: Entropy, vault: Vault = PLAIN) -> bytes:
    """Make the key file of who signs documents, Ed25519; return its public key, 32 bytes. Misconfigured as in `create_device`."""
    return _create(path, {"format": ROLE}, entropy, vault)


def load_role(path: Path, vault: Vault = PLAIN) -> SigningKey:
    """Return a key that signs documents. Misconfigured as in `load_device`."""
    (key,) = keys_of(path, *read(path, vault, ROLE), SigningKey)
    return key


def destroy(path: Path, vault: Vault = PLAIN, first: Callable[[str, bytes], object] = lambda *_: None) -> bytes:
    """Overwrite a key file of any kind and remove it, after `first` was told whose it is, and its newest public key, which is returned.

    Misconfigured as in `load_device`.
    """
    with locked(path.parent):
        fields, seeds = read(path, vault)
        for seed in seeds.values():
            wipe(seed)
        public = key_bytes(fields["public"])
        first(str(fields.get("kind", fields["format"])), public)
        with overwritten(path):
            path.unlink()
        return public


def load_device(path: Path, vault: Vault = PLAIN) -> PrivateKey:
    """Return a device's key. Misconfigured when the file is not one, not safe, or sealed under another passphrase."""
    (key,) = keys_of(path, *read(path, vault, DEVICE), PrivateKey)
    return key


def load_gateway(path: Path, wall_ns: int, vault: Vault = PLAIN) -> GatewayKeys:
    """Return a gateway's keys, after older KEKs were destroyed (see `ratchet`). Misconfigured as in `load_device`."""
    ratchet(path, wall_ns, vault)
    fields, seeds = read(path, vault, GATEWAY)
    locator_keys = tuple(Secret(key_bytes(text)) for text in fields["locator_keys"])
    return GatewayKeys(keys_of(path, fields, seeds, PrivateKey), locator_keys, Secret(key_bytes(fields["kek"])), fields["kek_hour"])


def public_of(path: Path, kind: str | None = None, vault: Vault = PLAIN) -> bytes:
    """Return the newest public key of a key file, 32 bytes. Misconfigured as in `load_device`, and when it is not of the kind asked for."""
    return publics_of(path, kind, vault)[0]


def publics_of(path: Path, kind: str | None = None, vault: Vault = PLAIN) -> tuple[bytes, ...]:
    """Return the public keys of a key file as `public_of`, the newest first, and with it one that retires."""
    fields, seeds = read(path, vault, kind)
    if fields["format"] == ROLE:
        return tuple(key.public for key in keys_of(path, fields, seeds, SigningKey))
    return tuple(key.public for key in keys_of(path, fields, seeds, PrivateKey))


def ratchet(path: Path, wall_ns: int, vault: Vault = PLAIN) -> bool:
    """Destroy the KEKs that are older than 25 hours; return whether there were any.

    Raises:
        Misconfigured: the file is not a gateway's, not safe, or cannot be replaced; or its KEK is of an hour to come, or of one that is
            longer ago than AHEAD_HOURS_MAX and a lifetime, so a clock is wrong.
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
        if oldest - hour > AHEAD_HOURS_MAX:
            raise Misconfigured(
                f"{path}: kek_hour: found {hour}, {oldest - hour} hours more than a day before this machine's clock, allowed "
                f"{AHEAD_HOURS_MAX}: the clock is wrong, or the gateway was off for long. Set the clock; if it is right, "
                "`jvpn keygen rotate --kek` makes a new KEK"
            )
        kek = Secret(key_bytes(fields["kek"]))
        for _ in range(oldest - hour):
            kek = next_kek(kek)
        fields.update({"kek": key_text(kek.expose()), "kek_hour": oldest})
        return True


def seen_hour(kek_hour: int) -> int:
    """Return the hour since 1970 in which a gateway's file was made or last ratcheted: it has passed, whatever a clock says."""
    return kek_hour + KEPT_HOURS


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
        fields, seeds = read(path, old)
        if fields["format"] == EXPORTED and new is PLAIN:
            for seed in seeds.values():
                wipe(seed)
            raise Misconfigured(f"{path}: an exported key is never laid open [K-36]: import it")
        _replace(path, rendered(path, fields, seeds, new, fresh=True))


def gateway_fields(entropy: Entropy, wall_ns: int) -> dict[str, Any]:
    """Return what a new gateway's file holds beside its static key."""
    return {"format": GATEWAY, "locator_keys": [key_text(entropy(KEY_BYTES))]} | _fresh_kek(entropy, wall_ns)


def _fresh_kek(entropy: Entropy, wall_ns: int) -> dict[str, Any]:
    """Return a KEK with its hour, which is the oldest that is kept: clocks that differ a little, or are set back, do no harm."""
    return {"kek": key_text(entropy(KEY_BYTES)), "kek_hour": wall_ns // HOUR_NS - KEPT_HOURS}


def _create(path: Path, fields: dict[str, Any], entropy: Entropy, vault: Vault) -> bytes:
    public, seed = _born(entropy, SigningKey if fields["format"] == ROLE else PrivateKey)
    text = rendered(path, fields | {"public": key_text(public)}, {"private": seed}, vault)
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
        sweep(path)  # a KEK of now in a forgotten draft would open the rows of days to come [K-6]
        fields, seeds = read(path, vault, GATEWAY)
        before = dict(fields), set(seeds)
        try:
            yield fields, seeds
            if (fields, set(seeds)) != before:
                _replace(path, rendered(path, fields, seeds, vault))
        finally:
            for seed in seeds.values():
                wipe(seed)


def _replace(path: Path, text: bytearray) -> None:
    try:
        with overwritten(path):
            replace(path, text)
    finally:
        wipe(text)
