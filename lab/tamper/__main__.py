"""Tampering: sound logs changed in every way that we know, each at random places; does the verifier find it, and where it is?

    python -m lab.tamper [--positions N] [--clean N] [--class NAME]... [--seed S] [--jobs N] [--evidence] [--json]

Without --class all of them, and clean logs, which must raise no alarm. --evidence writes docs/evidence/tamper.json and tamper.md. Exit
status 0: nothing was missed, and no false alarm; 1: something was. What was missed is said with what makes it again: --case runs one case.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from lab import command
from lab.tamper import evidence
from lab.tamper.corpus import CLEAN, Bases, Outcome, bases, classes, run, run_clean

POSITIONS: Final = 50
CLEAN_LOGS: Final = 100
PART: Final = 100  # cases or logs that one process takes at a time
ONLY_CLEAN: Final = "clean"


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.tamper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--positions", type=positive, default=POSITIONS, help=f"random positions of each class; {POSITIONS} unless told")
    parser.add_argument("--clean", type=positive, default=CLEAN_LOGS, help=f"clean logs; {CLEAN_LOGS} unless told")
    parser.add_argument(
        "--class",
        dest="name",
        action="append",
        choices=[*classes(), ONLY_CLEAN],
        metavar="NAME",
        help="one class, or clean; may be given again",
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed is another corpus; 1 unless told")
    parser.add_argument("--case", type=int, help="this case alone")
    parser.add_argument("--jobs", type=positive, default=1, help="processes; 1 unless told")
    parser.add_argument("--list", action="store_true", help="say which classes there are, and what each is")
    parser.add_argument("--evidence", action="store_true", help="write the result to docs/evidence")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """Return a number above zero."""
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be above zero")
    return number


def part(name: str, cases: range, made: Bases) -> Outcome:
    """Run a part of a class, or of the clean logs."""
    return run_clean(made, cases) if name == ONLY_CLEAN else run(classes()[name], made, cases)


def parts(given: argparse.Namespace) -> list[tuple[str, range]]:
    """Return what is to be run, divided."""
    names = given.name or [*classes(), ONLY_CLEAN]
    if given.case is not None:
        return [(name, range(given.case, given.case + 1)) for name in names]
    sizes = {name: given.clean if name == ONLY_CLEAN else given.positions for name in names}
    return [(name, range(at, min(at + PART, size))) for name, size in sizes.items() for at in range(0, size, PART)]


def outcomes(work: list[tuple[str, range]], made: Bases, jobs: int) -> Iterator[Outcome]:
    """Run all parts, in this process or in several, which share the bases."""
    if jobs == 1:
        yield from (part(*each, made) for each in work)
        return
    made.build_all()
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(part, *each, made) for each in work]
        try:
            yield from (each.result() for each in as_completed(waiting))
        finally:
            pool.shutdown(cancel_futures=True)


def collect(work: list[tuple[str, range]], made: Bases, jobs: int, tell: Callable[[str], object]) -> dict[str, Outcome]:
    """Run all parts and add them up, in the order of the classes."""
    names = [CLEAN if name == ONLY_CLEAN else name for name, _ in work]
    added = {name: Outcome(name) for name in names}
    for number, outcome in enumerate(outcomes(work, made, jobs), 1):
        added[outcome.name].add(outcome)
        for said in outcome.said:
            tell(said)
        tell(f"{number:4} of {len(work)} parts; {outcome.name}: {added[outcome.name].tried} tried, {added[outcome.name].missed} missed")
    return added


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    given = arguments(argv)
    if given.list:
        print("\n".join(f"{each.area:10} {each.name:42} {each.story}" for each in classes().values()))
        return 0
    began, made_of = time.monotonic(), evidence.circumstances()
    with bases(given.seed) as made:
        results = collect(parts(given), made, given.jobs, lambda said: print(said, file=sys.stderr, flush=True))
    told = evidence.summary(made_of, results, given.seed, time.monotonic() - began)
    if given.evidence:
        evidence.write(told)
    print(json.dumps(told) if given.json else evidence.sentence(told))
    return 1 if told["missed"] or told["false_alarms"] else 0


if __name__ == "__main__":
    command.run(main, "lab.tamper")
