"""`make faults`: put each seeded fault into a copy of the sources and see that the check catches it that claims to.

    python -m lab.faults [--only NAME ...] [--quick] [--json] [--evidence]

--only runs the faults whose names contain this; --quick those that run in the tests; --evidence writes docs/evidence/faults.*, where faults
that were not run now, and have not changed, keep their last result with its commit. Exit status: 0 when every fault was caught, 1 when not,
2 for the command line.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab import command, evidence
from lab.faults.trial import AREAS, Bench, Command, Fault, Result, Verdict, copied, seeded

NAME: Final = "faults"
WIDTH: Final = 240  # of the table where it is not a terminal's


def main(arguments: Sequence[str]) -> int:
    """Run, show, write, judge."""
    parser = argparse.ArgumentParser(prog="python -m lab.faults", description="Is each seeded fault caught by the check that claims to?")
    parser.add_argument("--only", action="append", metavar="NAME", help="faults with this in their names; may be repeated")
    parser.add_argument("--quick", action="store_true", help="only those that run in the tests")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    parser.add_argument("--evidence", action="store_true", help="write the results to docs/evidence")
    given = parser.parse_args(arguments)
    faults, commands = seeded()
    chosen = [each for each in faults if _chosen(each, given.only, quick=given.quick)]
    if not chosen:
        parser.error("no fault has such a name")
    made = evidence.circumstances("pytest", "hypothesis")  # before a long run, in which the tree may go on
    results = run(chosen, commands, Console(stderr=True))
    document = collected(results, made)
    if given.json:
        print(json.dumps(document, indent=1))
    else:
        screen = Console()
        Console(width=None if screen.is_terminal else WIDTH).print(table(results), *totals(results), sep="\n")
    if given.evidence:
        document = merged(document, evidence.FOLDER / f"{NAME}.json", faults)
        evidence.write(NAME, document, page(document))
    return 0 if all(each.verdict is Verdict.CAUGHT for each in results) else 1


def run(faults: Sequence[Fault], commands: dict[str, Command], console: Console) -> list[Result]:
    """Run the checks without any fault, then each fault with its check; show on a terminal how far it is."""
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with copied() as tree, Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bench = Bench(tree, commands)
        shown = progress.add_task("the checks without a fault", total=len(faults))
        green = bench.green(each.check for each in faults)
        for fault in faults:
            progress.update(shown, description=fault.name)
            results.append(bench.judged(fault, green[fault.check]))
            progress.advance(shown)
    return results


def collected(results: Iterable[Result], made: dict[str, Any]) -> dict[str, Any]:
    """Return a run as plain values, with the circumstances in which it was made."""
    rows = [each.plain() | {"commit": made["commit"][:12]} for each in results]
    return {"made": made, "caught": caught(rows), "rows": rows}


def merged(document: dict[str, Any], kept: Path, faults: Iterable[Fault]) -> dict[str, Any]:
    """Return a run with what is kept of the faults that it left out, unless they, or what they are checked by, have changed."""
    rows = {row["fault"]: row for row in json.loads(kept.read_text(encoding="utf-8"))["rows"]} if kept.exists() else {}
    rows |= {row["fault"]: row for row in document["rows"]}
    same = [row for each in faults if (row := rows.get(each.name)) and row["changes"] == each.plain() and row["check"] == each.check]
    return {"made": document["made"], "caught": caught(same), "rows": same}


def caught(rows: Iterable[dict[str, Any]]) -> int:
    """Return how many of these were caught."""
    return sum(row["verdict"] == Verdict.CAUGHT.value for row in rows)


def table(results: Iterable[Result]) -> Table:
    """Return the table that is shown."""
    shown = Table("fault", "area", "check", "verdict", "seconds", title="Seeded faults")
    for each in results:
        colour = "green" if each.verdict is Verdict.CAUGHT else "red"
        verdict = each.verdict.value + (f": {each.seen}" if each.seen else "")
        cells = (each.fault.name, each.fault.area, each.fault.check)
        shown.add_row(*map(escape, cells), f"[{colour}]{escape(verdict)}[/]", f"{each.seconds:.1f}")
    return shown


def totals(results: Sequence[Result]) -> list[str]:
    """Return in one line how many had which end."""
    counts = Counter(each.verdict.value for each in results)
    return [f"{len(results)} faults: " + ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())]


def page(document: dict[str, Any]) -> list[str]:
    """Return the lines of faults.md."""
    rows = document["rows"]
    lines = [
        "# Seeded faults: the last run",
        "",
        f"Made by `make faults`, not by hand; each row is of the commit that it names. The last: {evidence.sentence(document['made'])}",
        "",
        f"**{document['caught']} of {len(rows)} faults are caught** by the check that claims to. Each check was run on the sources as they",
        "are, and passed; then with the fault in them, and has to fail by what it asserts. What is replaced by what stands in",
        "[seeded.toml](../../lab/faults/seeded.toml).",
    ]
    for area in AREAS:
        lines += ["", f"## {area}", "", "| fault | harm | check | verdict | seconds | commit |", "|---|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join((row["fault"], row["harm"], f"`{row['check']}`", row["verdict"], str(row["seconds"]), row["commit"])) + " |"
            for row in rows
            if row["area"] == area
        ]
    return lines


def _chosen(fault: Fault, only: Sequence[str] | None, *, quick: bool) -> bool:
    return (fault.quick or not quick) and (only is None or any(name in fault.name for name in only))


if __name__ == "__main__":
    command.run(main, "lab.faults")
