"""A log that somebody takes away while it is written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.errors import LogGone
from audit.files import segments_in
from tests.audit.made import opened, records, story


def removed(log: Path) -> None:
    """Remove a log."""
    shutil.rmtree(log)


def moved(log: Path) -> None:
    """Move a log away."""
    log.rename(log.with_name("elsewhere"))


def replaced(log: Path) -> None:
    """Put a copy of the newest segment in its place."""
    newest = segments_in(log)[-1]
    draft = newest.with_name("draft")
    draft.write_bytes(newest.read_bytes())
    draft.rename(newest)


@pytest.mark.parametrize("size", [1, 16 * 2**20], ids=["new segment", "same segment"])
@pytest.mark.parametrize("gone", [removed, moved, replaced])
def test_a_log_that_was_taken_away_is_not_written_on(tmp_path: Path, gone: Callable[[Path], None], size: int) -> None:
    """A-35: evidence would be acknowledged, and deleted from the store, that stands in a file which nobody can find."""
    log, journal = opened(tmp_path / "log", segment_bytes=size)
    with log:
        journal.write(*records(story(1)))
        acknowledged = journal.acknowledged
        gone(tmp_path / "log")
        with pytest.raises(LogGone, match="removed or moved away"):
            journal.write(*records(story(2)))
        assert journal.acknowledged == acknowledged
