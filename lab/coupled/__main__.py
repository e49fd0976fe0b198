"""Searches the coupled model of both shipped tables: every world within bounds, every claim, and a way on from every world.

    python -m lab.coupled [--bounds NAME=NUMBER,...] [--json]
    python -m lab.coupled --models | --faults [--json]

Bounds and their values are those of `lab.coupled.world.Bounds`; what is not named keeps its default. --models searches the bounds of the
tests, and says which cells of the tables none of them follows. --faults breaks something for each claim, and names what catches it.

Exit status 0: all claims hold, every fault is caught; 1: not so; 2: the command line; 3: nothing was found, and not
everything within the bounds was searched.
"""

import argparse
import json
from collections import Counter
from enum import Enum
from typing import Any

from lab import command
from lab.coupled import claims, models
from lab.coupled.faults import ALONE, NEEDED, caught
from lab.coupled.search import Report, Search
from lab.coupled.words import Answer, Epoch, Frame, Name
from lab.coupled.world import Bounds
from lab.searching import INCOMPLETE, numbers


def bounds_of(text: str) -> Bounds:
    """Return the bounds that a text names."""
    return Bounds(**numbers(text, Bounds._fields))


def named(bounds: Bounds) -> str:
    """Return what differs from the usual bounds."""
    usual = Bounds._field_defaults
    return ", ".join(f"{name} {value}" for name, value in bounds._asdict().items() if value != usual[name] and name != "worlds")


def told(value: Any) -> str:
    """Return a part of an action in words."""
    match value:
        case Name(hand, boot):
            return f"{hand}@{boot}"
        case Epoch(name, attempt, boot, path):
            return f"{told(name)} attempt {attempt} with {boot} on path {path}"
        case Frame(kind, epoch, version):
            return f"{kind} [{told(epoch)}]" + (f" version {version}" if version else "")
        case Answer(ask, outcome):
            return f"{outcome.name} to {ask.kind}"
        case Enum():
            return value.name
        case _:
            return str(value)


def doc_of(claim: str) -> str:
    """Return what a claim says."""
    known: Any = getattr(claims, claim, None) or getattr(Search, claim)
    return str(known.__doc__).splitlines()[0]


def said(report: Report) -> str:
    """Return a report for people; a counter-example as its steps."""
    reached = "everything within the bounds" if report.complete else "NOT everything within the bounds: stopped"
    seen = f"{report.worlds:,} worlds, {report.edges:,} edges, depth {report.depth}; {report.recovered:,} situations recover"
    lines = [f"{named(report.bounds)}: {seen}; {report.seconds:.1f} s: {reached}"]
    if report.found:
        lines += [f"BROKEN in {len(report.found.actions)} steps: {report.found.claim}: {doc_of(report.found.claim)}"]
        lines += ["    " + ", ".join(map(told, action)) for action in report.found.actions]
    return "\n".join(lines)


def plain(report: Report) -> dict[str, Any]:
    """Return a report as values of JSON."""
    steps = [[told(each) for each in action] for action in report.found.actions] if report.found else []
    return {
        "bounds": report.bounds._asdict(), "worlds": report.worlds, "edges": report.edges, "depth": report.depth,
        "recovered": report.recovered, "seconds": round(report.seconds, 1), "complete": report.complete,
        "found": report.found.claim if report.found else None, "steps": steps,
    }  # fmt: skip


def show_models(*, as_json: bool) -> int:
    """Search the bounds of the tests."""
    reports = list[Report]()
    for bounds in models.MODELS:
        reports.append(Search(bounds).run())
        if not as_json:
            print(said(reports[-1]), flush=True)
    took = sum((report.took for report in reports), Counter[tuple[str, str, str]]())
    unfollowed = sorted(models.unfollowed(took))
    if as_json:
        print(json.dumps({"searches": [plain(report) for report in reports], "unfollowed": unfollowed}))
    else:
        print(*(f"not followed: {' '.join(cell)}: {models.NEVER.get(cell, 'WITHOUT A REASON')}" for cell in unfollowed), sep="\n")
    return 1 if any(report.found for report in reports) or set(unfollowed) != models.NEVER.keys() else 0


def show_faults(*, as_json: bool) -> int:
    """Break something for each claim."""
    rows = [(name, caught(name, fault)) for name, fault in ALONE.items()]
    rows += [(name, caught(claim.__name__, fault)) for name, (claim, fault) in NEEDED.items()]
    if as_json:
        print(json.dumps([{"claim": claim, "steps": steps, "worlds": worlds} for claim, (steps, worlds) in rows]))
    else:
        print(
            *(f"{claim:60} {f'in {steps} steps' if steps else 'NOT CAUGHT':12} {worlds:7,} worlds" for claim, (steps, worlds) in rows),
            sep="\n",
        )
    return 0 if all(steps for _, (steps, _) in rows) else 1


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.coupled", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bounds", type=bounds_of, default=Bounds(), metavar="NAME=NUMBER,...", help="how often what may be done")
    parser.add_argument("--models", action="store_true", help="the bounds of the tests")
    parser.add_argument("--faults", action="store_true", help="break something for each claim, and see it caught")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    given = parser.parse_args(argv)
    if given.models:
        return show_models(as_json=given.json)
    if given.faults:
        return show_faults(as_json=given.json)
    report = Search(given.bounds).run()
    print(json.dumps(plain(report)) if given.json else said(report))
    return 1 if report.found else 0 if report.complete else INCOMPLETE


if __name__ == "__main__":
    command.run(main, "lab.coupled")
