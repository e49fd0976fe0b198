"""The golden corpus: for each schema version a complete small log of a gateway and of a client, which every later version must read.

python -m lab.golden            writes tests/golden/VERSION of the version in schemas/registry.toml
python -m lab.golden --check    exit status 1 and the names of stale files

Every pair of event and reason that the version registers stands in one of the two logs. They are made by the real journal with a clock and
dice of its own, so the same program gives the same bytes. A version that is released (schemas/released) is never written again.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final
from unittest.mock import patch

from audit.event import STATES, Builder, Moment
from audit.files import COSIGNED, LOCK, RESERVE, create_key, segments_in
from audit.journal import RETRY_NS, Journal, Notice, open_journal
from audit.lives import BIRTHS, KEY_STEPS
from audit.machine import ENTRIES, allowed
from audit.pseudonym import names_of
from audit.record import RECORD_BYTES, pack
from audit.segments import Log
from audit.tlog import epochs, note
from audit.tlog.publishing import Publisher, Tree
from audit.verify import verify
from audit.vocabulary import Kind, vocabulary
from core.client.table import ROWS as CLIENT_ROWS
from core.keys.states import Kind as KeyKind
from core.keys.states import State as KeyState
from core.reasons import Event, Reason
from core.session.table import ROWS as SESSION_ROWS
from core.values import Endpoint, Fact, Instant
from lab.tamper.base import cosign, policy_of

ROOT: Final = Path(__file__).resolve().parent.parent
CORPUS: Final = ROOT / "tests" / "golden"
RELEASED: Final = ROOT / "schemas" / "released"
NODES: Final = {"gateway": b"gateway ", "client": b"client  "}
SECRET: Final = bytes(range(32))
NAMES: Final = bytes(range(32, 64))
WALL: Final = 1_796_083_198_000_000_000  # 2026-11-30T23:59:58Z: the logs go over the end of a month
STEP_NS: Final = 10_000_000
EPOCH_NS: Final = 1_000 * STEP_NS
SEGMENT_BYTES: Final = 48_000
REMOTE: Final = Endpoint(bytes(10) + b"\xff\xff\xc0\x00\x02\x07", 51_820)
PROVEN: Final = 17  # the event that a proof file is made of
ROLES: Final = ("gateway", "client")
LEFT_OUT: Final = (RESERVE, LOCK, "audit.key")  # no part of a log that is put away


class Clock:
    """A clock that goes on by a step each time it is read."""

    def __init__(self) -> None:
        """Begin two seconds before the end of a month."""
        self.ns = 0

    def __call__(self) -> Moment:
        """Read it."""
        self.ns += STEP_NS
        return Moment(WALL + self.ns, self.ns)


def facts(role: str) -> Iterator[Fact]:
    """Yield a fact for each pair of event and reason that this role may record, each of another session, device and key."""
    number = 0
    for kind in vocabulary().kinds.values():
        if kind.event_class == "integrity" or kind.role not in (role, "both"):
            continue
        for reason in kind.reasons:
            number += 1
            yield _fact(kind, reason, role, number)


def _fact(kind: Kind, reason: str, role: str, number: int) -> Fact:
    before, after = _states(kind, reason, role)
    given = kind.fields
    fact = Fact(Event[kind.name], Reason[reason], number, max(number - 1, 0), Instant(number * STEP_NS))
    if "session" in given:
        handle = number if role == "gateway" else 0
        fact = fact._replace(handle=handle, correlation=number.to_bytes(16, "big"))
    if "state" in given:
        fact = fact._replace(state_from=before, state_to=after, state_version=0 if reason in BIRTHS and "key" in given else 1)
    if "binding" in given:
        fact = fact._replace(binding_version=1, attempt=1)
    if "transport" in given:
        fact = fact._replace(carrier_from=1, carrier_to=1 + number % 3)
    if {"device", "key"} & given:
        fact = fact._replace(device=number.to_bytes(32, "big"))
    if "key" in given:
        fact = fact._replace(carrier_to=KeyKind.DEVICE)
    if "document" in given:
        fact = fact._replace(carrier_to=2, binding_version=number)
    if "peer" in given:
        fact = fact._replace(remote=REMOTE._replace(port=number))
    measures = (*range(1, len(kind.measures) + 1), 0, 0, 0, 0)
    return fact._replace(times=number if "count" in given else 0, measures=measures[:4])


def _states(kind: Kind, reason: str, role: str) -> tuple[int, int]:
    """Return a transition that the tables allow for this reason; nothing and any state, where they have no row for it."""
    if "key" in kind.fields:
        if reason in BIRTHS:
            return 0, KeyState.PRE_ACTIVE
        return next((KeyState[before], KeyState[after]) for before, after, why in sorted(KEY_STEPS) if why == reason)
    codes = {name: code for code, name in STATES[role].items()}
    if role == "gateway" and reason in ENTRIES:
        return codes[ENTRIES[reason]], codes[ENTRIES[reason]]
    rows = sorted(allowed(SESSION_ROWS if role == "gateway" else CLIENT_ROWS))
    found = (row for row in rows if row[2] == reason and (kind.name != "SESSION_ENDED" or row[1] == "TERMINATED"))
    before, after, _ = next(found, ("", next(iter(codes)), ""))
    return codes.get(before, 0), codes[after]


def build(root: Path, role: str) -> None:
    """Write the log of a role, its key file beside it, the policy of an auditor, and a proof of one event."""
    log, clock = root / "log", Clock()
    create_key(root / "audit.key", epochs.fresh(SECRET))
    told = list(facts(role))
    with _writing(log, role, clock, b"one boot") as (_, journal):
        _write(journal, told[: len(told) // 2], b"one boot", clock)
    last = segments_in(log)[-1]
    last.write_bytes(last.read_bytes() + b'{"event":{')  # it is killed while it writes
    with _writing(log, role, clock, b"2nd boot") as (opened, journal):
        _write(journal, told[len(told) // 2 :], b"2nd boot", clock)
        _lose(opened, journal, b"2nd boot", clock)
        clock.ns += EPOCH_NS
        journal.write([Random(0).randbytes(RECORD_BYTES)], [])  # nosec B311  # a record that is none, the same in each run
        journal.notice(tuple(_handled()))
        journal.write([], [])
        journal.close()
    with _writing(log, role, clock, b"3rd boot") as (_, journal):
        journal.close()
    cosign(log)
    publisher = Publisher(log, root / "tree")
    publisher.advance()
    publisher.publish(note.parse((log / COSIGNED).read_bytes()))
    (root / "policy").write_text(policy_of(verify(log).key), encoding="ascii")
    (root / "proof").write_bytes(Tree(root / "tree").proof(PROVEN, log).raw)
    shutil.rmtree(root / "tree")


@contextmanager
def _writing(directory: Path, role: str, clock: Clock, boot: bytes) -> Iterator[tuple[Log, Journal]]:
    """Start a writer; when the block ends it is gone, in good order only if the journal was closed."""
    builder = Builder(NODES[role], boot, role, names_of(NAMES))
    log, journal = open_journal(directory, NODES[role], boot, builder, clock, SEGMENT_BYTES, EPOCH_NS)
    with log:
        yield log, journal


def _write(journal: Journal, told: list[Fact], boot: bytes, clock: Clock) -> None:
    """Record facts one by one, each at its time, and sign each batch."""
    for fact in told:
        evidence = vocabulary().kinds[fact.event.name].event_class == "evidence"
        record = pack(fact, WALL + clock.ns, boot, fact.serial if evidence else 0)
        journal.write([] if evidence else [record], [record] if evidence else [])
    journal.sign()


def _lose(log: Log, journal: Journal, boot: bytes, clock: Clock) -> None:
    """Lose a record on the way to the writer, and one because the disk fails for a moment."""
    overflow = Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, 0, 0, Instant(clock.ns), times=7)
    journal.write([pack(overflow, WALL + clock.ns, boot)], [])
    with patch.object(log, "append", side_effect=OSError("the disk fails")):
        journal.write([bytes(RECORD_BYTES)], [])
    clock.ns += RETRY_NS


def _handled() -> Iterator[Notice]:
    """Yield what the writer says of the keys of names: a notice for each reason."""
    for count, reason in enumerate(vocabulary().kinds["NAMES_HANDLED"].reasons, 1):
        months = {"first": "2025-10", "last": "2025-11"}
        yield Notice(Event.NAMES_HANDLED, Reason[reason], {"names": months, "count": count})


def made(there: Path) -> dict[Path, bytes]:
    """Return the files of both logs of the present version, built in a directory, by their names."""
    for role in ROLES:
        build(there / role, role)
    return {path.relative_to(there): path.read_bytes() for path in sorted(there.rglob("*")) if path.is_file() and path.name not in LEFT_OUT}


def main(arguments: list[str]) -> int:
    """Write the corpus of the present version, or with --check name what is stale. Return the exit status."""
    version = vocabulary().schema.rpartition("/")[2]
    if (RELEASED / version).exists() and (CORPUS / version).exists():
        return 0  # it is released: what it was made by may have changed, and it must be read as it is
    with TemporaryDirectory() as scratch:
        wanted = made(Path(scratch))
    there = {path.relative_to(CORPUS / version): path.read_bytes() for path in (CORPUS / version).rglob("*") if path.is_file()}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    for name in stale:
        sys.stdout.write(f"stale: tests/golden/{version}/{name}\n")
    if "--check" in arguments:
        return 1 if stale else 0
    if stale:
        shutil.rmtree(CORPUS / version, ignore_errors=True)
        for name, data in wanted.items():
            (CORPUS / version / name).parent.mkdir(parents=True, exist_ok=True)
            (CORPUS / version / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
