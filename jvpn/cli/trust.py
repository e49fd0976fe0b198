"""Signed documents about keys: `jvpn keys root`, `sign`, `revoke`, `verify`, `status`, `destroy`."""

import json as json_
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from core import limits
from core.crypto.primitives import sha256
from core.errors import PeerFault
from core.keys.states import Input, Kind
from core.reasons import Reason
from jvpn.cli.history import History
from jvpn.cli.keys import DAY_S, Passphrase
from jvpn.cli.output import Exit, Json, answer, pairs, say, table
from jvpn.keys import envelope
from jvpn.keys.documents import Revoked, read_keyset, read_revocations, read_root
from jvpn.keys.envelope import Envelope, Role
from jvpn.keys.life import Validity
from jvpn.keys.trust import Trust
from jvpn.shell import keyfile, keytext
from jvpn.shell.admission import look
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import boottime, wall
from jvpn.shell.config import is_client, load_client, load_gateway
from jvpn.shell.entropy import entropy
from jvpn.shell.files import DIRECTORY, create, replace
from jvpn.shell.forms import key_bytes, key_text, nowhere
from jvpn.shell.trust import ROOT, read
from jvpn.shell.vault import vault_of

READERS: Final[dict[Role, Callable[[bytes], Any]]] = {
    Role.ROOT: read_root, Role.KEYSET: read_keyset, Role.REVOCATIONS: read_revocations,
}  # fmt: skip
SIGNERS: Final = ("root-a", "root-b", "root-c", "keyset", "revocations")
KINDS: Final = {keytext.DEVICE: Kind.DEVICE, keytext.GATEWAY: Kind.GATEWAY, keytext.ROLE: Kind.ROLE}
Audit = Annotated[
    Path | None,
    typer.Option("--audit", metavar="DIR", help="Record what is changed in this audit log, made if missing.", show_default=False),
]
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
    every gateway; the gateway needs the signed files and the digest only.
    """
    history, vault, now = History(audit), vault_of(passphrase_file), wall() // limits.SECOND
    out.mkdir(mode=DIRECTORY, parents=True, exist_ok=True)
    made = {name: keyfile.create_role(out / f"{name}.key", entropy, vault) for name in SIGNERS}
    for public in made.values():
        history.key(Kind.ROLE, public).born(Reason.KEY_GENERATED, boottime())
    roles = {"root": _signers(2, *(made[name] for name in SIGNERS[:3])), "keyset": _signers(1, made["keyset"]),
             "revocations": _signers(1, made["revocations"])}  # fmt: skip
    fields = {"role": "root", "version": 1, "created": now, "expires": now + days * DAY_S, "roles": roles}
    document = Envelope(Role.ROOT, _payload(fields), ())
    for name in SIGNERS[:2]:
        document = envelope.sign(document, keyfile.load_role(out / f"{name}.key", vault))
    create(out / "root.1.signed", envelope.render(document))
    history.document(Role.ROOT, 1)
    history.write()
    told = {"root": str(out / "root.1.signed"), "digest": document.digest.hex(), "keys": [str(out / f"{name}.key") for name in SIGNERS]}
    if json:
        answer(told)
    else:
        say(f'made {told["root"]} and the keys {", ".join(SIGNERS)}\nin a configuration: [trust] root = "{told["digest"]}"')


def sign(
    role: Annotated[Role, typer.Argument(help="What the document is for.", metavar="ROLE", show_default=False)],
    file: Annotated[Path, typer.Argument(help="JSON, or a document that has signatures already.", metavar="FILE", show_default=False)],
    key: Keys,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The signed file; replaced if it is there.", show_default=False)],
    *,
    passphrase_file: Passphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Sign a document, or add a signature to one.

    ROLE is root, keyset or revocations. The content is judged by its form before it is signed, and signed as it is, byte by byte.
    """
    raw = _raw(file)
    try:
        document = envelope.parse(raw) if raw.startswith(envelope.MAGIC) else Envelope(role, raw, ())
        if document.role is not role:
            raise PeerFault(Reason.DOCUMENT_ROLE_WRONG)  # noqa: TRY301 - one place tells all refusals
        version = READERS[role](document.payload).version
    except PeerFault as fault:
        raise _misfit(file, fault.reason) from None
    history = History(audit)
    for each in key:
        document = envelope.sign(document, keyfile.load_role(each, vault_of(passphrase_file)))
    replace(out, envelope.render(document))
    history.document(role, version)
    history.write()
    told = {
        "file": str(out),
        "role": role.value,
        "version": version,
        "signatures": len(document.signatures),
        "digest": document.digest.hex(),
    }
    if json:
        answer(told)
    else:
        say(f"{out}: {role.value} {version}, {len(document.signatures)} signatures")


