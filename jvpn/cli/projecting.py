"""Audit logs in the words of others: `audit export`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

import typer

from audit.files import segments_in
from audit.show import events
from audit.verdict import Verdict
from jvpn.cli.audit import BAD_LINES_MAX, Log
from jvpn.cli.output import Exit, Json, answer, complain, say
from jvpn.shell.checked import Misconfigured
from observability.projections.lines import FORMATS, HashWrong, Line, checked, integrity_line


class Format(StrEnum):
    """What the lines are."""

    OCSF = "ocsf"
    ECS = "ecs"
    OTLP = "otlp"
    OWN = "own"


class Counts(NamedTuple):
    """Lines written, and lines of the log that were not."""

    written: int
    refused: int


def export(
    log: Log,
    *,
    form: Annotated[
        Format, typer.Option("--format", help="OCSF 1.8.0, the Elastic Common Schema, OTLP's JSON, or the log's own lines.")
    ] = Format.OCSF,
    record_integrity: Annotated[
        bool, typer.Option("--record-integrity", help="OCSF 1.9.0: the chain as its profile record_integrity has it.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write. Default: standard output.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Write the events of a log in the form that a SIEM takes.

    JSON, a line an event. Each line carries the event's hash and, under jvp, its own fields, so that nothing is lost; --format own writes
    lines that `jvpn audit verify` takes. This does not verify the chain. A line of the log that is no valid event, or has not the hash that
    it says, is told on standard error and left out, and the exit status is 1; it is 2 when there is no log. FILE is replaced when all is
    written. With --out --json the answer is how many.
    """
    if record_integrity and form is not Format.OCSF:
        raise typer.BadParameter("is a profile of OCSF; it needs --format ocsf", param_hint="--record-integrity")
    if not log.exists() or (log.is_dir() and not segments_in(log)):
        complain(f"{log} holds no segment of an audit log" if log.exists() else f"{log}: No such file or directory")
        raise typer.Exit(Verdict.UNREADABLE.value)
    line = integrity_line if record_integrity else FORMATS[form.value]
    with _opened(out) as file:
        counts = _write(log, line, file)
    if out is not None:
        told = {"file": str(out), "format": form.value, **counts._asdict()}
        answer(told) if json else say(f"{out}: {counts.written} events")
    if counts.refused:
        raise typer.Exit(Exit.FAILED)


def _write(log: Path, line: Line, file: BinaryIO) -> Counts:
    refused = written = 0

    def tell(where: str, number: int, what: str) -> None:
        nonlocal refused
        refused += 1
        if refused <= BAD_LINES_MAX:
            complain(f"{where}{f', line {number}' if number else ''}: {what}")

    for event in events(log, bad=tell):
        told = event.pop("hash")
        try:
            file.write(line(checked(event, told), told))
            written += 1
        except HashWrong as error:
            tell(log.name, 0, str(error))
    file.flush()
    if refused > BAD_LINES_MAX:
        complain(f"{refused - BAD_LINES_MAX} more lines are left out; `jvpn audit verify` says where the log breaks")
    return Counts(written, refused)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Yield where to write. The file has its name only when all is in it."""
    if out is None:
        yield sys.stdout.buffer
        return
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise Misconfigured(f"{out}: cannot be written: {'is a directory' if out.is_dir() else 'there is no such directory'}")
    if out.exists() and not out.is_file():
        raise Misconfigured(f"{out}: cannot be replaced: it is no file")
    unfinished = out.with_name(f"{out.name}.new")
    with unfinished.open("wb") as file:
        yield file
    unfinished.replace(out)
