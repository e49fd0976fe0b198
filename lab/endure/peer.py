"""Beside it: Debian's rsyslogd, which reads the same lines with imfile and ships them with omelasticsearch, under the same faults.

Two configurations, both with what its documentation recommends against loss: retries without end, a queue on disk, bookkeeping of the
file's position, batches as large as ours. The second also has ids, `create`, and a retry ruleset as in the documentation's example.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from opensearchpy.exceptions import OpenSearchException

from lab.demo import tied
from lab.endure.accounts import documents
from lab.endure.drive import Due, planned
from lab.endure.feed import Broken
from lab.endure.schedules import FOR_ANY, Steps
from lab.endure.world import Between
from lab.opensearch_node import Node

PROGRAM: Final = "/usr/sbin/rsyslogd"
MODULE: Final = "*/rsyslog/omelasticsearch.so"
RATE: Final = 1_000  # lines a second at most: its file is written while all goes on
STEP_S: Final = 0.05
ALL_S: Final = 5.0  # the same when each line is there
QUIET_S: Final = 25.0  # without a new document: it has nothing left, or will not send it
DRAIN_S: Final = 240.0
KILLS_A_ROUND: Final = 12
TOLD: Final = re.compile(r"rsyslogd\s+(\S+)")

INPUT: Final = """\
global(workDirectory="{work}" maxMessageSize="64k")
module(load="imfile")
module(load="omelasticsearch")
module(load="mmjsonparse")
template(name="document" type="string" string="%msg%")
template(name="id" type="string" string="%$!event_hash%")
input(type="imfile" file="{file}" tag="audit" ruleset="ship" persistStateInterval="{every}" freshStartTail="off")
"""
PLAIN: Final = (
    INPUT
    + """\
ruleset(name="ship") {{
    action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" searchIndex="{index}" searchType=""
        template="document" bulkmode="on" maxbytes="1m" errorfile="{errors}"
        action.resumeRetryCount="-1" action.resumeInterval="1" action.resumeIntervalMax="5"
        queue.type="LinkedList" queue.filename="audit" queue.saveOnShutdown="on" queue.size="100000"
        queue.dequeueBatchSize="1000" queue.checkpointInterval="1000")
}}
"""
)
STRICT: Final = (
    INPUT
    + """\
ruleset(name="ship") {{
    action(type="mmjsonparse" cookie="")
    call send
}}
ruleset(name="send") {{
    if strlen($.omes!status) > 0 then {{
        if ($.omes!status == 200) or ($.omes!status == 201) then {{ stop }}
        if ($.omes!status == 409) and ($.omes!writeoperation == "create") then {{ stop }}
    }}
    action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" searchIndex="{index}" searchType=""
        template="document" bulkmode="on" maxbytes="1m" errorfile="{errors}"
        bulkid="id" dynbulkid="on" writeoperation="create" retryfailures="on" retryruleset="send"
        action.resumeRetryCount="-1" action.resumeInterval="1" action.resumeIntervalMax="5"
        queue.type="Disk" queue.filename="audit" queue.syncQueueFiles="on" queue.saveOnShutdown="on"
        queue.dequeueBatchSize="1000" queue.checkpointInterval="1")
}}
"""
)


class Kind(NamedTuple):
    """A configuration. `every`: lines after which imfile notes its position."""

    name: str
    story: str
    text: str
    every: int


KINDS: Final = (
    Kind("as usual", "Bulk mode, a queue in memory that goes to disk, retries without end.", PLAIN, 1_000),
    Kind(
        "ids and create",
        "A queue on disk only, synced each time; ids that follow from the event, create, retries of failed items.",
        STRICT,
        1,
    ),
)


def missing() -> str:
    """Return why it cannot run here; empty when it can."""
    if not Path(PROGRAM).exists():
        return "no rsyslogd (Debian: rsyslog)"
    return "" if any(Path("/usr/lib").glob(MODULE)) else "no omelasticsearch (Debian: rsyslog-elasticsearch)"


def all_of(node: Node, place: Path, log: Path, given: argparse.Namespace, tell: Callable[[str], object]) -> list[dict[str, Any]]:
    """Run each configuration over `given.peer` lines of a log; nothing where there is no rsyslog, which is said."""
    if why := missing():
        tell(f"LEFT OUT, rsyslog: {why}")
        return []
    return [_one(kind, node, place / str(number), log, given, tell) for number, kind in enumerate(KINDS)]


class Peer(Between):
    """One rsyslogd, started again whenever it ends."""

    def __init__(self, kind: Kind, node: Node, place: Path, dice: Random, seconds: float) -> None:
        """Make directory, index and configuration."""
        self.index = f"endure-rsyslog-{place.name}"
        super().__init__(node, self.index, dice, seconds)
        (place / "work").mkdir(parents=True)
        self.file, self.errors = place / "lines", place / "errors"
        self.killed = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.text = kind.text.format(
            work=place / "work", file=self.file, every=kind.every, port=self.proxy.port, index=self.index, errors=self.errors
        )
        self._place, self._again = place, 0.0
        (place / "conf").write_text(self.text)
        self.file.touch()
        fields = {name: {"type": "keyword"} for name in ("chain_id", "event_hash", "event_class")}
        mappings = {"dynamic": False, "properties": fields | {"seq": {"type": "long"}}}
        self.client.indices.create(index=self.index, body={"settings": {"number_of_replicas": 0}, "mappings": mappings})

    def turn(self) -> None:
        """Start it when it does not run."""
        if self.process is not None and self.process.poll() is not None:
            self.process, self._again = None, time.monotonic() + STEP_S * 4
        if self.process is None and time.monotonic() >= self._again:
            (self._place / "pid").unlink(missing_ok=True)  # a killed one leaves it, and the next one would not start
            command = [PROGRAM, "-n", "-f", str(self._place / "conf"), "-i", str(self._place / "pid")]
            with (self._place / "err").open("ab") as said:
                self.process = subprocess.Popen(
                    [sys.executable, "-I", tied.__file__, str(os.getpid()), *command],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                )  # fmt: skip

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.killed += 1

    def stopped(self) -> Steps:
        """SIGSTOP and SIGCONT."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
            yield from self.during(self.seconds)
            self.process.send_signal(signal.SIGCONT)

    def count(self) -> int:
        """Return how many documents there are."""
        self.client.indices.refresh(index=self.index)
        return int(self.client.count(index=self.index)["count"])

    def distinct(self) -> int:
        """Return how many different lines are there, about."""
        several = {"lines": {"cardinality": {"field": "event_hash", "precision_threshold": 40_000}}}
        return int(self.client.search(index=self.index, body={"size": 0, "aggs": several})["aggregations"]["lines"]["value"])

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.close()