def revoke(  # noqa: PLR0913 - each of them is an option of the command
    public: Annotated[list[str] | None, typer.Argument(help="Public keys in base64.", metavar="[PUBLIC]...", show_default=False)] = None,
    *,
    directory: Dir,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The key of the revocations.", show_default=False)],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Whose key it is: device or gateway.")] = "device",
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why: lost, retired or compromised.")] = "compromised",
    hours: Annotated[int, typer.Option("--hours", min=1, max=24, help="How long the list is fresh.")] = 24,
    passphrase_file: Passphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Put keys on the list of revocations, or renew it.

    The list in DIR is read, lengthened, signed anew with the next version, and replaced. It must be renewed before it expires: without a
    fresh list no gateway lets anybody in.
    """
    now, history, path = wall() // limits.SECOND, History(audit), directory / "revocations.signed"
    entries, version = _before(path, directory, now)
    for text in dict.fromkeys(public or ()):
        try:
            raw = key_bytes(text)
        except ValueError:
            raise Misconfigured(f"PUBLIC: found {json_.dumps(text)}, allowed a public key in base64, as `jvpn devices` shows it") from None
        entries[sha256(raw).hex()] = {"fingerprint": sha256(raw).hex(), "kind": kind, "since": now, "reason": reason}
        found = Revoked(kind, now, reason)
        history.key(Kind.GATEWAY if kind == "gateway" else Kind.DEVICE, raw).judge(Validity(revoked=found), now, boottime())
    fields = {
        "role": "revocations",
        "version": version + 1,
        "created": now,
        "expires": now + hours * 3_600,
        "revoked": list(entries.values()),
    }
    document = Envelope(Role.REVOCATIONS, _payload(fields), ())
    try:
        read_revocations(document.payload)
    except PeerFault:
        raise Misconfigured("--kind, --reason: allowed device or gateway, and lost, retired or compromised") from None
    raw = envelope.render(envelope.sign(document, keyfile.load_role(key, vault_of(passphrase_file))))
    try:
        _under(_roots(directory), b"", now).offer(Role.REVOCATIONS, raw, now)
    except PeerFault as fault:
        raise Misconfigured(
            f"{key}: {fault.reason.name}: a list that this key signs would be refused under the roots in {directory}"
        ) from None
    replace(path, raw)
    history.document(Role.REVOCATIONS, version + 1)
    history.write()
    told = {"file": str(path), "version": version + 1, "revoked": len(entries), "expires": fields["expires"]}
    if json:
        answer(told)
    else:
        say(f"{path}: version {version + 1}, {len(entries)} keys revoked, fresh for {hours} h; gateways read it within {_interval()} s")


def verify(
    file: Annotated[Path, typer.Argument(help="A signed document.", metavar="FILE", show_default=False)],
    *,
    roots: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="FILE", help="The roots in their order. Default: those beside FILE.", show_default=False),
    ] = None,
    pin: Annotated[
        str, typer.Option("--pin", metavar="HEX", help="The digest of the first root. Default: whatever it is.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Judge a signed document: form, signatures, version and time.

    Exit status 0: it is accepted under these roots now; 1: it is refused, and the reason is shown. Which versions a gateway has seen
    before, this command does not know; without --pin nothing says that the first root is the right one.
    """
    now, raw = wall() // limits.SECOND, _raw(file)
    reason, document = None, None
    try:
        document = envelope.parse(raw)
        paths = roots or (_roots(file.parent) if document.role is not Role.ROOT or _number(file) > 1 else [])
        before = [path for path in paths if document.role is not Role.ROOT or not path.samefile(file)]
        _under(before or ([file] if document.role is Role.ROOT else []), bytes.fromhex(pin), now).offer(document.role, raw, now)
    except PeerFault as fault:
        reason = fault.reason.name
    except ValueError:
        raise Misconfigured(f"--pin: found {json_.dumps(pin)}, allowed 64 hex digits") from None
    told: dict[str, Any] = {"file": str(file), "accepted": reason is None, "reason": reason, "pinned": bool(pin)}
    if document:
        told |= {
            "role": document.role.value,
            "digest": document.digest.hex(),
            "signers": [key_text(each) for each, _ in document.signatures],
        }
    if document and reason is None:  # what nobody vouches for is not shown
        told |= json_.loads(document.payload)
    if json:
        answer(told)
    else:
        table(("what", "found"), pairs(told))
    if reason is not None:
        raise typer.Exit(Exit.FAILED)


