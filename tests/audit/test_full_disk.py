"""A disk that is really full."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.full_disk import EVIDENCE, NOISE
from tests.audit.made import events_of
from tests.audit.test_writer import serials, serials_of
from tests.support import MISSING, ROOT, need

ALONE = ["unshare", "--mount", "--propagation", "private"]


def in_a_small_file_system(place: Path, kilobytes: int, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command where a file system of its own, of this size, is mounted on `place`; then copy what it holds to `place`.kept."""
    alone = ALONE if os.geteuid() == 0 else [*ALONE, "--user", "--map-root-user"]
    here, kept = shlex.quote(str(place)), shlex.quote(f"{place}.kept")
    script = f"mount -t tmpfs -o size={kilobytes}k,mode=0700 tmpfs {here} && {shlex.join(command)} && cp -r {here} {kept}"
    return subprocess.run([*alone, "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A place to mount on; skips where this machine does not let us mount."""
    if os.geteuid() != 0:
        need("userns")
    if shutil.which("unshare") is None:
        pytest.skip(f"{MISSING}mount: no command unshare")
    probe = tmp_path / "probe"
    probe.mkdir()
    done = in_a_small_file_system(probe, 64, ["true"])
    if done.returncode:
        pytest.skip(f"{MISSING}mount: {done.stderr.strip()[-200:]}")
    place = tmp_path / "small"
    place.mkdir()
    return place


def test_a_full_disk_loses_no_evidence_and_counts_the_rest(small: Path) -> None:
    """A-40 to A-42: on the day when the disk is full, evidence would be lost, acknowledged without being there, or the log be broken."""
    done = in_a_small_file_system(small, 512, [sys.executable, "-m", "tests.audit.full_disk", str(small), "full"])
    assert done.returncode == 0, done.stderr
    log = small.with_name("small.kept") / "log"
    assert serials(log, "evidence") == serials_of(EVIDENCE[:60])
    events = events_of(log)
    lost = [event["count"] for event in events if event["reason_code"] == "TELEMETRY_UNWRITABLE"]
    recorded = serials(log, "telemetry")
    assert len(recorded) + sum(lost) == len(NOISE)
    assert sum(lost) >= 150
    assert recorded[:100] == serials_of(NOISE[:100])
    assert events[-1]["event_type"] == "LOG_CLOSED"
    assert (verify(log).verdict, verify(log).telemetry_lost) == (Verdict.VERIFIED, sum(lost))


def test_with_room_put_aside_evidence_is_recorded_while_the_disk_is_full(small: Path) -> None:
    """[A-45] Who fills the disk first would be unrecorded until somebody makes room, or for ever."""
    done = in_a_small_file_system(small, 4_096, [sys.executable, "-m", "tests.audit.full_disk", str(small), "reserved"])
    assert done.returncode == 0, done.stderr
    log = small.with_name("small.kept") / "log"
    assert serials(log, "evidence") == serials_of(EVIDENCE[:60])
    result = verify(log)
    recorded = serials(log, "telemetry")
    assert (result.verdict, result.telemetry_lost > 0) == (Verdict.VERIFIED, True)
    assert recorded[:100] == serials_of(NOISE[:100])
    assert recorded[-50:] == serials_of(NOISE[-50:])
