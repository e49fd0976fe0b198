"""What is noted of evidence when a segment begins, so that a start need not read the whole log (A-44)."""

import errno
from pathlib import Path

import orjson
import pytest

from audit import segments
from audit.files import RECENT, segments_in
from audit.recovery import recover
from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.made import a_log, story


def test_a_start_reads_no_segment_whose_evidence_is_noted(tmp_path: Path) -> None:
    """A-44: with little evidence, the start would read the whole log: minutes for ten million events, while telemetry is lost."""
    a_log(tmp_path, [fact for handle in range(1, 41) for fact in story(handle)], segment_bytes=20_000)
    before = recover(tmp_path).evidence
    *old, _ = segments_in(tmp_path)
    for segment in old:
        segment.write_bytes(b"not read")
    assert recover(tmp_path).evidence == before
    assert len(before) > 50


@pytest.mark.parametrize("noted", [None, b"", b"7", b"{}", b'{"evidence":[1],"hash":"x","seq":1}', "other", "ahead", "hash", "no list"])
def test_a_note_that_does_not_fit_is_not_used(tmp_path: Path, noted: bytes | str | None) -> None:
    """A-44: a damaged note, or one of another log, would have evidence recorded twice, or not at all."""
    a_log(tmp_path, [fact for handle in range(1, 41) for fact in story(handle)], segment_bytes=20_000)
    before, path = recover(tmp_path).evidence, tmp_path / RECENT
    told = orjson.loads(path.read_bytes())
    match noted:
        case None:
            path.unlink()
        case bytes():
            path.write_bytes(noted)
        case "other":
            path.write_bytes(orjson.dumps({**told, "evidence": [], "seq": 10**6}))
        case "ahead":
            path.write_bytes(orjson.dumps({**told, "evidence": [], "seq": told["seq"] + 1}))
        case "hash":
            path.write_bytes(orjson.dumps({**told, "evidence": [], "hash": "0" * 64}))
        case _:
            path.write_bytes(orjson.dumps({**told, "evidence": {"a": 1}}))
    assert recover(tmp_path).evidence == before


def test_a_disk_that_takes_no_note_stops_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-44: evidence would wait because of a file that only saves time."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segments, "remember", full)
    log = a_log(tmp_path, [fact for handle in range(1, 41) for fact in story(handle)], segment_bytes=20_000)
    assert verify(log).verdict is Verdict.VERIFIED
    assert not (tmp_path / RECENT).exists()
