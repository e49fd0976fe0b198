"""Endurance: events by the million through the real writer, shipper and node, which are killed and hindered all the time; an exact account.

    python -m lab.endure [--events N] [--kills N] [--rounds N] [--schedule NAME]... [--seed S] [--peer N] [--evidence] [--json]

Without --schedule all of them, each --rounds times. Where file systems cannot be mounted, those that need a small disk are left out, and
that is said. --peer: so many of the same lines through rsyslog's omelasticsearch, in each of its configurations. --evidence writes
docs/evidence/endure.json and endure.md. Exit status 0: every claim holds; 1: one does not; 2: it could not be carried through.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from lab import command
from lab.endure import accounts, drive, evidence, mounts, peer
from lab.endure.drive import KILLS, Lane, planned
from lab.endure.feed import Broken
from lab.endure.schedules import SCHEDULES
from lab.endure.world import World
from lab.opensearch_fetch import FetchError, fetch
from lab.opensearch_node import QUICK_START, THROUGHPUT, Node, NodeError
from lab.tamper.__main__ import positive

SMALL_SHARE: Final = 25  # one event of so many goes to the log on a small disk
SMALL_MOST: Final = 30_000
SMALL_MB: Final = 96
STATE_MB: Final = 8
MANY: Final = 100_000  # events from which on a node for throughput is worth its start
NODE_KILLS: Final = 25  # one kill of so many is the node's
LOG_DISK: Final = ("log_disk_full", "log_disk_gone")

Tell = Callable[[str], object]


class Leg(NamedTuple):
    """A log of so many events, what is killed and what goes wrong meanwhile; `small`: on a small disk."""

    name: str
    events: int
    kills: list[str]
    faults: list[str]
    small: bool = False


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.endure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=positive, default=20_000, help="events in the logs, at least; 20,000 unless told")
    parser.add_argument("--kills", type=positive, default=40, help="kill -9, at least, of which one in 25 of the node; 40 unless told")
    parser.add_argument("--rounds", type=positive, default=1, help="how often each schedule is carried through; once unless told")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a fault lasts, about; 3 unless told")
    parser.add_argument("--schedule", action="append", choices=SCHEDULES, metavar="NAME", help="one schedule; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another run; 1 unless told")
    parser.add_argument("--peer", type=int, default=0, metavar="N", help="lines for rsyslog; 0, none, unless told")
    parser.add_argument("--list", action="store_true", help="say which schedules there are, and what each is")
    parser.add_argument("--evidence", action="store_true", help="write the result to docs/evidence")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser.parse_args(argv)


def legs(given: argparse.Namespace, *, mounted: bool) -> tuple[list[Leg], list[str]]:
    """Return what is to be run, and the schedules that are left out because nothing can be mounted."""
    wanted = [name for name in given.schedule or SCHEDULES if name != "node_killed" or given.schedule]
    left_out = [name for name in wanted if SCHEDULES[name].mounted and not mounted]
    wanted = [name for name in wanted if name not in left_out]
    small = [name for name in wanted if name in LOG_DISK]
    nodes = max(1, given.kills // NODE_KILLS)
    kills = [KILLS[number % len(KILLS)] for number in range(given.kills - nodes)]
    main = [name for name in wanted if name not in small] * given.rounds + ["node_killed"] * nodes
    events = min(SMALL_MOST, given.events // SMALL_SHARE) if small else 0
    some = len(kills) // SMALL_SHARE if small else 0
    found = [Leg("large", given.events - events, kills[some:], main)]
    return found + ([Leg("small disk", events, kills[:some], small * given.rounds, small=True)] if small else []), left_out


def carry(leg: Leg, node: Node, place: Path, given: argparse.Namespace, tell: Tell, *, mounted: bool) -> dict[str, Any]:
    """Carry a leg through; return its account."""
    dice, small = Random(f"{given.seed} {leg.name}"), place / "small"  # nosec B311  # the same run for the same seed
    (place / "state").mkdir(parents=True)
    prefix = f"endure-{leg.name.replace(' ', '-')}"
    with ExitStack() as stack:
        for path, megabytes in ((place / "state", STATE_MB), *(((small, SMALL_MB),) if leg.small else ())):
            if mounted:
                stack.enter_context(mounts.mounted(path, megabytes))
        world = World(node, place, prefix=prefix, events=leg.events, dice=dice, seconds=given.seconds, small=small if leg.small else None)
        stack.enter_context(world)
        kills, faults = Lane(planned(leg.kills, leg.events, dice)), Lane(planned(leg.faults, leg.events, dice))
        seconds = drive.run(world, kills, faults, lambda said: tell(f"{leg.name}: {said}"))
        tell(f"{leg.name}: {world.feed.events():,} events in {seconds:.0f} s; the account is made up")
        began = time.monotonic()
        return accounts.judge(world) | {
            "name": leg.name,
            "seconds": round(seconds, 1),
            "judged_in": round(time.monotonic() - began, 1),
            "killed": dict(sorted(world.killed().items())),
            "ended_by_themselves": {"writer": dict(world.feed.ended), "shipper": dict(world.shipping.ended)},
            "schedules": dict(sorted(faults.done.items())),
            "requests_that_met_a_fault": dict(sorted(world.proxy.met.items())),
        }


def endure(given: argparse.Namespace, tell: Tell, *, mounted: bool) -> dict[str, Any]:
    """Run everything; return it as plain values. Raises Broken, NodeError and FetchError."""
    made, began = evidence.circumstances(), time.monotonic()
    work, left_out = legs(given, mounted=mounted)
    for name in left_out:
        tell(f"LEFT OUT, because no file system can be mounted here: {name}")
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jvpn-endure-")))
        tell("an OpenSearch node starts")
        node = stack.enter_context(Node(fetch(), jvm=THROUGHPUT if given.events >= MANY else QUICK_START))
        found = [carry(leg, node, place / leg.name.replace(" ", "-"), given, tell, mounted=mounted) for leg in work]
        peers = peer.all_of(node, place / "peer", place / "large" / "log" / "audit", given, tell) if given.peer else []
    seconds = time.monotonic() - began
    return evidence.summary(made, found, peers, {"seed": given.seed, "seconds": round(seconds, 1), "left_out": left_out})


def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    given = arguments(argv)
    if given.list:
        print("\n".join(f"{each.name:30} {each.story}" for each in SCHEDULES.values()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs is ended on the way out
    why = mounts.alone(["-m", "lab.endure", *argv])
    try:
        told = endure(given, lambda said: print(said, file=sys.stderr, flush=True), mounted=not why)
    except (Broken, NodeError, FetchError) as error:
        print(f"lab.endure: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        error.add_note("writer, shipper, rsyslog, proxy and node, with all that they wrote")
        raise
    if given.evidence:
        evidence.write(told)
    print(json.dumps(told) if given.json else evidence.sentence(told))
    return 0 if told["holds"] else 1


if __name__ == "__main__":
    command.run(main, "lab.endure")
