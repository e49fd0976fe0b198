"""The audit log is changed (T-17).

ATTACK
    Somebody with the files changes an event, one byte of it or all with fitting hashes; cuts one out, inserts one, exchanges two; cuts
    the end off.

EXPECTED REFUSAL
    The verifier names the first event that is not as it was, and what is wrong with it [A-50] [A-51] [A-52] [A-53]; a history that fits
    in every hash but cannot have happened contradicts the machine's table [A-55]. The writer refuses to go on with a log whose end is
    missing [A-33].

EXPECTED EVIDENCE
    verdict HASH_WRONG
    verdict CHAIN_BROKEN
    verdict NUMBER_WRONG
    verdict TAIL_CUT
    verdict CONTRADICTION
"""

import json
from pathlib import Path

import pytest

from audit.errors import LogUnsound
from audit.files import HEAD
from audit.verdict import Verdict
from audit.verify import verify
from core.reasons import Event
from lab.sim.frames import v4
from lab.sim.world import World
from tests.audit.made import a_log, lines_of, opened, rechained, replaced, resealed


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log of a session that was born, jumped and was closed, as the real engine told it."""
    world = World().connected()
    world.host.move(v4(77))
    world.run(500)
    world.host.close(1)
    world.run(500)
    world.gateway_does(lambda: world.gateway.tick(world.now))
    return a_log(tmp_path_factory.mktemp("a17") / "log", world.story())


def place(log: Path, event_type: Event) -> int:
    """Return the place of the first event of a type."""
    return next(n for n, line in enumerate(lines_of(log)) if json.loads(line)["event"]["event_type"] == event_type.name)


def test_as_it_was(log: Path) -> None:
    """The cases below would prove nothing."""
    result = verify(log)
    assert result.verdict is Verdict.VERIFIED
    assert result.by_type["SESSION_BORN"] == 1
    assert result.by_type["SESSION_MOVED"] >= 1


def test_one_byte(log: Path, tmp_path: Path) -> None:
    """A move could be given another cause with an editor."""
    lines, n = lines_of(log), place(log, Event.SESSION_MOVED)
    lines[n] = lines[n].replace(b"MOVED_ADDRESS_CHANGED", b"MOVED_BETTER")
    result = verify(replaced(log, tmp_path / "log", lines))
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.HASH_WRONG, n)


def test_one_event_with_the_hash_that_fits(log: Path, tmp_path: Path) -> None:
    """The same by somebody who knows how hashes are made."""
    lines, n = lines_of(log), place(log, Event.SESSION_MOVED)
    lines[n] = resealed(lines[n], reason_code="MOVED_POLICY")
    result = verify(replaced(log, tmp_path / "log", lines))
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.CHAIN_BROKEN, n + 1)


def test_one_event_less_or_more_or_in_another_place(log: Path, tmp_path: Path) -> None:
    """What nobody is to know could be taken out, or something that never was be put in."""
    lines, n = lines_of(log), place(log, Event.SESSION_MOVED)
    spoiled = {
        "less": lines[:n] + lines[n + 1 :],
        "more": [*lines[: n + 1], lines[n], *lines[n + 1 :]],
        "exchanged": [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]],
    }
    for name, other in spoiled.items():
        assert verify(replaced(log, tmp_path / name, other)).verdict is Verdict.NUMBER_WRONG, name


def test_the_end_cut_off(log: Path, tmp_path: Path) -> None:
    """The newest events are those that an intruder wants gone most; and the next start would cover it up."""
    lines = lines_of(log)
    cut = replaced(log, tmp_path / "log", lines[:-3])
    result = verify(cut)
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.TAIL_CUT, len(lines) - 3)
    with pytest.raises(LogUnsound):
        opened(cut)


def test_a_history_that_cannot_have_happened(log: Path, tmp_path: Path) -> None:
    """Who makes every hash anew would only have to be thorough: the machine's table still speaks against it."""
    lines, n = lines_of(log), place(log, Event.SESSION_MOVED)
    event = json.loads(lines[n])["event"]
    lines[n] = resealed(lines[n], state=event["state"] | {"from": "PENDING"})
    forged = replaced(log, tmp_path / "log", list(rechained(lines)))
    (forged / HEAD).unlink()
    result = verify(forged, partial=True)
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.CONTRADICTION, n)
