"""`make bench-core`: the core on one processor, held against the bars that the project has set itself.

    python -m lab.bench.core [--json] [--quick]

Writes docs/evidence/bench-core.*, but not with `--quick`, whose figures say only that the instrument works. Exit status: 0 also when a bar
is not met, which is a result; another when something did not run.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from rich.console import Console

from lab import command, evidence
from lab.bench import memory, storm
from lab.bench.figures import Bar, Series, in_turns, row
from lab.bench.subjects import SESSIONS, Curve, Data, Door, bars, shown

NAME: Final = "bench-core"
MEMORY_BYTES: Final = 1_500
STORM_S: Final = 6.0
SECOND_NS: Final = 1_000_000_000
METHOD: Final = (
    "All of it ran on one processor. Times are medians over rounds in which everything is timed in turns, with quartiles; each ratio is",
    "taken round by round. *X25519* is one key made and four secrets shared, as one reattach costs the gateway. *All cryptography* is that",
    "with the hashes, HMACs and seals of the same reattach and nothing else: no Python around it can be faster. The memory is the growth",
    "of a process of its own; it contains what the gateway keeps of each accepted INIT for two minutes (at most 65,536 of them). The storm",
    "has the real store on this disk; the devices' work is not in its time, nor the network, nor the writer of the log.",
)


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    calls: int
    door: int
    memory: int
    storm: int


LONG: Final = Size(rounds=20, calls=60, door=SESSIONS, memory=100_000, storm=10_000)
QUICK: Final = Size(rounds=2, calls=3, door=4, memory=50, storm=20)


def main(arguments: Sequence[str]) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.core", description="The core on one processor, against its bars.")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    parser.add_argument("--idle", type=int, default=LONG.memory, help="how many idle sessions the memory is measured with")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs; writes nothing")
    given = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with Console(stderr=True).status("starting") as status:
        document = measure(QUICK if given.quick else LONG._replace(memory=given.idle), status.update)
    print(json.dumps(document) if given.json else "\n".join(page(document)))
    if not given.quick:
        evidence.write(NAME, document, page(document))
    return 0


def measure(size: Size, tell: Callable[[str], object] = lambda _: None) -> dict[str, Any]:
    """Return everything that is written down."""
    load = os.getloadavg()[0]
    series = in_turns([*Door(size.door).subjects(), *Data().subjects(), *Curve().subjects()], size.rounds, size.calls, tell)
    tell(f"{size.storm} sessions move at once")
    stormed = storm.storm(size.storm, tell)
    tell(f"{size.memory} idle sessions")
    held = memory.measured(size.memory)
    return document(series, stormed, held) | {
        "rounds": size.rounds,
        "load_before": round(load, 1),
        "made": evidence.circumstances("cryptography"),
    }


def document(series: dict[str, Series], stormed: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """Return figures and bars of what was measured."""
    judged = [
        *bars(series),
        Bar("memory", f"an idle session, of {held['sessions']:,}", held["bytes_at_rest"], MEMORY_BYTES, "bytes"),
        Bar("storm", f"{stormed['sessions']:,} sessions move, with the store", stormed["ns"] / SECOND_NS, STORM_S, "s"),
    ]
    return {
        "bars": [each.plain() for each in judged],
        "ratios": [each.plain() for each in shown(series)],
        "series": [each.plain() for each in series.values()],
        "storm": stormed,
        "memory": held,
    }


def page(document: dict[str, Any]) -> list[str]:
    """Return the lines of bench-core.md."""
    held, stormed = document["memory"], document["storm"]
    met = sum(bar["met"] for bar in document["bars"])
    seconds = {name: stormed[name] / SECOND_NS for name in ("attempts_ns", "commits_ns", "processor_ns", "bare_write_ns")}
    sizes, tables = (", ".join(f"{name} {size}" for name, size in held[what].items()) for what in ("objects", "tables"))
    return [
        "# The core on one processor: the last run",
        "",
        f"Made by `make bench-core`, not by hand. {evidence.sentence(document['made'])}",
        f"The machine's load before it was {document['load_before']}.",
        "",
        f"**{met} of {len(document['bars'])} bars are met.**",
        "",
        "| what | measured | quartiles | at most | |",
        "|---|---|---|---|---|",
        *map(row, [*document["bars"], *document["ratios"]]),
        "",
        "| what | time of one, ns | quartiles |",
        "|---|---|---|",
        *(
            f"| {each['what']} | {each['median_ns']:,} | {' to '.join(f'{at:,}' for at in each['quartiles_ns'])} |"
            for each in document["series"]
        ),
        "",
        f"The storm: {seconds['attempts_ns']:.2f} s to the answers to all attempts, {seconds['commits_ns']:.2f} s from the confirmations",
        f"to the last ACK; the processor worked {seconds['processor_ns']:.2f} s of it. One bare write of 4 kB to this disk took",
        f"{seconds['bare_write_ns'] * 1_000:.2f} ms.",
        "",
        f"The objects of one idle session, in bytes: {sizes}; together {sum(held['objects'].values()):,}.",
        f"Its share of the gateway's tables: {tables}; together {sum(held['tables'].values()):,}.",
        "The rest of its growth is what the allocator loses between objects of several sizes.",
        "",
        *METHOD,
    ]


if __name__ == "__main__":
    command.run(main, "lab.bench.core")
