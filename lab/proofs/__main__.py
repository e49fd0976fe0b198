"""`make proofs`: run the suites of proofs and show what is proved.

    python -m lab.proofs [--long] [--json FILE] [--suite NAME ...]

`--json FILE` writes the run there, and as a table beside it with the suffix .md. Exit status: 0 when every row is proved, else 1.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab import command
from lab.proofs import evidence
from lab.proofs.evidence import Row
from lab.proofs.suites import SUITES


def main(arguments: list[str] | None = None) -> int:
    """Run, show, write, judge."""
    parser = argparse.ArgumentParser(prog="python -m lab.proofs", description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="the shipped window and other widths too; some minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the run there, and a table beside it")
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="only this one; may be repeated")
    options = parser.parse_args(arguments)
    console = Console()
    rows = run(options.suite or list(SUITES), console, long=options.long)
    console.print(table(rows))
    if options.json:
        evidence.write(rows, options.json)
        console.print(f"Written: {options.json} and {options.json.with_suffix('.md')}")
    return 0 if rows and all(row.proved for row in rows) else 1


def run(names: list[str], console: Console, *, long: bool) -> list[Row]:
    """Run the suites of these names and return their rows."""
    rows = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for suite in names:
            for task in SUITES[suite](long):
                shown = progress.add_task(f"{suite}: {task.name}")
                before = time.monotonic()
                proved, detail = task.run()
                rows.append(Row(suite, task.name, proved, time.monotonic() - before, detail))
                progress.remove_task(shown)
                if not console.is_terminal:
                    console.print(f"{suite}: {task.name}: {'proved' if proved else 'NOT PROVED'}", markup=False, highlight=False)
    return rows


def table(rows: list[Row]) -> Table:
    """Return the rows as a table."""
    shown = Table("suite", "row", "", "seconds", "", title="Proofs")
    for row in rows:
        shown.add_row(row.suite, row.name, "[green]proved[/]" if row.proved else "[red]NOT PROVED[/]", f"{row.seconds:.1f}", row.detail)
    return shown


if __name__ == "__main__":
    command.run(main, "lab.proofs")
