"""The audit report: `audit report`."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from audit.verdict import Verdict
from jvpn.cli.audit import IDENTITY, Partial
from jvpn.cli.output import Exit, Json, answer, say
from jvpn.cli.tree import PolicyFile, load_policy
from jvpn.shell.checked import Misconfigured

if TYPE_CHECKING:
    from observability.pilot import Manifest

Output = Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write (HTML).", show_default=False)]


def report(  # noqa: PLR0913 - an option each
    logs: Annotated[list[Path], typer.Argument(help="Directories of logs, or files of lines.", metavar="DIR", show_default=False)],
    out: Output,
    *,
    pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="The same on paper (PDF).", show_default=False)] = None,
    policy: PolicyFile = None,
    known: Annotated[
        Path | None,
        typer.Option("--known", metavar="FILE", help="A kept checkpoint of the log, as of `jvpn audit verify`.", show_default=False),
    ] = None,
    session: Annotated[
        list[str] | None,
        typer.Option("--session", metavar="ID", help="Tell this session event by event; may be repeated.", show_default=False),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option("--pilot", metavar="FILE", help="A pilot's manifest: judge its criteria (docs/guides/report.md).", show_default=False),
    ] = None,
    partial: Partial = False,
    json: Json = False,
) -> None:
    """Verify logs and write one page about them, for an auditor.

    What happened, session by session; jumps and their reasons; recovery times; refusals; detections; what the verifier found, and a proof
    id for each event that matters. The page shows verified events only and needs nothing but itself. Exit status: that of the worst
    log, as of `jvpn audit verify`; when all are sound, 1 if a criterion of the pilot is not met or cannot be judged.
    """
    _sensible(logs, out, pdf, known, session or ())
    manifest, wanted = _manifest(pilot), load_policy(policy) if policy else None
    from observability.paper import NoPaper, available  # noqa: PLC0415 - draws pictures, which is slow to load
    from observability.report import write_report  # noqa: PLC0415 - the same
    from observability.reporting.criteria import Met, judge  # noqa: PLC0415 - the same
    from observability.reporting.material import NoSuchSession, Request  # noqa: PLC0415 - the same

    request = Request(logs=logs, partial=partial, policy=wanted, known=known, sessions=tuple(session or ()), manifest=manifest)
    try:
        if pdf is not None:
            available()
        with _progress(quiet=json) as tell:
            made = write_report(request, out, pdf, tell)
    except NoPaper as error:
        raise Misconfigured(f"--pdf: {error}") from None
    except NoSuchSession as error:
        raise Misconfigured(f"--session: {error}") from None
    judged = judge(manifest, made) if manifest else []
    if json:
        files = {"report": str(out), "pdf": str(pdf) if pdf else None}
        answer({**files, "logs": [log.result.as_json() for log in made.logs], "criteria": [each._asdict() for each in judged]})
    else:
        for log in made.logs:
            say(log.result.as_text())
        for one in judged:
            say(f"{one.met.value}: {one.criterion}, allowed {one.limit}, found {one.found}")
        for path in filter(None, (out, pdf)):
            say(f"report: {path}")
    worst = max((log.result.verdict for log in made.logs), default=Verdict.VERIFIED).value
    raise typer.Exit(worst or (Exit.DONE if all(each.met is Met.YES for each in judged) else Exit.FAILED))


def _sensible(logs: Sequence[Path], out: Path, pdf: Path | None, known: Path | None, sessions: Sequence[str]) -> None:
    """Refuse what could not be written, or not be asked of these logs, before minutes are spent on it."""
    for path in filter(None, (out, pdf)):
        _writable(path)
    if pdf is not None and pdf.absolute() == out.absolute():
        raise Misconfigured(f"--pdf: {pdf} is the page's file already")
    if known and (len(logs) > 1 or not logs[0].is_dir()):
        raise Misconfigured("--known is a checkpoint of one log: give that log's directory, and no other")
    for each in sessions:
        if not IDENTITY.fullmatch(each):
            raise typer.BadParameter(f"{each!r} is not 16 or 32 hex digits, as in the log", param_hint="--session")


def _writable(path: Path) -> None:
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        what = "is a directory" if path.is_dir() else f"{path.absolute().parent} is not there, or not yours to write"
        raise Misconfigured(f"{path}: the page cannot be written: {what}")


def _manifest(path: Path | None) -> "Manifest | None":
    from observability.pilot import ManifestMalformed, load  # noqa: PLC0415 - with the report

    try:
        return load(path) if path else None
    except OSError as error:
        raise Misconfigured(f"--pilot: {path}: cannot be read: {error.strerror}") from None
    except ManifestMalformed as error:
        raise Misconfigured(f"--pilot: {path}: {error}") from None


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show on a terminal what is done, and how far."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        task = shown.add_task("")
        yield lambda what, done, total: shown.update(task, description=what, completed=done, total=total)
