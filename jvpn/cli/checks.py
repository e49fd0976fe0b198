"""The self-test: `selftest`, and what a service does with it before it starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from jvpn.cli.output import Exit, Json, answer, complain, say, table
from jvpn.shell import published
from jvpn.shell.errors import Unavailable
from jvpn.shell.selftest import run


def selftest(
    *,
    full: Annotated[bool, typer.Option("--full", help="Run the published vectors that are shipped, too: a second or less.")] = False,
    vectors: Annotated[
        list[Path] | None,
        typer.Option(
            "--vectors", metavar="PATH", help="Run these vector files, or those below a folder, too. May be repeated.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare known answers with what the libraries compute.

    Every primitive and every construction of the protocol. Gateway and client do the same before they start. Vector files may have
    the form of Wycheproof or of Noise (cacophony, snow); what this program does not speak is counted as not applicable, with the reason.
    Exit status 3 when anything differs, or when nothing in the files applies: then do not use this installation, or these files.
    """
    findings = run()
    judged = [each for path, named in published.files([*([published.SHIPPED] if full else []), *(vectors or [])])
              for each in published.judge(path, named=named)]  # fmt: skip
    good = all(each.passed for each in findings) and (published.passed(judged) or not (full or vectors))
    if json:
        answer({"passed": good, "tests": [each._asdict() for each in findings], "vectors": [each.plain() for each in judged],
                "primitives": published.by_primitive(judged)})  # fmt: skip
    else:
        rows = [(each.name, each.source, "passed" if each.passed else "FAILED", each.detail) for each in findings]
        table(("what", "known from", "", ""), rows)
        if judged:
            _show(judged)
    if not good:
        raise typer.Exit(Exit.SELF_TEST)


def _show(judged: list[published.Judgement]) -> None:
    """Show what came of vector files: a table, then the failures by name and the reasons why cases do not apply."""
    say("")
    table(
        ("published vectors of", "computed by", "passed", "failed", "not applicable", "file"),
        [
            (each.primitive, each.library or "-", each.passed, each.failed or "-", each.not_applicable.total() or "-", each.file)
            for each in judged
        ],
    )
    for each in judged:
        for failure in each.failures:
            complain(f"FAILED: {each.file}: {each.primitive}, {each.library}: {failure}")
    reasons = {(each.file, reason): times for each in judged for reason, times in each.not_applicable.items()}
    for (file, reason), times in sorted(reasons.items()):
        say(f"not applicable: {file}: {times}: {reason}")


def pass_or_exit(record: Callable[[], None] = lambda: None) -> None:
    """Run the self-test; say and `record` what failed and raise Exit with status 3 unless all passed."""
    failed = [each for each in run() if not each.passed]
    for each in failed:
        complain(f"self-test failed, no service: {each.name}: {each.detail}")
    if failed:
        try:
            record()
        except Unavailable as error:
            complain(f"this is not recorded: {error}")
        raise typer.Exit(Exit.SELF_TEST)
