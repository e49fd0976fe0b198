"""The disk fills up under the audit log (T-18).

ATTACK
    Somebody fills the disk, or it fills by itself, in the middle of a line, while sessions are born and move.

EXPECTED REFUSAL
    Half a line is taken back [A-32]. Evidence goes into room that was put aside [A-45]; when that is used up too, it stays in the outbox,
    unacknowledged, and is recorded once when there is room again [A-40] [A-42]; telemetry is counted [A-41]. No session is stopped for it.

EXPECTED EVIDENCE
    TELEMETRY_LOST / TELEMETRY_UNWRITABLE
    verdict VERIFIED
"""

import errno
import os
from pathlib import Path

import pytest

from audit.files import RESERVE, write_all
from audit.journal import RETRY_NS
from audit.record import unpack
from audit.verdict import Verdict
from audit.verify import verify
from lab.sim.frames import v4
from lab.sim.world import World
from tests.audit.made import Clock, events_of, opened, records


def test_evidence_waits_and_telemetry_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filling a disk would be a way to do something unrecorded, or to stop everybody."""
    world = World().connected()
    world.host.move(v4(77))
    world.run(500)
    telemetry, evidence = records(world.story())
    assert len(evidence) >= 2
    clock, full = Clock(), [False]

    def write(file: int, data: bytes) -> None:
        if full[0]:
            write_all(file, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(file, data)

    monkeypatch.setattr("audit.segments.write_all", write)
    log, journal = opened(tmp_path / "log", clock=clock)
    with log:
        journal.write(telemetry[:1], evidence[:1])
        full[0] = True
        journal.write(telemetry[1:], evidence[1:])
        assert journal.acknowledged == unpack(evidence[0]).outbox_id
        assert not (tmp_path / "log" / RESERVE).exists(), "what was put aside is tried"
        full[0] = False
        clock.ns += RETRY_NS
        journal.write((), ())
        assert journal.acknowledged == unpack(evidence[-1]).outbox_id
        assert journal.close()
    events = events_of(tmp_path / "log")
    lost = [event for event in events if event["event_type"] == "TELEMETRY_LOST"]
    assert [(event["reason_code"], event["count"]) for event in lost] == [("TELEMETRY_UNWRITABLE", len(telemetry) - 1)]
    assert len([event for event in events if event["event_class"] == "evidence"]) == len(evidence)
    assert verify(tmp_path / "log").verdict is Verdict.VERIFIED