def lines_of(log: Path, count: int) -> Iterator[bytes]:
    """Yield lines of a log as documents: the event with its hash in front."""
    rows = (line for path in sorted(log.glob("audit-*.jsonl")) for line in path.read_bytes().splitlines())
    for line in islice(rows, count):
        event, _, digest = line.removeprefix(b'{"event":').rpartition(b',"hash":')
        yield b'{"event_hash":' + digest.removesuffix(b"}") + b"," + event[1:] + b"\n"


def _one(kind: Kind, node: Node, place: Path, log: Path, given: argparse.Namespace, tell: Callable[[str], object]) -> dict[str, Any]:
    dice = Random(f"{given.seed} {kind.name}")  # nosec B311  # the same run for the same seed
    peer = Peer(kind, node, place, dice, given.seconds)
    began = time.monotonic()
    try:
        rows = list(lines_of(log, given.peer))
        names = [name for name in FOR_ANY if not given.schedule or name in given.schedule]
        plan = planned([*names, "stopped", *["rsyslogd"] * min(KILLS_A_ROUND, given.kills)] * given.rounds, len(rows), dice)
        _drive(peer, rows, plan, lambda said: tell(f"rsyslog, {kind.name}: {said}"))
        found = [hit["fields"]["event_hash"][0] for hit in documents(peer.client, peer.index)]
        return {
            "name": kind.name,
            "story": kind.story,
            "version": _version(),
            "configuration": peer.text.replace(str(place), "DIR").replace(f'"{peer.proxy.port}"', '"PORT"'),
            "lines": len(rows),
            "lost": len(rows) - len(set(found)),
            "again": len(found) - len(set(found)),
            "errors": len(peer.errors.read_bytes().splitlines()) if peer.errors.exists() else 0,
            "killed": {"rsyslogd": peer.killed, "node": peer.killed_nodes},
            "schedules": sorted({*names, "stopped"}),
            "seconds": round(time.monotonic() - began, 1),
        }
    finally:
        peer.end()


def _drive(peer: Peer, rows: list[bytes], plan: list[Due], tell: Callable[[str], object]) -> None:
    """Write the lines while what the plan says happens; then let it drain."""
    written, best, running, wake, told = 0, 0, None, 0.0, 0.0
    started = moved = time.monotonic()
    quiet = QUIET_S
    with peer.file.open("ab", buffering=0) as file:
        while written < len(rows) or plan or running is not None or time.monotonic() - moved < quiet:
            peer.turn()
            now = time.monotonic()
            more = rows[written : min(len(rows), written + int(RATE * STEP_S))]
            file.write(b"".join(more))
            written += len(more)
            if running is None and plan and written >= plan[0].at:
                running, wake = _steps(peer, plan.pop(0).name), now
            if running is not None and now >= wake:
                wait = next(running, None)
                running, wake = (None if wait is None else running), now + (wait or 0.0)
            if now - told > 1:
                told = now
                with suppress(OpenSearchException):  # the node may be down
                    best, moved = (count, now) if (count := peer.count()) > best else (best, moved)
                    quiet = ALL_S if peer.distinct() >= len(rows) else QUIET_S
                tell(f"{written:,} written, {best:,} documents, {len(plan)} to come")
            if written < len(rows) or plan or running is not None:
                moved = now
            if now - started > DRAIN_S + 30 * len(rows) / RATE:
                raise Broken("rsyslog's run does not end")
            time.sleep(STEP_S)


def _steps(peer: Peer, name: str) -> Steps:
    if name == "rsyslogd":
        yield from peer.during(STEP_S)
        peer.kill()
    elif name == "stopped":
        yield from peer.stopped()
    else:
        yield from FOR_ANY[name](peer)


def _version() -> str:
    said = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, check=False).stdout
    found = TOLD.search(said)
    return found[1] if found else "unknown"
