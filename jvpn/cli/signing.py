"""Role keys, and what they sign: `jvpn keys root`, `sign`, `revoke`; `destroy`, of any key. All is looked at before anything is made."""

import json as json_
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from core import limits
from core.crypto.primitives import sha256
from core.errors import PeerFault
from core.keys.states import Input, Kind
from core.reasons import Reason
from jvpn.cli.documents import READERS, Audit, Refused, in_order, note_to_come, taken, to_come, under, vouched
from jvpn.cli.history import History
from jvpn.cli.keys import DAY_S, KeyPassphrase, Passphrase
from jvpn.cli.output import Json, answer, complain, date, say
from jvpn.keys import envelope
from jvpn.keys import limits as bounds
from jvpn.keys.documents import DEVICE, GATEWAY, REASONS, Document, Revocations, Revoked, Root
from jvpn.keys.envelope import Envelope, Malformed, Role
from jvpn.keys.life import Validity
from jvpn.keys.trust import Trust
from jvpn.shell import keyfile, keytext
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import boottime, wall
from jvpn.shell.entropy import entropy
from jvpn.shell.files import DIRECTORY, PUBLIC, create, replace
from jvpn.shell.forms import key_bytes, key_text
from jvpn.shell.vault import Vault, vault_of

SIGNERS: Final = ("root-a", "root-b", "root-c", "keyset", "revocations")
KINDS: Final = {keytext.DEVICE: Kind.DEVICE, keytext.GATEWAY: Kind.GATEWAY, keytext.ROLE: Kind.ROLE}
Keys = Annotated[list[Path], typer.Option("--key", metavar="FILE", help="A key file to sign with; may be repeated.", show_default=False)]
Dir = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The directory of the signed documents.", show_default=False)]


def root(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where keys and root go; made if missing.", show_default=False)],
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=3_650, help="How long the root stands.")] = 365,
    passphrase_file: Passphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Make the role keys and the first root.

    Three root keys, and a key for each other document. Two of the three must sign a new root. Keep them apart from each other and from
    every gateway; the gateway needs the signed files and the digest only. When anything fails, nothing is left behind.
    """
    history, vault, now, signed = History(audit), vault_of(passphrase_file), wall() // limits.SECOND, out / "root.1.signed"
    files = {name: out / f"{name}.key" for name in SIGNERS}
    for path in (*files.values(), signed):
        if os.path.lexists(path):
            raise Misconfigured(f"{path}: is there already and is not overwritten: move it away or choose another directory")
    with ExitStack() as undo:
        if not out.exists():
            out.mkdir(mode=DIRECTORY, parents=True)
            undo.callback(out.rmdir)
        made = {}
        for name, path in files.items():
            made[name] = keyfile.create_role(path, entropy, vault)
            undo.callback(keyfile.destroy, path, vault)
            history.key(Kind.ROLE, made[name]).born(Reason.KEY_GENERATED, boottime())
        roles = {"root": _signers(2, *(made[name] for name in SIGNERS[:3])), "keyset": _signers(1, made["keyset"]),
                 "revocations": _signers(1, made["revocations"])}  # fmt: skip
        fields = {"role": "root", "version": 1, "created": now, "expires": now + days * DAY_S, "roles": roles}
        document = Envelope(Role.ROOT, _payload(fields), ())
        for name in SIGNERS[:2]:
            document = envelope.sign(document, keyfile.load_role(files[name], vault))
        create(signed, envelope.render(document), PUBLIC)
        undo.callback(signed.unlink)
        history.document(Role.ROOT, 1)
        history.write()
        undo.pop_all()
    told = {"root": str(signed), "digest": document.digest.hex(), "keys": [str(path) for path in files.values()]}
    if json:
        answer(told)
    else:
        say(f'made {told["root"]} and the keys {", ".join(SIGNERS)}\nin a configuration: [trust] root = "{told["digest"]}"')


def sign(  # noqa: PLR0913 - each of them is an option of the command
    role: Annotated[Role, typer.Argument(help="What the document is for.", metavar="ROLE", show_default=False)],
    file: Annotated[Path, typer.Argument(help="JSON, or a document that has signatures already.", metavar="FILE", show_default=False)],
    key: Keys,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The signed file; replaced if it is there.", show_default=False)],
    *,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="The directory of the signed documents. Default: that of --out.", show_default=False),
    ] = None,
    passphrase_file: KeyPassphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Sign a document, or add a signature to one.

    ROLE is root, keyset or revocations. The content is judged before it is signed: by its form, its times, its version, which must be
    higher than that of the document in DIR, and by the roots in DIR, which say whose key may sign. It is signed as it is, byte by byte.
    """
    now, raw, where = wall() // limits.SECOND, taken(file), directory or out.parent
    try:
        document = envelope.parse(raw) if raw.startswith(envelope.MAGIC) else Envelope(role, raw, ())
        if document.role is not role:
            raise PeerFault(Reason.DOCUMENT_ROLE_WRONG)  # noqa: TRY301 - one place tells all refusals
        said = READERS[role](document.payload)
    except PeerFault as fault:
        what = f"{fault.what}: " if isinstance(fault, Malformed) else ""
        raise Misconfigured(f"{file}: {fault.reason.name}: {what}docs/spec/keys.md has the form") from None
    _of_now(file, said, now)
    trust = _trusted(where, now, first=isinstance(said, Root) and said.version == 1)
    _raised(file, document, said, trust, where)
    history, allowed = _writing(out, audit), _allowed(role, said, trust)
    document = _signed(document, key, allowed, vault_of(passphrase_file), where)
    _fits(trust._replace(pin=trust.pin or document.digest), document, now, f"{file}: signed like this it", where)
    history.document(role, said.version)
    history.write()
    replace(out, envelope.render(document), PUBLIC)
    if json:
        answer({"file": str(out), "role": role.value, "version": said.version, "signatures": len(document.signatures),
                "digest": document.digest.hex()})  # fmt: skip
        return
    say(f"{out}: {role.value} {said.version}, {len(document.signatures)} signatures")
    if isinstance(said, Revocations):
        note_to_come(to_come(said, now))


