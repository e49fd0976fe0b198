"""The self-test: `selftest`, and what a service does with it before it starts."""

import typer

from jvpn.cli.output import Exit, Json, answer, complain, table
from jvpn.shell.selftest import run


def selftest(*, json: Json = False) -> None:
    """Compare known answers with what the libraries compute.

    Every primitive and every construction of the protocol. Gateway and client do the same before they start. Exit status 3 when
    anything differs: then do not use this installation.
    """
    findings = run()
    good = all(each.passed for each in findings)
    if json:
        answer({"passed": good, "tests": [each._asdict() for each in findings]})
    else:
        rows = [(each.name, each.source, "passed" if each.passed else "FAILED", each.detail) for each in findings]
        table(("what", "known from", "", ""), rows)
    if not good:
        raise typer.Exit(Exit.SELF_TEST)


def pass_or_exit() -> None:
    """Run the self-test; say what failed and raise Exit with status 3 unless all passed."""
    failed = [each for each in run() if not each.passed]
    for each in failed:
        complain(f"self-test failed, no service: {each.name}: {each.detail}")
    if failed:
        raise typer.Exit(Exit.SELF_TEST)
