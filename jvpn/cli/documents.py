"""The directory of signed documents as commands read it: roots in their order, and what the newest of them vouches for."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from core.errors import PeerFault
from core.reasons import Reason
from jvpn.cli.output import complain, date
from jvpn.keys import envelope
from jvpn.keys.documents import Document, Revocations, read_keyset, read_revocations, read_root
from jvpn.keys.envelope import Envelope, Malformed, Role
from jvpn.keys.trust import Trust
from jvpn.shell.checked import Misconfigured
from jvpn.shell.trust import ROOT, read

READERS: Final[dict[Role, Callable[[bytes], Document]]] = {
    Role.ROOT: read_root, Role.KEYSET: read_keyset, Role.REVOCATIONS: read_revocations,
}  # fmt: skip
Audit = Annotated[
    Path | None,
    typer.Option("--audit", metavar="DIR", help="Record what is changed in this audit log, made if missing.", show_default=False),
]


class Refused(Exception):
    """A document in a file is refused: `reason`, and of one that has not the form `malformed` says what; else that is None."""

    def __init__(self, path: Path, fault: PeerFault) -> None:
        self.path, self.reason = path, fault.reason
        self.malformed = fault.what if isinstance(fault, Malformed) else None
        super().__init__(f"{path}: {fault.reason.name}{f': {self.malformed}' if self.malformed else ''}")


def taken(path: Path) -> bytes:
    """Return what a file holds. Misconfigured when there is no regular file, Unavailable when it cannot be read."""
    raw = read(path)
    if raw is None:
        raise Misconfigured(f"{path}: cannot be read as a regular file")
    return raw


def parsed(path: Path) -> Envelope:
    """Return the envelope in a file. Refused: it is none."""
    try:
        return envelope.parse(taken(path))
    except PeerFault as fault:
        raise Refused(path, fault) from None


def offered(trust: Trust, path: Path, wall_s: int) -> Trust:
    """Return the trust with the document in a file; the first root of all is trusted where there is no pin. Refused: it is refused."""
    document = parsed(path)
    try:
        return trust._replace(pin=trust.pin or document.digest).offer(document.role, envelope.render(document), wall_s)
    except PeerFault as fault:
        raise Refused(path, fault) from None


def under(paths: Iterable[Path], pin: bytes, wall_s: int) -> Trust:
    """Return the trust in these roots. One that waits for signatures is passed over, as services do. Refused: another one is refused."""
    trust = Trust(pin)
    for path in paths:
        try:
            trust = offered(trust, path, wall_s)
        except Refused as refused:
            if refused.reason is not Reason.DOCUMENT_UNSIGNED or trust.root is None:
                raise
    return trust


def in_order(directory: Path) -> list[Path]:
    """Return the roots in a directory, in their order."""
    return sorted((path for path in directory.glob("root.*.signed") if ROOT.fullmatch(path.name)), key=number)


def number(path: Path) -> int:
    """Return the number in the name of a root's file; 0 where there is none."""
    found = ROOT.fullmatch(path.name)
    return int(found[1]) if found else 0


def vouched(trust: Trust, role: Role, path: Path) -> tuple[Envelope, Any]:
    """Return the document of a role in a file, expired or not, and what it says. Refused: the newest root does not vouch for it [K-22]."""
    document = parsed(path)
    try:
        if trust.root is None or document.role is not role:
            raise PeerFault(Reason.DOCUMENT_MISSING if trust.root is None else Reason.DOCUMENT_ROLE_WRONG)  # noqa: TRY301 - one place tells all refusals
        document.verify(trust.root.roles[role].keys, trust.root.roles[role].threshold)
        return document, READERS[role](document.payload)
    except PeerFault as fault:
        raise Refused(path, fault) from None


def to_come(said: Revocations, wall_s: int) -> dict[str, int]:
    """Return which keys are on a list and are accepted all the same, as they are revoked from a later time on: fingerprints, times."""
    return {each.hex(): found.since for each, found in said.revoked.items() if found.since > wall_s}


def note_to_come(later: Mapping[str, int]) -> None:
    """Say plainly which keys of a list are accepted for now."""
    for fingerprint, since in later.items():
        complain(
            f"note: {fingerprint} is accepted until {date(since)}, from which on it is revoked: if a clock that was ahead said so, "
            "name the public key again: jvpn keys revoke"
        )