def revoke(  # noqa: PLR0913 - each of them is an option of the command
    public: Annotated[list[str] | None, typer.Argument(help="Public keys in base64.", metavar="[PUBLIC]...", show_default=False)] = None,
    *,
    directory: Dir,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The key of the revocations.", show_default=False)],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Whose key it is: device or gateway.")] = "device",
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why: lost, retired or compromised.")] = "compromised",
    hours: Annotated[int, typer.Option("--hours", min=1, max=24, help="How long the list is fresh.")] = 24,
    passphrase_file: KeyPassphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Put keys on the list of revocations, or renew it.

    The list in DIR is read, lengthened, signed anew with the next version, and replaced. It must be renewed before it expires: without a
    fresh list no gateway lets anybody in. A key is revoked from this machine's time on: set its clock first.
    """
    now, path = wall() // limits.SECOND, directory / "revocations.signed"
    named = _named(public or (), kind, reason, now)
    trust = _trusted(directory, now)
    before = _before(path, directory, trust)
    history, version = _writing(path, audit), before.version + 1 if before else 1
    listed = {**(before.revoked if before else {}), **{sha256(raw): found for raw, found in named.items()}}
    for raw, found in named.items():
        history.key(Kind.GATEWAY if kind == GATEWAY else Kind.DEVICE, raw).judge(Validity(revoked=found), now, boottime())
    said = Revocations(version, now, now + hours * 3_600, listed)
    entries = [{"fingerprint": each.hex(), **found._asdict()} for each, found in listed.items()]
    fields = {"role": "revocations", "version": version, "created": now, "expires": said.expires, "revoked": entries}
    document = Envelope(Role.REVOCATIONS, _payload(fields), ())
    document = _signed(document, [key], _allowed(Role.REVOCATIONS, said, trust), vault_of(passphrase_file), directory)
    _fits(trust, document, now, f"{key}: a list that this key signs", directory, whole=True)
    history.document(Role.REVOCATIONS, version)
    history.write()
    replace(path, envelope.render(document), PUBLIC)
    if json:
        answer({"file": str(path), "version": version, "revoked": len(entries), "expires": said.expires,
                "to_come": to_come(said, now)})  # fmt: skip
        return
    say(f"{path}: version {version}, {len(entries)} keys revoked, fresh for {hours} h; gateways read it within {_interval()} s")
    if named:
        say(f"revoked from {date(now)} on, by this machine's clock")
    note_to_come(to_come(said, now))
    if before and before.created > now + bounds.CLOCK_TOLERANCE_S:
        complain(f"note: the list until now says that it was made at {date(before.created)}, which is to come: one of the clocks is wrong")


def destroy(
    file: Annotated[Path, typer.Argument(help="A key file of any kind.", metavar="FILE", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Needed, as it cannot be undone.")] = False,
    passphrase_file: KeyPassphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Overwrite a key file and remove it.

    Copies in backups, snapshots and blocks that the disk has moved are out of reach. A key that others know is to be revoked, too.
    """
    if not yes:
        raise Misconfigured("--yes: missing, needed because a destroyed key cannot be had back")
    history = History(audit)

    def record(kind: str, public: bytes) -> None:
        history.key(KINDS[kind], public).hear(Input.DESTROY_ORDERED, boottime())
        history.write()

    public = keyfile.destroy(file, vault_of(passphrase_file), record)
    if json:
        answer({"file": str(file), "public": key_text(public), "destroyed": True})
    else:
        say(f"{file}: destroyed, public key {key_text(public)}")


