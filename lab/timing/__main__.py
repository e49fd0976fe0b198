"""Time the functions on secrets: `python -m lab.timing`, and `make timing` for the long form that is kept as evidence.

Exit status: 0 when no difference was seen, 1 when one was, 2 when the controls did not behave and nothing can be said.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab import command, evidence
from lab.timing.harness import ALARM, CROPS, LOUD
from lab.timing.judge import LONG_CALLS, LONG_RUNS, QUICK_CALLS, QUICK_RUNS, Row, Verdict, judge
from lab.timing.picture import draw

NAME: Final = "timing"
METHOD: Final = (
    f"t is the greatest of Welch's |t| over the fastest {', '.join(map(str, CROPS))} % of the calls. A *leak* must exceed {LOUD:.0f};",
    f"a *control* and a *subject* must stay under {ALARM} in the median of the runs. A subject that does not is measured in two more",
    "rounds, and is called different when it shows it in each. Where the controls do not behave, nothing is said of the subjects.",
    "The classes differ in where a forged value first differs from the right one: in its first byte or in its last. Shown is what was",
    "seen on this machine in this build, not constant time: nothing is said of caches, power, other tenants, or of what Python does",
    "with integers and buffers elsewhere.",
)


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and in the long form write the evidence."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.timing", description="Does the time of a function on secrets tell where a forgery differs?"
    )
    parser.add_argument(
        "--long", action="store_true", help=f"{LONG_CALLS:,} calls a run, not {QUICK_CALLS:,}; writes docs/evidence/{NAME}.*"
    )
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    given = parser.parse_args(arguments)
    calls, runs = (LONG_CALLS, LONG_RUNS) if given.long else (QUICK_CALLS, QUICK_RUNS)
    with Console(stderr=True).status("starting") as status:
        verdict = judge(calls, runs, tell=status.update)
    document: dict[str, Any] = {
        "verdict": verdict.word,
        "calls": calls,
        "rows": [row.plain() for row in verdict.rows],
        "made": evidence.circumstances("cryptography", "numpy"),
    }
    if given.json:
        print(json.dumps(document))
    else:
        _show(verdict)
    if given.long:
        evidence.write(NAME, document, page(verdict, document))
        draw(verdict, evidence.FOLDER / f"{NAME}.svg")
    return 0 if verdict.good else 1 if verdict.conclusive else 2


def page(verdict: Verdict, document: dict[str, Any]) -> list[str]:
    """Return the lines of timing.md."""
    lines = [
        "# Timing of functions on secrets: the last long run",
        "",
        f"Made by `make timing`, not by hand. {evidence.sentence(document['made'])}",
        "",
        f"**Verdict: {verdict.word}.** {document['calls']:,} calls a run, {LONG_RUNS} runs; leaks made on purpose have {QUICK_CALLS:,}.",
        "",
        "| | what | median t | t of each run | difference of medians, ns: 95 % interval of each run | a call, ns | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in verdict.rows:
        plain = row.plain()
        runs, effects = ", ".join(map(str, plain["t_runs"])), ", ".join(f"{low} to {high}" for low, high in plain["effect_ns_95"])
        lines.append(f"| {row.role} | {row.subject.what} | {plain['t_median']} | {runs} | {effects} | {plain['call_ns']} | {_said(row)} |")
    return [*lines, "", f"![t of each run]({NAME}.svg)", "", *METHOD]


def _show(verdict: Verdict) -> None:
    table = Table("", "what", "|t|, median of runs", "median difference, ns", "a call, ns", "", box=None, pad_edge=False)
    for row in verdict.rows:
        plain = row.plain()
        table.add_row(
            row.role, row.subject.what, str(plain["t_median"]), str(median(plain["effect_ns"])), str(plain["call_ns"]), _said(row)
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"verdict: {verdict.word}")


def _said(row: Row) -> str:
    return "as it should be" if row.good else "NOT AS IT SHOULD BE"


if __name__ == "__main__":
    command.run(main, "lab.timing")