def status(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="A gateway's or client's configuration.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Show what a gateway or client would believe now, floors included.

    As a service would that starts now, its gateway's key or its own included: one that runs may go by what it has seen, and its status
    says so. Nothing is changed. Exit status 1: a gateway would let nobody new in, a client would begin nothing.
    """
    service = load_client(config, lookup=nowhere) if is_client(config) else load_gateway(config)
    now = wall() // limits.SECOND
    if service.trust is None:
        raise Misconfigured(f"{config}: trust: missing, needed a table with dir, root")
    trust, found, refusal = look(service, now, boottime())
    told = {
        "documents": found,
        "versions": {role.value: floor.version for role, floor in trust.floors.items()},
        "expires": {role.value: held.expires for role in Role if (held := getattr(trust, role.value))},
        "revoked": len(trust.revocations.revoked) if trust.revocations else 0,
        "nobody_new_because": refusal.name if refusal else None,
    }
    if json:
        answer(told)
    else:
        table(("what", "found"), pairs(told))
    if refusal:
        raise typer.Exit(Exit.FAILED)


def destroy(
    file: Annotated[Path, typer.Argument(help="A key file of any kind.", metavar="FILE", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Needed, as it cannot be undone.")] = False,
    passphrase_file: Passphrase = None,
    audit: Audit = None,
    json: Json = False,
) -> None:
    """Overwrite a key file and remove it.

    Copies in backups, snapshots and blocks that the disk has moved are out of reach. A key that others know is to be revoked, too.
    """
    if not yes:
        raise Misconfigured("--yes: missing, needed because a destroyed key cannot be had back")
    kind, public = keyfile.destroy(file, vault_of(passphrase_file))
    history = History(audit)
    history.key(KINDS[kind], public).hear(Input.DESTROY_ORDERED, boottime())
    history.write()
    if json:
        answer({"file": str(file), "public": key_text(public), "destroyed": True})
    else:
        say(f"{file}: destroyed, public key {key_text(public)}")


def _before(path: Path, directory: Path, wall_s: int) -> tuple[dict[str, dict[str, Any]], int]:
    """Return the entries of the list that is there, by fingerprint, and its version.

    It has to be signed as the roots ask, expired or not: what anybody wrote there would be signed with the new one [K-22].
    """
    if not path.exists():
        return {}, 0
    try:
        root, document = _under(_roots(directory), b"", wall_s).root, envelope.parse(_raw(path))
        if root is None or document.role is not Role.REVOCATIONS:
            raise PeerFault(Reason.DOCUMENT_MISSING if root is None else Reason.DOCUMENT_ROLE_WRONG)  # noqa: TRY301 - one place tells all refusals
        document.verify(root.roles[Role.REVOCATIONS].keys, root.roles[Role.REVOCATIONS].threshold)
        found = read_revocations(document.payload)
    except PeerFault as fault:
        raise Misconfigured(
            f"{path}: {fault.reason.name}: not a list that the newest root in {directory} vouches for; put the last good one there, "
            "or move this one away and name again what is revoked"
        ) from None
    return {each.hex(): {"fingerprint": each.hex(), **revoked._asdict()} for each, revoked in found.revoked.items()}, found.version


def _under(paths: list[Path], pin: bytes, wall_s: int) -> Trust:
    """Return the trust in these roots; without a pin the first one is trusted. PeerFault when one is refused."""
    trust = Trust(pin)
    for path in paths:
        raw = _raw(path)
        trust = trust._replace(pin=trust.pin or envelope.parse(raw).digest).offer(Role.ROOT, raw, wall_s)
    return trust


def _roots(directory: Path) -> list[Path]:
    """Return the roots in a directory, in their order."""
    return sorted((path for path in directory.glob("root.*.signed") if ROOT.fullmatch(path.name)), key=_number)


def _misfit(path: Path, reason: Reason) -> Misconfigured:
    return Misconfigured(f"{path}: {reason.name}: docs/spec/keys.md has the form")


def _signers(threshold: int, *keys: bytes) -> dict[str, Any]:
    return {"threshold": threshold, "keys": [key_text(each) for each in keys]}


def _payload(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


def _number(path: Path) -> int:
    found = ROOT.fullmatch(path.name)
    return int(found[1]) if found else 0


def _interval() -> int:
    return limits.KEY_CHECK_NS // limits.SECOND


def _raw(path: Path) -> bytes:
    raw = read(path)
    if raw is None:
        raise Misconfigured(f"{path}: cannot be read as a regular file")
    return raw
