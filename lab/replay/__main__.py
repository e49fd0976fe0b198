"""Replays datagrams against a gateway and a client in every state they can reach, from three places each.

    python -m lab.replay DIR [--json]
    python -m lab.replay --record DIR

Each file in DIR, recursively and in the order of names, is one datagram. It meets each engine in each state afresh: on the path of the
session (bound), from an address that nobody knows (foreign), and on a connection that nobody knows (stream). Printed is how often it was
refused and why, what was answered, and what was changed by true frames: those that engines of these worlds, which all have one seed, made
with their keys, and that --record writes; a true locator alone may have a row read. Everything else that changes something, and any
exception, is a finding.

Exit status 0: no finding; 1: findings; 2: DIR is missing, empty or not readable.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from lab import command
from lab.replay.judge import Cell, feed
from lab.replay.states import names, stage, true_frames

SIZE_MAX: Final = 65_535  # no datagram is longer
SHOWN: Final = 20  # findings in the table; --json has all
TELL_S: Final = 2.0


class Unusable(Exception):
    """What is given cannot be replayed; the message says why."""


def read(folder: Path) -> list[tuple[str, bytes]]:
    """Return name and content of each file in a folder; raise Unusable."""
    if not folder.is_dir():
        raise Unusable(f"{folder}: no such directory" if not folder.exists() else f"{folder}: not a directory")
    files = []
    for path in sorted(each for each in folder.rglob("*") if not each.is_dir()):
        if not path.is_file():
            raise Unusable(f"{path}: not a regular file")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from error
        if len(data) > SIZE_MAX:
            raise Unusable(f"{path}: {len(data):,} bytes, but a datagram has at most {SIZE_MAX:,}")
        files.append((str(path.relative_to(folder)), data))
    if not files:
        raise Unusable(f"{folder}: no files in it")
    return files


def replay(files: list[tuple[str, bytes]]) -> list[Cell]:
    """Feed all files in all states from all places; say on standard error how far it is."""
    cells, told, all_names = list[Cell](), time.monotonic(), names()
    for number, name in enumerate(all_names):
        at = stage(name)
        for place in at.places:
            cells.append(feed(at, place, files, true_frames()))
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                print(f"state {number + 1} of {len(all_names)}: {name}, {place}", file=sys.stderr, flush=True)
    return cells


def record(folder: Path) -> int:
    """Write every frame that the worlds of all states make with keys; return how many there are."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (frame, kind) in enumerate(true_frames().items()):
            (folder / f"{number:05}-{kind}").write_bytes(frame)
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from error
    return len(true_frames())


def plain(cells: list[Cell], files: int) -> dict[str, Any]:
    """Return everything as values of JSON."""
    each = [{"state": cell.state, "place": cell.place, "files": cell.files, "refused": cell.refused, "answers": cell.answers,
             "changes": cell.changes, "changed": {kind: sorted(what) for kind, what in cell.changed.items()},
             "findings": [finding._asdict() for finding in cell.findings]} for cell in cells]  # fmt: skip
    return {
        "files": files,
        "states": len({cell.state for cell in cells}),
        "fed": sum(cell.files for cell in cells),
        "exceptions": sum(finding.what == "exception" for cell in cells for finding in cell.findings),
        "unexplained_changes": sum(finding.what == "change" for cell in cells for finding in cell.findings),
        "refused": dict(sum((cell.refused for cell in cells), Counter[str]()).most_common()),
        "answers": dict(sum((cell.answers for cell in cells), Counter[str]()).most_common()),
        "cells": each,
    }


def table(cells: list[Cell], told: dict[str, Any]) -> str:
    """Return the same for people."""
    lines = [f"{'state':44} {'from':8} {'refused':>8}  {'answered':28} changed by true frames"]
    for cell in cells:
        answers = ", ".join(f"{count} {kind}" for kind, count in sorted(cell.answers.items())) or "-"
        changes = ", ".join(f"{count} {kind}" for kind, count in sorted(cell.changes.items())) or "-"
        lines.append(f"{cell.state:44} {cell.place:8} {cell.refused.total():8}  {answers:28} {changes}")
    changed: dict[str, set[str]] = {}
    for cell in cells:
        for kind, attributes in cell.changed.items():
            changed.setdefault(kind, set()).update(attributes)
    lines += ["", "changed by true frames:", *(f"{kind:>14}: {', '.join(sorted(what))}" for kind, what in sorted(changed.items()))]
    lines += ["", "refused, by reason:", *(f"{count:10,}  {reason}" for reason, count in told["refused"].items())]
    found = [finding for cell in cells for finding in cell.findings]
    lines += ["", *(f"FINDING {each.what}: {each.file}, {each.state}, {each.place}: {each.details}" for each in found[:SHOWN])]
    lines += [f"... and {len(found) - SHOWN} more: --json"] if len(found) > SHOWN else []
    lines.append(
        f"{told['files']:,} files, {told['states']} states, fed {told['fed']:,} times: "
        f"{told['exceptions']} exceptions, {told['unexplained_changes']} unexplained changes"
    )
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR", type=Path, help="a directory of datagrams, one a file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--record", action="store_true", help="write true frames into DIR instead of replaying it")
    given = parser.parse_args(argv)
    try:
        if given.record:
            print(f"{record(given.dir):,} frames written to {given.dir}")
            return 0
        files = read(given.dir)
    except Unusable as error:
        print(f"lab.replay: {error}", file=sys.stderr)
        return 2
    cells = replay(files)
    told = plain(cells, len(files))
    print(json.dumps(told) if given.json else table(cells, told))
    return 1 if told["exceptions"] or told["unexplained_changes"] else 0


if __name__ == "__main__":
    command.run(main, "lab.replay")
