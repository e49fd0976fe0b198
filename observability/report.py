"""The audit report: what one or several logs say, as one page for people who decide, not for those who debug.

    write_report(Request(logs=[Path("gateway/log"), Path("client/log")]), Path("report.html"))

Each log is verified first; numbers and pictures show verified events only, and the page says so where that is less than all (A-100). The
same request makes the same bytes (A-102).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from observability import page
from observability.reporting import criteria, findings, integrity, moves, proofs, sessions, summary
from observability.reporting.material import Material, Progress, Request, gather

TITLE: Final = "Audit report: sessions and their jumps"
SECTIONS: Final[tuple[tuple[str, str, Callable[[Material], str]], ...]] = (
    ("short", "In short", summary.section),
    ("integrity", "Can these logs be trusted?", integrity.section),
    ("criteria", "Were the pilot's promises kept?", criteria.section),
    ("detections", "What the detections found", findings.detections),
    ("sessions", "Sessions over time", sessions.section),
    ("recovery", "How long a jump interrupts traffic", moves.recovery),
    ("jumps", "Every jump and its reason", moves.jumps),
    ("refusals", "What was refused", findings.refusals),
    ("traffic", "Traffic", moves.traffic),
    ("histories", "Sessions, event by event", sessions.event_by_event),
    ("proofs", "Proof ids", proofs.section),
    ("method", "How this report was made", summary.method),
    ("words", "What the words mean", summary.glossary),
)


def write_report(request: Request, output: Path, paper: Path | None = None, progress: Progress | None = None) -> Material:
    """Write the report to ``output`` (HTML), and to ``paper`` (PDF) where that is wanted. Return what it was made from.

    A log that is not sound, or not there, is no error: the page says it first. Raises NoSuchSession; ``OSError`` when a file cannot be
    written, an older one stands then; `observability.paper.NoPaper` when no PDF can be made here, before anything is written.
    """
    material = gather(request, progress)
    text = render(material, progress)
    printed = None
    if paper:
        from observability.paper import pdf  # noqa: PLC0415 - an optional library, which is slow to load

        printed = pdf(text, progress)
    _replace(output, text.encode())
    if paper and printed is not None:
        _replace(paper, printed)
    return material


def render(material: Material, progress: Progress | None = None) -> str:
    """Return the page."""
    made = []
    for number, (anchor, heading, section) in enumerate(SECTIONS):
        if progress:
            progress("drawing", number, len(SECTIONS))
        made.append((anchor, heading, section(material)))
    return page.page(TITLE, integrity.alarms(material) + summary.intro(material), made)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
