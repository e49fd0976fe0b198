"""What happens on a full disk, with a real disk and a real writer. Run by test_full_disk.py where a small file system is mounted.

python -m tests.audit.full_disk DIRECTORY full|reserved
"""

import sys
import time
from pathlib import Path

import orjson

from audit.files import RESERVE, read_head
from audit.record import outbox_id_of, pack
from audit.recovery import recover
from core.reasons import Event, Reason
from core.values import Fact, Instant
from tests.audit.made import BOOT, WALL, records, story
from tests.audit.running import PATIENCE_S, Running

EVIDENCE = records([fact for handle in range(1, 21) for fact in story(handle)])[1]
NOISE = [pack(Fact(Event.TRAFFIC_REFUSED, Reason.MAC1_WRONG, 10**6 + serial, 0, Instant(5), times=1), WALL, BOOT) for serial in range(300)]
SILENCE_S = 1.5  # several times as long as the writer waits before it tries again


def fill(path: Path) -> None:
    """Take all the space there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4_096)):
                continue
        except OSError:
            return


def reserved(place: Path) -> None:
    """Record, fill the disk but for what the writer has put aside, record on, free the disk, record all again."""
    with Running(place / "log") as running:
        running.telemetry(NOISE[:100])
        running.evidence(EVIDENCE[:10])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[9]))
        fill(place / "filler")
        running.telemetry(NOISE[100:200])
        running.evidence(EVIDENCE[10:60])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[59]))
        assert (place / "filler").exists(), "and the disk is full all the time"
        (place / "filler").unlink()
        patience = time.monotonic() + PATIENCE_S
        while not (place / "log" / RESERVE).exists() and time.monotonic() < patience:
            running.telemetry(NOISE[200:201])
            time.sleep(0.1)
        running.telemetry(NOISE[200:])
        assert running.close()[0] == 0, "the writer did not end in order"


def main(place: Path) -> None:
    """Record, fill the disk, record on, free the disk, end."""
    with Running(place / "log") as running:
        running.telemetry(NOISE[:100])
        running.evidence(EVIDENCE[:10])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[9]))
        patience = time.monotonic() + PATIENCE_S
        while read_head(place / "log") != recover(place / "log").head and time.monotonic() < patience:
            time.sleep(0.05)  # then nothing but the full disk itself makes the writer look again
        fill(place / "filler")
        running.telemetry(NOISE[100:])
        running.evidence(EVIDENCE[10:60])
        patience = time.monotonic() + PATIENCE_S
        while running.unread() and time.monotonic() < patience:
            time.sleep(0.01)
        assert running.acknowledged(SILENCE_S) is None, "something was acknowledged that no disk holds"
        assert running.process.poll() is None, "the writer gave up"
        (place / "filler").unlink()
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[59]))
        status, said = running.close()
        assert status == 0, "the writer did not end in order"
        told = [orjson.loads(line)["event"] for line in said.splitlines()]
        assert told == ["audit_log_unwritable", "audit_log_written_again"], "the operator hears it once when it begins, once when it ends"


if __name__ == "__main__":
    {"full": main, "reserved": reserved}[sys.argv[2]](Path(sys.argv[1]))