def _named(public: Iterable[str], kind: str, reason: str, now: int) -> dict[bytes, Revoked]:
    """Return how the keys are revoked that were named on the command line."""
    if kind not in {DEVICE, GATEWAY} or reason not in REASONS:
        raise Misconfigured("--kind, --reason: allowed device or gateway, and lost, retired or compromised")
    found = {}
    for text in public:
        try:
            found[key_bytes(text)] = Revoked(kind, now, reason)
        except ValueError:
            raise Misconfigured(f"PUBLIC: found {json_.dumps(text)}, allowed a public key in base64, as `jvpn devices` shows it") from None
    return found


def _trusted(directory: Path, now: int, *, first: bool = False) -> Trust:
    """Return the trust in the roots of a directory; none have to be there when the `first` one is to be signed."""
    try:
        trust = under(in_order(directory), b"", now)
    except Refused as refused:
        raise Misconfigured(f"{refused}: put the good root there, or take this one away") from None
    if trust.root is None and not first:
        raise Misconfigured(
            f"{directory}: no root is there: put root.1.signed and those that follow it there, or name their directory: --dir"
        )
    return trust


def _of_now(file: Path, said: Document, now: int) -> None:
    """Require times under which the document can be accepted now [K-26]."""
    if said.created > now + bounds.CLOCK_TOLERANCE_S:
        raise Misconfigured(f"{file}: created: found {date(said.created)}, which is to come: set this machine's clock, or the number")
    if said.expires <= now:
        raise Misconfigured(f"{file}: expires: found {date(said.expires)}, which is over: set a later time")


def _raised(file: Path, document: Envelope, said: Document, trust: Trust, where: Path) -> None:
    """Require a version above that of the document in the directory, of a root the next one; a signature more is no new version."""
    role, has, digest = document.role, trust.root.version if trust.root else 0, b""
    if role is Role.ROOT:
        digest = trust.floors[role].digest if has else b""
    else:
        has, digest = _vouched_version(trust, role, where / f"{role.value}.signed")
    if (said.version, document.digest) == (has, digest) or said.version == has + 1 or (said.version > has and role is not Role.ROOT):
        return
    allowed = f"{has + 1}{'' if role is Role.ROOT else ' or more'}"
    raise Misconfigured(f"{file}: version: found {said.version}, allowed {allowed}: {where} has version {has} of the {role.value}")


def _vouched_version(trust: Trust, role: Role, path: Path) -> tuple[int, bytes]:
    """Return version and digest of the document that is there; 0 where nothing is that the newest root vouches for."""
    try:
        document, said = vouched(trust, role, path)
    except (Refused, Misconfigured):
        return 0, b""
    return said.version, document.digest


def _writing(out: Path, audit: Path | None) -> History:
    """Return what records this; Misconfigured when the file cannot be written, so that nothing is recorded which cannot be done."""
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK):
        raise Misconfigured(f"{out}: cannot be written: {out.parent} is no directory that this user can write")
    return History(audit)


def _allowed(role: Role, said: Document, trust: Trust) -> frozenset[bytes]:
    """Return whose keys count under such a document [K-22]; under a root those of the one before and its own [K-27]."""
    mine = trust.root.roles[role].keys if trust.root else frozenset()
    return mine | said.roles[role].keys if isinstance(said, Root) else mine


def _signed(document: Envelope, files: Iterable[Path], allowed: frozenset[bytes], vault: Vault, where: Path) -> Envelope:
    """Return the document with the signatures of these keys. Misconfigured for a key whose signature would count for nothing."""
    for each in files:
        key = keyfile.load_role(each, vault)
        if key.public not in allowed:
            raise Misconfigured(
                f"{each}: its key {key_text(key.public)} does not sign for the role {document.role.value}: "
                f"sign with a key that the newest root in {where} names for it, as `jvpn keys verify` shows"
            )
        document = envelope.sign(document, key)
    return document


def _fits(trust: Trust, document: Envelope, now: int, what: str, where: Path, *, whole: bool = False) -> None:
    """Require that the document would be accepted; unless it has to be `whole` signatures may be missing."""
    try:
        trust.offer(document.role, envelope.render(document), now)
    except PeerFault as fault:
        if whole or fault.reason is not Reason.DOCUMENT_UNSIGNED:
            raise Misconfigured(f"{what} would be refused under the roots in {where}: {fault.reason.name}") from None


def _before(path: Path, directory: Path, trust: Trust) -> Revocations | None:
    """Return the list that is there, or None.

    It has to be signed as the roots ask, expired or not: what anybody wrote there would be signed with the new one [K-22].
    """
    try:
        return vouched(trust, Role.REVOCATIONS, path)[1] if path.exists() else None
    except Refused as refused:
        raise Misconfigured(
            f"{refused}: not a list that the newest root in {directory} vouches for; put the last good one there, "
            "or move this one away and name again what is revoked"
        ) from None


def _signers(threshold: int, *keys: bytes) -> dict[str, Any]:
    return {"threshold": threshold, "keys": [key_text(each) for each in keys]}


def _payload(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


def _interval() -> int:
    return limits.KEY_CHECK_NS // limits.SECOND
