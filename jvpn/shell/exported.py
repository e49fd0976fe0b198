"""Exported keys: one static key in a file that may leave the machine, always sealed under a passphrase [K-36].

The sealed text has the format "jvpn exported key 1": kind, public key, private key. Locator keys and KEK are not in it: a copy of an old
KEK would open rows whose keys are destroyed [K-6]. No service takes such a file as its key file; it has to be imported, which is recorded.
"""

from pathlib import Path

from core.crypto.primitives import PrivateKey
from core.crypto.secret import Holder
from core.errors import Invariant
from jvpn.shell import keyfile, keytext, second
from jvpn.shell.checked import Misconfigured
from jvpn.shell.files import create, read_private, wipe
from jvpn.shell.forms import key_bytes, key_text
from jvpn.shell.keytext import DEVICE, EXPORTED, GATEWAY, decoded
from jvpn.shell.randomness import Faulty
from jvpn.shell.vault import FILE_BYTES_MAX, PLAIN, Vault, sealed_fields


class Static(Holder):
    """A static key on its way: whose it is (the format of its key file), public key (32 bytes), text of its seed, to be overwritten."""

    def __init__(self, kind: str, public: bytes, seed: bytearray) -> None:
        self.kind, self.public, self.seed = kind, public, seed


def of_file(path: Path, vault: Vault = PLAIN) -> Static:
    """Return the newest static key of a device's or gateway's key file. Misconfigured as in `keyfile.load_device`, or for another kind."""
    fields, seeds = keytext.read(path, vault)
    for name in seeds.keys() - {"private"}:
        wipe(seeds[name])
    if fields["format"] not in {DEVICE, GATEWAY}:
        wipe(seeds["private"])
        raise Misconfigured(f"{path}: format: found {fields['format']}, allowed {DEVICE} or {GATEWAY}")
    return _checked(path, Static(fields["format"], key_bytes(fields["public"]), seeds["private"]))


def of_export(path: Path, vault: Vault) -> Static:
    """Return the key of an exported file, which both libraries must take for the same pair [K-38].

    Raises:
        Misconfigured: the file is not sealed, not an export, damaged, or sealed under another passphrase.
        Faulty: the libraries do not agree on the pair.
    """
    text = read_private(path, FILE_BYTES_MAX)
    if sealed_fields(text) is None:
        wipe(text)
        raise Misconfigured(f"{path}: not encrypted, so no exported key: make one with `jvpn keys export`")
    fields, seeds = keytext.read(path, vault, EXPORTED)
    return _checked(path, Static(fields["kind"], key_bytes(fields["public"]), seeds["private"]))


def write_export(path: Path, key: Static, vault: Vault) -> None:
    """Make the file of an exported key, whole or not at all; the seed is overwritten. Misconfigured, Unavailable as in `files.create`."""
    fields = {"format": EXPORTED, "kind": key.kind, "public": key_text(key.public)}
    create(path, keytext.rendered(path, fields, {"private": key.seed}, vault, fresh=True))


def write_key_file(path: Path, key: Static, entropy: keyfile.Entropy, wall_ns: int, vault: Vault = PLAIN) -> None:
    """Make a key file of an imported key; a gateway's gets a fresh locator key and KEK. The seed is overwritten; errors: `files.create`."""
    fields = {"format": DEVICE} if key.kind == DEVICE else keyfile.gateway_fields(entropy, wall_ns)
    text = keytext.rendered(path, fields | {"public": key_text(key.public)}, {"private": key.seed}, vault)
    try:
        create(path, text)
    finally:
        wipe(text)


def _checked(path: Path, key: Static) -> Static:
    """Return the key when its private part makes its public part, in both libraries."""
    raw = decoded(key.seed)
    try:
        if PrivateKey(raw).public != key.public:
            wipe(key.seed)
            raise Misconfigured(f"{path}: public: does not belong to the private key: the file is damaged, restore it")
        second.pair(bytes(raw))
    except Invariant as error:
        wipe(key.seed)
        raise Faulty(f"{path}: the key fails its pairwise test: {error}; do not use this installation") from error
    finally:
        wipe(raw)
    return key
