"""The size of a log's segments, from the configuration to the files."""

from pathlib import Path

from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.shell.audit_link import AuditLink, Writer
from tests.jvpn.shell.storing import BOOT, NODE, Clock


def test_the_configured_size_reaches_the_files(tmp_path: Path) -> None:
    """An operator's `audit.segment_bytes` would be read, checked, and ignored: old segments could never be put away in time."""
    link = AuditLink(Writer(tmp_path / "log", NODE, BOOT, "client", segment_bytes=2_000), Clock(), Instant(1))
    for serial in range(1, 100):
        link.record(Fact(Event.PROCESS_STARTED, Reason.PROCESS_STARTED, serial, 0, Instant(serial)))
        link.flush()
    assert link.close()
    assert len(list((tmp_path / "log").glob("audit-*.jsonl"))) > 1
