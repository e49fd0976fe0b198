"""Keys that leave a machine, and come: `jvpn keys export`, `import`. Each is recorded before there is a file [K-37]."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.crypto.primitives import same
from core.keys.states import Input, Kind
from core.reasons import Reason
from jvpn.cli.checks import pass_or_exit
from jvpn.cli.history import History
from jvpn.cli.keys import KeyPassphrase, Passphrase
from jvpn.cli.output import Json, answer, say
from jvpn.shell import exported
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import boottime, wall
from jvpn.shell.entropy import entropy
from jvpn.shell.exported import Static
from jvpn.shell.files import wipe
from jvpn.shell.forms import key_text
from jvpn.shell.keytext import DEVICE
from jvpn.shell.vault import Vault, judged_passphrase, vault_of

Record = Annotated[
    Path, typer.Option("--audit", metavar="DIR", help="Record it in this audit log first, made if missing.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to make; it must not be there yet.", show_default=False)]
ExportPassphrase = Annotated[
    Path | None,
    typer.Option(
        "--export-passphrase-file", metavar="FILE", help="Its first line protects the exported key. Default: asked for.", show_default=False
    ),
]


def export(
    file: Annotated[Path, typer.Argument(help="The key file of a device or gateway.", metavar="FILE", show_default=False)],
    *,
    out: Out,
    audit: Record,
    passphrase_file: KeyPassphrase = None,
    export_passphrase_file: ExportPassphrase = None,
    json: Json = False,
) -> None:
    """Copy a static key into an encrypted file of its own.

    For a backup, or a move to another machine. The newest static key alone is exported: of a gateway no locator key, no key of the
    store's rows, and no key that retires. The copy is always encrypted: Argon2id of a passphrase of 12 bytes or more, which is the first
    line of a file or is asked for twice at the terminal, and is never an argument. FILE stays as it is.

    The event KEY_EXPORTED is on disk before the copy is: a copy without a record is not made, whatever ends the command. A record
    without a copy is possible: the disk was full, or the command was killed. No service takes an exported key as its key file; see
    `jvpn keys import`.

    Exit status 0: the copy is there, whole, mode 0600; 1: the disk is full or broken; 2: an option, FILE, a passphrase or OUT is
    wrong, also when OUT is there already; 3: self-test failed. Then no copy is made.
    """
    pass_or_exit()
    key = exported.of_file(file, vault_of(passphrase_file))
    vault = _vault(export_passphrase_file, twice=True)
    history = _history(key, out, audit)
    history.key(_kind(key), key.public).hear(Input.EXPORTED, boottime())
    history.write()
    exported.write_export(out, key, vault)
    _told(key, out, "exported", f"exported key, encrypted; public key {key_text(key.public)}", json=json)


def import_(
    file: Annotated[Path, typer.Argument(help="An exported key.", metavar="FILE", show_default=False)],
    *,
    out: Out,
    audit: Record,
    export_passphrase_file: ExportPassphrase = None,
    passphrase_file: Passphrase = None,
    json: Json = False,
) -> None:
    """Make a key file of an exported key.

    Before anything is made the primitives are tested with known answers, and both libraries must take private and public key for the
    same pair. A gateway's key file gets a fresh locator key and a fresh key for the store's rows: its clients make new sessions. The
    event KEY_IMPORTED is on disk before the key file is. FILE stays: remove it with `jvpn keys destroy` when it is not needed.

    Exit status 0: the key file is there, whole, mode 0600; 1: the disk is full or broken; 2: an option, FILE, a passphrase or OUT is
    wrong, also when OUT is there already; 3: self-test failed, or the pair is not one. Then no key file is made.
    """
    pass_or_exit()
    key = exported.of_export(file, _vault(export_passphrase_file))
    vault = vault_of(passphrase_file)
    history = _history(key, out, audit)
    history.key(_kind(key), key.public).born(Reason.KEY_IMPORTED, boottime())
    history.write()
    exported.write_key_file(out, key, entropy, wall(), vault)
    _told(key, out, "imported", f"{_whose(key)} key, public key {key_text(key.public)}", json=json)


def _history(key: Static, out: Path, audit: Path) -> History:
    """Return what records this; Misconfigured when the file cannot be made, so that nothing is recorded which cannot be."""
    why = "is there already and is not overwritten: move it away or choose another name" if os.path.lexists(out) else ""
    if why or not out.parent.is_dir():
        wipe(key.seed)
        raise Misconfigured(f"{out}: {why or 'cannot be written: there is no such directory'}")
    return History(audit)


def _vault(file: Path | None, *, twice: bool = False) -> Vault:
    """Return the vault of an exported key, whose passphrase is in a file or asked for; Misconfigured without either."""
    if file is not None:
        return vault_of(file)
    if not sys.stdin.isatty():
        raise Misconfigured("--export-passphrase-file: missing, and there is no terminal to ask for a passphrase")
    line = getpass.getpass("Passphrase of the exported key: ").encode()
    passphrase = judged_passphrase(line, "the terminal")
    if twice and not same(getpass.getpass("Once more: ").encode(), line):
        raise Misconfigured("the terminal: the two passphrases differ")
    return Vault(passphrase, entropy)


def _kind(key: Static) -> Kind:
    return Kind.DEVICE if key.kind == DEVICE else Kind.GATEWAY


def _whose(key: Static) -> str:
    return _kind(key).name.lower()


def _told(key: Static, out: Path, done: str, sentence: str, *, json: bool) -> None:
    if json:
        answer({"file": str(out), "kind": _whose(key), "public": key_text(key.public), done: True})
    else:
        say(f"{out}: {sentence}")
