"""Proof ids: of each event that matters, where it stands, its hash, and how to prove it to somebody else (clause A-101)."""

from collections.abc import Iterator
from typing import Final

from observability import page
from observability.reporting.material import Material, anchor_of
from observability.reporting.words import clock, words
from observability.timeline import Entry

COLUMNS: Final = [
    ("event", ""),
    ("leaf", "number"),
    ("time (UTC)", ""),
    ("what", ""),
    ("signed", ""),
    ("hash of the event", "code hash"),
]


def section(material: Material) -> str:
    """Return the table of proof ids, the roots that they lead to, and the commands that make and check a proof."""
    if not material.proofs:
        return page.paragraph("There is no event that a proof id could be given of.")
    rows = [_row(material, entry) for entry in material.proofs.values()]
    shown = len(rows)
    caption = f"Events and their proof ids: {shown} of {material.proven}" if shown < material.proven else "Events and their proof ids"
    anchors = [anchor_of(log, seq) for log, seq in material.proofs]
    left = (
        f" {material.proven - shown} more are left out, of each type and reason the later ones; for any event the number is enough."
        if shown < material.proven
        else ""
    )
    explain = (
        "Births, jumps and ends of sessions, what was refused, and what the log says of itself. An event's number is the leaf of its hash"
        f" in the log's tree, whose root the checkpoint has.{left} For a proof that stands alone, with N the event's number:"
    )
    after = (
        "The policy is the auditor's own: the log's key and its witnesses, from where the log's operator cannot write. A proof says that"
        " the event was recorded, not that it is true."
    )
    return "\n".join(
        [
            page.paragraph(explain),
            *(page.commands(*_commands(log.label, str(log.path))) for log in material.logs if log.says),
            page.paragraph(after, "soft"),
            page.table("Roots that proofs lead to", [("log", ""), ("events", "number"), ("root, hex", "code")], _roots(material)),
            page.table(caption, COLUMNS, rows, anchors),
        ]
    )


def _commands(label: str, path: str) -> Iterator[str]:
    quoted = "'" + path.replace("'", "'\\''") + "'"
    yield f"# {label}"
    yield f"jvpn audit publish {quoted} --out tree-{label} --policy POLICY"
    yield f"jvpn audit prove tree-{label} N --log {quoted} --out {label}-N.tlog-proof"
    yield f"jvpn audit check {label}-N.tlog-proof --policy POLICY"


def _roots(material: Material) -> Iterator[tuple[str, str, str]]:
    for log in material.logs:
        yield log.label, str(log.says.size) if log.says else "0", log.says.root.hex() if log.says else "no checkpoint"


def _row(material: Material, entry: Entry) -> tuple[str, ...]:
    log = material.logs[entry.log]
    signed = "yes" if entry.seq < log.result.sealed else "no"
    kind = words(entry.kind)
    return (f"{log.label}:{entry.seq}", str(entry.seq), clock(entry.when), f"{kind}: {words(entry.reason)}", signed, entry.hash)
