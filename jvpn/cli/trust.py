"""Signed documents about keys, as they are judged: `jvpn keys verify`, `status`."""

import json as json_
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from core import limits
from jvpn.cli.documents import Refused, in_order, note_to_come, number, offered, parsed, to_come, under
from jvpn.cli.output import Exit, Json, answer, complain, date, pairs, table
from jvpn.keys.documents import read_revocations
from jvpn.keys.envelope import Role
from jvpn.shell.admission import look
from jvpn.shell.checked import Misconfigured, check_value
from jvpn.shell.clock import boottime, wall
from jvpn.shell.config import is_client, load_client, load_gateway
from jvpn.shell.forms import key_text, nowhere

Row = Sequence[object]
# What a document is about, as people read it: under which name it stands, columns, and the rows of what stands there.
ABOUT: Final[dict[Role, tuple[str, Sequence[str], Callable[[Any], list[Row]]]]] = {
    Role.ROOT: ("roles", ("role", "signatures needed", "public key"), lambda roles: [
        (role, f"{of['threshold']} of {len(of['keys'])}", key) for role, of in roles.items() for key in of["keys"]]),
    Role.KEYSET: ("gateways", ("node", "public key", "from", "until"), lambda gateways: [
        (each["node"], each["public"], date(each["not_before"]), date(each["not_after"])) for each in gateways]),
    Role.REVOCATIONS: ("revoked", ("fingerprint", "kind", "revoked from", "why"), lambda revoked: [
        (each["fingerprint"], each["kind"], date(each["since"]), each["reason"]) for each in revoked]),
}  # fmt: skip


def verify(
    file: Annotated[Path, typer.Argument(help="A signed document.", metavar="FILE", show_default=False)],
    *,
    roots: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="FILE", help="The roots in their order. Default: those beside FILE.", show_default=False),
    ] = None,
    pin: Annotated[
        str | None,
        typer.Option(
            "--pin", metavar="HEX", help="The digest of the first root, 64 hex digits. Default: whatever it is.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Judge a signed document: form, signatures, version and time.

    Exit status 0: it is accepted under these roots now; 1: it is refused, and the reason is shown, of what has not the form also which
    line or field. Which versions a gateway has seen before, this command does not know; without --pin nothing says that the first root
    is the right one. A root beside FILE that waits for signatures is passed over.
    """
    if pin is not None:
        check_value("--pin", "gateway", "trust.root", pin)
    now, pinned = wall() // limits.SECOND, bytes.fromhex(pin or "")
    document, refused = None, None
    try:
        document = parsed(file)
        paths = roots or (in_order(file.parent) if document.role is not Role.ROOT or number(file) > 1 else [])
        before = [path for path in paths if document.role is not Role.ROOT or not path.samefile(file)]
        offered(under(before, pinned, now), file, now)
    except Refused as error:
        refused = error
    told: dict[str, Any] = {"file": str(file), "accepted": refused is None, "reason": refused.reason.name if refused else None,
                            "refused": str(refused.path) if refused else None, "malformed": refused.malformed if refused else None,
                            "pinned": pin is not None}  # fmt: skip
    if document:
        told |= {
            "role": document.role.value,
            "digest": document.digest.hex(),
            "signers": [key_text(each) for each, _ in document.signatures],
        }
    if document and refused is None:  # what nobody vouches for is not shown
        told |= json_.loads(document.payload)
        if document.role is Role.REVOCATIONS:
            told["to_come"] = to_come(read_revocations(document.payload), now)
    if json:
        answer(told)
    else:
        _show(told)
    if refused:
        raise typer.Exit(Exit.FAILED)


def _show(told: dict[str, Any]) -> None:
    """Show what was found of a document and, where it is accepted, what it says."""
    times = {name: date(told[name]) for name in ("created", "expires") if name in told}
    table(("what", "found"), pairs({name: value for name, value in (told | times).items() if name not in {"roles", "to_come"}}))
    if told["accepted"]:
        name, columns, rows = ABOUT[Role(told["role"])]
        table(columns, rows(told[name]), title=f"\n{name}: {len(told[name])}")
    note_to_come(told.get("to_come") or {})


def status(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="A gateway's or client's configuration.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Show what a gateway or client would believe now, floors included.

    As a service would that starts now, its gateway's key or its own included: one that runs may go by what it has seen, and its status
    says so. It warns of a document that runs out soon, and says what is there and cannot be read. Nothing is changed. Exit status 1: a
    gateway would let nobody new in, a client would begin nothing.
    """
    service = load_client(config, lookup=nowhere) if is_client(config) else load_gateway(config)
    now = wall() // limits.SECOND
    if service.trust is None:
        raise Misconfigured(f"{config}: trust: missing, needed a table with dir, root")
    seen = look(service, now, boottime())
    expires = {role.value: held.expires for role in Role if (held := getattr(seen.trust, role.value))}
    soon = {role.value: at for role, at in seen.trust.expiring(now).items()}
    later = to_come(seen.trust.revocations, now) if seen.trust.revocations else {}
    told = {
        "documents": seen.judged,
        "versions": {role.value: held.version for role in Role if (held := getattr(seen.trust, role.value))},
        "seen_up_to": {role.value: floor.version for role, floor in seen.trust.floors.items()},
        "expires": expires,
        "expires_soon": list(soon),
        "unreadable": seen.unreadable,
        "revoked": len(seen.trust.revocations.revoked) if seen.trust.revocations else 0,
        "to_come": later,
        "nobody_new_because": seen.refusal.name if seen.refusal else None,
    }
    if json:
        answer(told)
    else:
        table(("what", "found"), pairs({**told, "expires": {role: date(at) for role, at in expires.items()}, "to_come": list(later)}))
        for each in seen.unreadable:
            complain(each)
        for role, at in soon.items():
            complain(f"note: {role}: runs out at {date(at)}: sign the next one before that: docs/guides/keys.md")
        note_to_come(later)
    if seen.refusal:
        raise typer.Exit(Exit.FAILED)
