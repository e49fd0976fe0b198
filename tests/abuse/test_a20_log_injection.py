"""Text for the log (T-20).

ATTACK
    A device states values that stand in records; somebody who reaches the pipe writes bytes that look like lines of a log, terminal
    commands or JSON.

EXPECTED REFUSAL
    Nothing that a peer sends is text anywhere: events hold names of the registry, hex and bounded integers [A-11]. Bytes that are no
    record are kept in base64, in one line, and named as that [A-15]; evidence is accepted from the evidence socket only [A-3].

EXPECTED EVIDENCE
    RECORD_REFUSED / SCHEMA_VIOLATED
    SESSION_REFUSED / INNER_MALFORMED
    verdict VERIFIED
"""

import json
from pathlib import Path
from typing import cast

import pytest

from audit.record import RECORD_BYTES
from audit.verdict import Verdict
from audit.verify import verify
from core.client.attempts import Attempt
from core.reasons import Cause, Event, Reason
from core.values import Endpoint
from core.wire.layout import Change
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import ELSEWHERE, Seen, from_elsewhere, own_path
from tests.audit.made import a_log, events_of, lines_of, opened, records

TEXTS = [
    b'{"event":{"event_type":"LOG_CLOSED"},"hash":"' + b"0" * 64 + b'"}\n',
    b"\n\n\x1b[2J\x1b]0;owned\x07\r\nSESSION_ENDED",
    b"\0" * RECORD_BYTES,
    b"\xff\xfe\xe2\x80\xae${jndi:ldap://x}'\"><script>",
]


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_that_are_no_record(tmp_path: Path, text: bytes) -> None:
    """Whoever reaches the pipe could write history, or take over the terminal of who reads it."""
    log, journal = opened(tmp_path / "log")
    with log:
        journal.write([text.ljust(RECORD_BYTES, b"\n")[:RECORD_BYTES]], ())
        assert journal.close()
    refused = events_of(tmp_path / "log")[1]
    assert (refused["event_type"], refused["reason_code"]) == (Event.RECORD_REFUSED.name, Reason.SCHEMA_VIOLATED.name)
    for line in lines_of(tmp_path / "log"):
        json.loads(line)
        assert all(32 <= byte < 127 for byte in line[:-1])
        assert text not in line
    assert verify(tmp_path / "log").verdict is Verdict.VERIFIED


def test_evidence_over_the_telemetry_pipe(tmp_path: Path) -> None:
    """The weaker of two ways could tell of births, moves and ends that the store knows nothing of."""
    evidence = records(World().connected().story())[1]
    log, journal = opened(tmp_path / "log")
    with log:
        journal.write(evidence, ())
        assert journal.close()
    kinds = [event["event_type"] for event in events_of(tmp_path / "log")]
    assert kinds == ["LOG_OPENED", "RECORD_REFUSED", "EPOCH_SEALED", "LOG_CLOSED"]


def test_what_a_device_states(tmp_path: Path) -> None:
    """A client could make the log invalid, and so its own acts unrecorded, by what it says about itself."""
    world = World().connected()
    life = world.client.life
    assert life
    seen = Seen(world, None)
    source = Endpoint(v4(13, 10), 0)
    for outage, cause in ((2**40, Cause.PATH_DEAD), (0, cast("Cause", 200))):
        path = world.host.paths[1]._replace(local=ELSEWHERE)
        attempt = Attempt(world.client.keys, world.entropy, life, path, Change.MOVE, cause, outage, world.now)
        world.inject(attempt.frame, from_elsewhere(own_path(world.host), source))
    assert seen.refusals(Event.SESSION_REFUSED) == {Reason.INNER_MALFORMED: 1}
    assert verify(a_log(tmp_path / "log", world.story())).verdict is Verdict.VERIFIED
