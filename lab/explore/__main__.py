"""Searches everything that an adversary can do, within bounds, for a world in which a claim does not hold.

    python -m lab.explore [--bounds NAME=NUMBER,...] [--recover N] [--json]
    python -m lab.explore --faults | --mutants [--json]

Bounds and their values are those of `lab.explore.world.Bounds`; what is not named keeps its default. Within them the search is exhaustive
unless the number of worlds is reached first, which is said. A counter-example is printed as a playbook: Python to paste into a test.
--recover N looks at every N-th world whether an honest network leads from there to a session again, or to an explicit end. --faults puts
faults into the engines, one at a time, and names the claim that catches each. --mutants changes each cell of both tables.

Exit status 0: all claims hold, every fault is caught, every mutant is caught or harmless; 1: not so; 2: the command line; 3: nothing was
found, and not everything within the bounds was searched.
"""

import argparse
import json
import time
from typing import Any

from lab import command
from lab.explore import claims, faults, harmless, mutants, together
from lab.explore.copying import watched
from lab.explore.playbook import Writer
from lab.explore.search import Report, Search
from lab.explore.world import Bounds
from lab.searching import INCOMPLETE, numbers


def bounds_of(text: str) -> Bounds:
    """Return the bounds that a text names."""
    return Bounds(**numbers(text, Bounds._fields))


def explored(bounds: Bounds, recover: int) -> tuple[Report, str]:
    """Search, and return the report with the playbook of a counter-example, or nothing."""
    with watched():
        search = Search(bounds, recover)
        report = search.run()
        return report, Writer(search.stage).text(report.found, doc_of(report.found.claim)) if report.found else ""


def doc_of(claim: str) -> str:
    """Return what a claim says."""
    known: Any = next(getattr(each, claim) for each in (claims, together, Search) if hasattr(each, claim))
    return str(known.__doc__).splitlines()[0]


def plain(report: Report, playbook: str) -> dict[str, Any]:
    """Return a report as values of JSON."""
    told = report._asdict() | {"bounds": report.bounds._asdict(), "seconds": round(report.seconds, 1), "playbook": playbook}
    return told | {"found": report.found.claim if report.found else None, "steps_to_it": len(report.found.actions) if report.found else 0}


def said(report: Report, playbook: str) -> str:
    """Return the same for people."""
    reached = "everything within the bounds" if report.complete else "NOT everything within the bounds: stopped"
    seen = f"{report.worlds:,} worlds, {report.edges:,} edges, depth {report.depth}; {report.parts:,} states of engines"
    lines = [f"{seen}, {report.steps:,} of their steps made; {report.recovered:,} worlds recovered; {report.seconds:.1f} s: {reached}"]
    if report.found:
        claim = report.found.claim
        lines += [f"BROKEN in {len(report.found.actions)} steps: {claim}: {doc_of(claim)}", "", playbook]
    return "\n".join(lines)


def show_faults(*, as_json: bool) -> int:
    """Put each fault in and print what caught it."""
    rows, missed = [], 0
    for name, fault in faults.FAULTS.items():
        before = time.monotonic()
        found, steps, worlds, playbook = faults.caught(fault)
        good = found in fault.claims
        missed += not good
        rows.append(
            {
                "fault": name,
                "what": fault.put.__doc__,
                "caught by": found,
                "steps": steps,
                "worlds": worlds,
                "as expected": good,
                "playbook": playbook,
            }
        )
        if not as_json:
            print(f"{name:28} {found or 'NOT CAUGHT':44} {steps:3} steps {worlds:7,} worlds {time.monotonic() - before:6.1f} s", flush=True)
    print(json.dumps(rows) if as_json else f"{len(rows) - missed} of {len(rows)} faults caught by the claim that names them")
    return 1 if missed else 0


def show_mutants(*, as_json: bool) -> int:
    """Judge each mutant; what breaks no claim has to be harmless."""
    judged = mutants.judge()
    kinds = harmless.sort_out(judged.mutants)
    bad = judged.broken or kinds.without or kinds.wrong
    if as_json:
        told = {"situations": judged.situations, "steps": judged.steps, "broken": judged.broken, **kinds._asdict()}
        print(json.dumps(told | {"mutants": {each.name: sorted(claims) for each, claims in judged.mutants.items()}}))
        return 1 if bad else 0
    lines = [f"BROKEN {each}" for each in judged.broken] + [f"SURVIVES {each}" for each in kinds.without]
    lines += [f"WRONG {each}" for each in kinds.wrong]
    lines += [f"{times:4} harmless: {kind}: {getattr(harmless, kind).__doc__}" for kind, times in kinds.kinds.items()]
    caught = sum(map(bool, judged.mutants.values()))
    lines.append(f"{judged.situations} situations, {judged.steps:,} steps; {len(judged.mutants):,} mutants: {caught:,} break a claim")
    print(*lines, sep="\n")
    return 1 if bad else 0


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.explore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bounds", type=bounds_of, default=Bounds(), metavar="NAME=NUMBER,...", help="how often what may be done")
    parser.add_argument("--recover", type=int, default=0, metavar="N", help="of how many worlds one has to recover; 0: none")
    parser.add_argument("--faults", action="store_true", help="put faults in, and see each caught")
    parser.add_argument("--mutants", action="store_true", help="change each cell of both tables")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    given = parser.parse_args(argv)
    if given.faults:
        return show_faults(as_json=given.json)
    if given.mutants:
        return show_mutants(as_json=given.json)
    report, playbook = explored(given.bounds, given.recover)
    print(json.dumps(plain(report, playbook)) if given.json else said(report, playbook))
    return 1 if report.found else 0 if report.complete else INCOMPLETE


if __name__ == "__main__":
    command.run(main, "lab.explore")
