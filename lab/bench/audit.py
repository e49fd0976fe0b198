"""`make bench-audit`: sealing and verifying on one processor, against the least that any program must do for the same events.

    python -m lab.bench.audit [--json] [--quick]

Writes docs/evidence/bench-audit.*, but not with `--quick`. Exit status: 0 also when a bar is not met, which is a result.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import orjson
from rich.console import Console

from audit.chain import Head
from audit.event import Builder, Moment
from audit.files import create_key, segments_in
from audit.journal import Batch, Journal, open_journal
from audit.pseudonym import names_of
from audit.record import pack
from audit.segments import SEGMENT_BYTES, Log
from audit.tlog import epochs
from audit.tlog.merkle import Frontier, leaf
from audit.verify import verify
from core.reasons import Carrier, Event, Reason
from core.values import Endpoint, Fact, Instant
from lab import command, evidence
from lab.bench.figures import Bar, Series, Subject, in_turns, number, ratio, row

NAME: Final = "bench-audit"
KEY, NODE, BOOT = bytes(32), b"a node's", b"one boot"
WALL_NS: Final = 1_795_000_000_000_000_000
PER_BATCH: Final = 256
SEALED_MOST: Final = 2.0  # half of what canonical bytes and their hash alone allow
VERIFIED_US: Final = 1e6 / 75_000
METHOD: Final = (
    "All of it ran on one processor. Times are medians over rounds in which everything is timed in turns, with quartiles; ratios are taken",
    "round by round. *Canonical and hashed* is the limit: each event's canonical JSON by orjson, and its SHA-256. *Sealed* begins with",
    "the same valid events and ends with chained lines and the tree over them. *Written* begins with records of 256 bytes: it reads and",
    "checks them, makes events, validates each against its schema, seals them, and makes a batch of 256 durable on this disk.",
    "*Verified* is `audit.verify` over a whole log: form, hash, schema, chain, machine, tree, seals.",
)


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    calls: int
    events: int


LONG: Final = Size(rounds=20, calls=8, events=20_000)
QUICK: Final = Size(rounds=2, calls=1, events=600)


def main(arguments: Sequence[str]) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.audit", description="Sealing and verifying, against their bars.")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs; writes nothing")
    given = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with Console(stderr=True).status("starting") as status, tempfile.TemporaryDirectory(prefix="jvpn-bench-") as place:
        document = measure(QUICK if given.quick else LONG, Path(place), status.update)
    print(json.dumps(document) if given.json else "\n".join(page(document)))
    if not given.quick:
        evidence.write(NAME, document, page(document))
    return 0


def measure(size: Size, place: Path, tell: Callable[[str], object] = lambda _: None) -> dict[str, Any]:
    """Return everything that is written down."""
    load = os.getloadavg()[0]
    with World(place / "written" / "log") as world, World(place / "verified" / "log") as verified:
        for _ in range(0, size.events, PER_BATCH):
            verified.journal.write(verified.records, ())
        verified.journal.close()
        series = in_turns([*world.subjects(), verified.to_verify()], size.rounds, size.calls, tell)
    return document(series) | {"rounds": size.rounds, "load_before": round(load, 1), "made": evidence.circumstances("orjson")}


def document(series: dict[str, Series]) -> dict[str, Any]:
    """Return figures and bars of what was measured."""
    verified = series["verified"]
    low, high = verified.spread
    bars = [
        ratio("sealed", "sealed, to canonical and hashed alone", series["sealed"], series["canonical"], SEALED_MOST),
        Bar("verified", "an event verified", verified.median / 1_000, VERIFIED_US, "µs", (low / 1_000, high / 1_000)),
    ]
    shown = [
        ratio("written", "written durably, to canonical and hashed alone", series["written"], series["canonical"], float("inf")),
        ratio("read", "verified, to parsed and hashed alone", verified, series["parsed"], float("inf")),
    ]
    return {
        "bars": [each.plain() for each in bars],
        "ratios": [each.plain() for each in shown],
        "series": [each.plain() for each in series.values()],
    }


def page(document: dict[str, Any]) -> list[str]:
    """Return the lines of bench-audit.md."""
    met = sum(bar["met"] for bar in document["bars"])
    return [
        "# The audit log on one processor: the last run",
        "",
        f"Made by `make bench-audit`, not by hand. {evidence.sentence(document['made'])}",
        f"The machine's load before it was {document['load_before']}.",
        "",
        f"**{met} of {len(document['bars'])} bars are met.**",
        "",
        "| what | measured | quartiles | at most | |",
        "|---|---|---|---|---|",
        *map(row, [*document["bars"], *document["ratios"]]),
        "",
        "| what | time of one, ns | quartiles | in a second |",
        "|---|---|---|---|",
        *(
            f"| {each['what']} | {each['median_ns']:,} | {' to '.join(f'{at:,}' for at in each['quartiles_ns'])} | "
            f"{number(1e9 / each['median_ns'], 'events')} |"
            for each in document["series"]
        ),
        "",
        *METHOD,
    ]


class World:
    """A log with its writer's parts, and records to write into it."""

    def __init__(self, directory: Path) -> None:
        """Begin a log there."""
        create_key(epochs.key_path(directory), epochs.fresh(KEY))
        self.directory = directory
        self.now = 0
        self.builder = Builder(NODE, BOOT, "gateway", names_of(KEY))
        self.log: Log
        self.journal: Journal
        self.log, self.journal = open_journal(directory, NODE, BOOT, self.builder, self._clock, SEGMENT_BYTES)
        self.records = [pack(_fact(serial), WALL_NS + serial, BOOT) for serial in range(1, PER_BATCH + 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def subjects(self) -> list[Subject]:
        """What is timed of writing, and its limits."""
        self.journal.write(self.records, ())
        lines = segments_in(self.directory)[0].read_bytes().splitlines()[1 : PER_BATCH + 1]
        events = [orjson.loads(line)["event"] for line in lines]
        raw = [orjson.dumps(event, option=orjson.OPT_SORT_KEYS) for event in events]
        return [
            Subject("canonical", "canonical and hashed", lambda: None, lambda _: _canonical(events), of=PER_BATCH),
            Subject("sealed", "sealed", Frontier, lambda tree: self._sealed(events, tree), of=PER_BATCH),
            Subject("written", "written durably", lambda: None, lambda _: self.journal.write(self.records, ()), of=PER_BATCH),
            Subject("parsed", "parsed and hashed", lambda: None, lambda _: _parsed(raw), of=PER_BATCH),
        ]

    def to_verify(self) -> Subject:
        """The whole log, to be verified."""
        events = verify(self.directory).events
        return Subject("verified", "verified", lambda: None, lambda _: verify(self.directory), of=events)

    def _sealed(self, events: list[dict[str, Any]], tree: Frontier) -> None:
        batch = Batch(Head("0" * 32, 0, "0" * 64), self.builder, Moment(0, 0))
        for event in events:
            batch.add(event)
        tree.extend([leaf(each) for each in batch.hashes])

    def _clock(self) -> Moment:
        self.now += 1_000
        return Moment(WALL_NS + self.now, self.now)


def _canonical(events: list[dict[str, Any]]) -> None:
    for event in events:
        sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _parsed(raw: list[bytes]) -> None:
    for data in raw:
        sha256(data).hexdigest()
        orjson.loads(data)


def _fact(serial: int) -> Fact:
    """A refusal, which is what comes in masses."""
    return Fact(
        Event.TRAFFIC_REFUSED, Reason.MAC1_WRONG, serial, 0, Instant(serial), carrier_to=Carrier.UDP,
        remote=Endpoint(bytes(10) + b"\xff\xff\xc0\x00\x02" + bytes((serial % 256,)), 51_820), times=1,
    )  # fmt: skip


if __name__ == "__main__":
    command.run(main, "lab.bench.audit")
