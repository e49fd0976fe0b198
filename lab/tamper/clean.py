"""Clean logs of random shapes: crashes at any byte, resumptions, put away in part, being written. None may raise an alarm."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

from audit.files import CHECKPOINT, create_key, segment_name, segments_in, tree_name
from audit.tlog import epochs, policy
from audit.tlog.note import LOG, parse_vkey
from audit.tlog.sealed import Wanted
from audit.verdict import Result
from audit.verify import verify
from lab.tamper.base import KEPT, Running, cosign, policy_of
from lab.tamper.material import STEP_NS, Clock, chance


def clean(root: Path, seed: str) -> Iterator[tuple[str, Result]]:
    """Write a log and verify it in all ways while it grows and at its end: what kind of log it was, and what was found."""
    dice = Random(seed)  # nosec B311  # the same logs in each run
    create_key(root / "audit.key", epochs.fresh(dice.randbytes(32)))
    running, log = Running(dice, root, Clock(), dice.randbytes(32)), root / "log"
    segment_bytes = dice.choice((1, 3_000, 8_000, 40_000, 10**7))
    for stage in range(dice.randint(1, 4)):
        with running.writing(segment_bytes, dice.randint(2, 60) * STEP_NS) as (_, journal, boot):
            if stage:
                yield "resumed", verify(log)
            running.write(journal, boot, dice.randint(0, 2))
            if chance(dice, 0.5):  # half of the time at a moment between two writes
                running.tear()  # the writer is about to complete the line; it cuts it off before it goes on
                yield "being written", verify(log)
                continue
            if chance(dice, 0.7):  # the others are killed
                journal.close()
            journal.sign()
            yield "being written", verify(log)
        if stage == 0:
            shutil.copy(log / CHECKPOINT, root / KEPT)
            cosign(log)
        if chance(dice, 0.4):  # some crashes tear a line
            running.tear()
    yield from _at_its_end(root, running, segment_bytes)


def _at_its_end(root: Path, running: Running, segment_bytes: int) -> Iterator[tuple[str, Result]]:
    """Close the log, and verify it as an auditor may."""
    log, dice = root / "log", running.dice
    with running.writing(segment_bytes, STEP_NS) as (_, journal, _boot):
        journal.close()
    whole = verify(log)
    yield "whole", whole
    if not (root / KEPT).exists():  # every stage ended while something was written
        shutil.copy(log / CHECKPOINT, root / KEPT)
        cosign(log)
    asked = policy.parse(policy_of(parse_vkey(whole.key, LOG)).encode())
    yield "by policy", verify(log, wanted=Wanted(asked))
    yield "since a kept checkpoint", verify(log, wanted=Wanted(known=root / KEPT))
    yield "one file", verify(dice.choice(segments_in(log)))
    starts = [int(path.name[6:26]) for path in segments_in(log)]
    stated = max(number for number, path in enumerate(segments_in(log)) if b'"seal"' in path.read_bytes())
    for start in starts[: dice.randint(0, stated)]:
        (log / segment_name(start)).unlink()
        (log / tree_name(start)).unlink()
    yield "in part", verify(log, partial=True)
