"""Coverage-guided fuzzing of parsers and engines.

    python -m lab.fuzz [--target NAME]... [--runs N | --seconds S] [--resume] [--evidence] [--json]

Without --target all of them: N inputs are divided among them so that cheap ones get more, S seconds equally. --resume goes on where
the last run of the same code was stopped. --evidence writes docs/evidence/fuzz.json and fuzz.md. Exit status 0: no crash; 1: a crash,
whose input is kept; 2: nothing was run. An input is run again with

    python -m lab.fuzz --input FILE --target NAME
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final

from lab import command
from lab.fuzz import evidence
from lab.fuzz.driver import COMMITTED, TARGETS, WORKING, Missing, Result, available, fuzz, shares

PART_RUNS: Final = 200_000  # a stop loses at most this many inputs of a target
PART_SECONDS: Final = 60
RUNS: Final = 100_000
TELL_S: Final = 5.0


class Ticker:
    """Says on standard error how far a run is, at most every few seconds."""

    def __init__(self, results: dict[str, Result]) -> None:
        """Count what has been executed before."""
        self._results, self._last = results, 0.0

    def __call__(self, now: Result) -> None:
        """Say it when it is time."""
        if time.monotonic() - self._last > TELL_S:
            self._last = time.monotonic()
            done = now.executions + sum(each.executions for each in self._results.values())
            print(f"{done:>12,} inputs; {now.target}: {now.edges} edges, {now.corpus} kept", file=sys.stderr, flush=True)


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=TARGETS, help="one target; may be given again")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument("--runs", type=positive, help=f"inputs, over all targets; {RUNS:,} unless told")
    bound.add_argument("--seconds", type=positive, help="seconds, over all targets")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was stopped")
    parser.add_argument("--evidence", action="store_true", help="write the result to docs/evidence")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--input", type=Path, help="run this one input in this process, and show what it raises")
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """Return a number above zero."""
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be above zero")
    return number


def run(given: argparse.Namespace, results: dict[str, Result]) -> None:
    """Fuzz all targets in turn, in parts, until each has had its share."""
    names = given.target or list(TARGETS)
    divided = shares(given.runs or RUNS) if len(names) == len(TARGETS) else dict.fromkeys(names, -(-(given.runs or RUNS) // len(names)))
    ticker = Ticker(results)
    for name in names:
        total, seconds = results[name], (given.seconds or 0) / len(names)
        while not total.crashes and (total.seconds < seconds if given.seconds else total.executions < divided[name]):
            runs = 0 if given.seconds else min(PART_RUNS, divided[name] - total.executions)
            limit = max(1, round(min(PART_SECONDS, seconds - total.seconds))) if given.seconds else 0
            began, seed = time.monotonic(), 1 + total.executions % (2**31 - 1)
            part = fuzz(name, runs=runs, seconds=limit, seed=seed, folder=WORKING, corpus=COMMITTED, tell=ticker)
            part.seconds = time.monotonic() - began
            evidence.add(total, part)
            if part.crashes:
                print(part.said, file=sys.stderr)
            evidence.keep(results)


def again(target: str, path: Path) -> int:
    """Run one input in this process."""
    from lab.fuzz.targets import MAKERS  # noqa: PLC0415 - the engines take a moment, and only this needs them

    MAKERS[target]()(path.read_bytes())
    print(f"{target}: nothing wrong with this input")
    return 0


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    given = arguments(argv)
    if given.input:
        if not given.target or len(given.target) != 1 or not given.input.is_file():
            print("--input needs a file, and one --target", file=sys.stderr)
            return 2
        return again(given.target[0], given.input)
    if why := available():
        print(why, file=sys.stderr)
        return 2
    results = evidence.begin(resume=given.resume)
    interrupted: KeyboardInterrupt | None = None
    try:
        run(given, results)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:  # what was done counts
        error.add_note("the fuzzer; --resume goes on")
        interrupted = error
    if given.evidence:
        evidence.write(results)
    told = evidence.summary(results)
    if given.json:
        print(json.dumps(told))
    else:
        for each in results.values():
            if each.executions:
                crashed = ", ".join(each.crashes) or "none"
                print(f"{each.target:12} {each.executions:12,} inputs {each.seconds:8.1f} s {each.edges:6} edges, crashes: {crashed}")
        print(f"{told['executions']:,} inputs, {told['crashes']} crashes; what crashed is kept in {WORKING / 'crashes'}")
    if interrupted:
        raise interrupted
    return 1 if told["crashes"] else 0


if __name__ == "__main__":
    command.run(main, "lab.fuzz")
