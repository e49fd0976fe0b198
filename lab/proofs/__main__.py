"""`make proofs`: run the suites of proofs and show what is proved.

    python -m lab.proofs [--long] [--json FILE] [--suite NAME ...] [--jobs N]

`--json FILE` writes the run there, and as a table beside it with the suffix .md. Exit status: 0 when every row is proved, else 1.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import islice
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
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many rows at a time")
    options = parser.parse_args(arguments)
    console = Console()
    rows = run(options.suite or list(SUITES), console, long=options.long, jobs=options.jobs)
    console.print(table(rows))
    if options.json:
        evidence.write(rows, options.json)
        console.print(f"Written: {options.json} and {options.json.with_suffix('.md')}")
    return 0 if rows and all(row.proved for row in rows) else 1


def run(names: list[str], console: Console, *, long: bool, jobs: int = 1) -> list[Row]:
    """Run the suites of these names, so many rows at a time, and return their rows."""
    tasks = [(suite, number, task.name) for suite in names for number, task in enumerate(SUITES[suite](long))]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    rows = []
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(jobs)) if jobs > 1 else None
        progress = stack.enter_context(Progress(*columns, console=console, transient=True, disable=not console.is_terminal))
        made = (pool.map if pool else map)(one, [each[0] for each in tasks], [each[1] for each in tasks], [long] * len(tasks))
        for suite, _, name in tasks:
            shown = progress.add_task(f"{suite}: {name}")
            rows.append(next(iter(made)))
            progress.remove_task(shown)
            if not console.is_terminal:
                console.print(f"{suite}: {name}: {'proved' if rows[-1].proved else 'NOT PROVED'}", markup=False, highlight=False)
    return rows


def one(suite: str, number: int, long: bool) -> Row:  # noqa: FBT001 - as a suite takes it
    """Run one row of a suite, here or in another process."""
    task = next(islice(SUITES[suite](long), number, None))
    before = time.monotonic()
    proved, detail = task.run()
    return Row(suite, task.name, proved, time.monotonic() - before, detail)


def table(rows: list[Row]) -> Table:
    """Return the rows as a table."""
    shown = Table("suite", "row", "", "seconds", "", title="Proofs")
    for row in rows:
        shown.add_row(row.suite, row.name, "[green]proved[/]" if row.proved else "[red]NOT PROVED[/]", f"{row.seconds:.1f}", row.detail)
    return shown


if __name__ == "__main__":
    command.run(main, "lab.proofs", heard=False)
