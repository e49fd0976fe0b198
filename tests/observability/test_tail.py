"""Following a log: every durable line once, and never a byte more."""

from pathlib import Path

import pytest

from audit.files import first_of, segments_in, writer_is_there
from observability.tail import START, Line, LogError, Position, Tail
from tests.observability.synthetic import Scribe, health


def drain(tail: Tail) -> list[Line]:
    """Read what is there now."""
    lines = []
    while line := tail.next():
        lines.append(line)
    return lines


def content(directory: Path) -> list[bytes]:
    """Return all lines of a log as they are on disk."""
    return [line for path in segments_in(directory) for line in path.read_bytes().splitlines()]


def test_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    """The shipper could not be started before the gateway."""
    tail = Tail(tmp_path / "log")
    assert tail.next() is None
    (tmp_path / "log").mkdir()
    assert tail.next() is None
    scribe = Scribe(tmp_path / "log")
    assert len(drain(tail)) == 1
    scribe.close()
    assert [line.raw for line in drain(tail)] == content(tmp_path / "log")[1:]


def test_follows_through_segments_from_any_position(tmp_path: Path) -> None:
    """Lines would be skipped or repeated at a rotation or a restart."""
    log = tmp_path / "log"
    scribe, tail = Scribe(log, segment_bytes=2_000), Tail(log)
    seen: list[Line] = []
    for number in range(1, 30):
        scribe.write([health(number)])
        if number % 7 == 0:
            scribe.log.write_head()
            seen += drain(tail)
    scribe.close()
    seen += drain(tail)
    assert len(segments_in(log)) > 5
    assert [line.raw for line in seen] == content(log)
    assert [line.end.number for line in seen] == list(range(1, len(seen) + 1))
    for place, line in enumerate(seen):
        assert drain(Tail(log, line.end)) == seen[place + 1 :]
        assert Tail(log).line_before(line.end) == line.raw
    assert Tail(log).unread_bytes(START) == sum(len(line.raw) + 1 for line in seen)
    assert Tail(log).unread_bytes(seen[-1].end) == 0


@pytest.mark.parametrize("new", [False, True], ids=["nothing in its place", "a new log in its place"])
def test_a_log_that_was_taken_away_is_an_error_and_not_silence(tmp_path: Path, *, new: bool) -> None:
    """The shipper would wait for ever at the end of a file that nobody writes, while the gateway records into a new log."""
    log = tmp_path / "log"
    scribe, tail = Scribe(log), Tail(log)
    scribe.write([health(1)])
    scribe.close()
    assert drain(tail)
    assert tail.next() is None
    log.rename(tmp_path / "elsewhere")
    if new:
        Scribe(log).close()
    with pytest.raises(LogError, match=r"removed or moved away while it was read\. For a new log use another state directory"):
        tail.next()


def test_an_old_segment_may_be_put_away_while_it_is_read(tmp_path: Path) -> None:
    """Tidying up would stop the shipper in the middle of a segment that it can still read."""
    log = tmp_path / "log"
    scribe, tail = Scribe(log, segment_bytes=2_000), Tail(log)
    for number in range(1, 30):
        scribe.write([health(number)])
    scribe.close()
    whole = content(log)
    first = tail.next()
    assert first is not None
    segments_in(log)[0].unlink()
    assert [first.raw, *(line.raw for line in drain(tail))] == whole


def test_a_line_that_the_writer_may_still_take_back_is_not_read(tmp_path: Path) -> None:
    """The cluster would have an event that never was in the log, under the number of another: a false alarm of tampering for ever."""
    log = tmp_path / "log"
    scribe, tail = Scribe(log), Tail(log)
    drain(tail)
    (segment,) = segments_in(log)
    size = segment.stat().st_size
    scribe.write([health(1)])
    assert drain(tail) == []
    with segment.open("r+b") as file:  # what a failed append does
        file.truncate(size)
    scribe.log._durable = size
    scribe.log.head = scribe.log._head_written
    scribe.write([health(2)])
    scribe.log.write_head()
    assert [line.raw for line in drain(tail)] == content(log)[1:]


def test_lines_of_a_killed_writer_are_final(tmp_path: Path) -> None:
    """The last events before a crash, those that matter most, would never arrive."""
    log = tmp_path / "log"
    scribe, tail = Scribe(log), Tail(log)
    scribe.write([health(number) for number in range(1, 9)])
    assert writer_is_there(log)
    assert len(drain(tail)) == 1
    scribe.crash()
    assert not writer_is_there(log)
    assert len(drain(tail)) == 8


@pytest.mark.parametrize("torn", [b'{"event":{"chain_id":', b"\x00"])
def test_an_incomplete_line_waits(tmp_path: Path, torn: bytes) -> None:
    """Half an event would be shipped."""
    log = tmp_path / "log"
    scribe = Scribe(log)
    scribe.crash()
    (segment,) = segments_in(log)
    with segment.open("ab") as file:
        file.write(torn)
    tail = Tail(log)
    assert len(drain(tail)) == 1
    again = Scribe(log)  # cuts it off and goes on
    again.close()
    assert [line.raw for line in drain(tail)] == content(log)[1:]


def test_a_torn_line_before_a_newer_segment_is_handed_on(tmp_path: Path) -> None:
    """Bytes of a log that somebody damaged would vanish without a trace."""
    log = tmp_path / "log"
    scribe = Scribe(log, segment_bytes=500)
    scribe.write([health(number) for number in range(1, 4)])
    scribe.close()
    first, second, *_ = segments_in(log)
    first.write_bytes(first.read_bytes()[:-10])
    tail = Tail(log)
    torn, after = tail.next(), tail.next()
    assert torn
    assert after
    assert torn.raw == first.read_bytes().splitlines()[-1]
    assert after.raw == second.read_bytes().splitlines()[0]


def test_the_last_line_before_a_rotation_is_not_overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks the writer ends one segment and begins the next: the last line of the old one would be skipped for ever."""
    log = tmp_path / "log"
    scribe = Scribe(log, segment_bytes=1_000)
    scribe.write([health(1), health(2)])
    scribe.crash()
    first, second = segments_in(log)
    lines, later = first.read_bytes().splitlines(keepends=True), second.read_bytes()
    first.write_bytes(lines[0])
    second.unlink()
    tail = Tail(log)
    assert len(drain(tail)) == 1

    def look(directory: Path) -> list[int]:
        first.write_bytes(b"".join(lines))
        second.write_bytes(later)
        return [first_of(path) for path in segments_in(directory)]

    monkeypatch.setattr("observability.tail.segments", look)
    assert [line.raw for line in drain(tail)] == content(log)[1:]


def test_a_log_that_is_not_what_it_was_stops_the_reader(tmp_path: Path) -> None:
    """A log that was cut or replaced would be shipped as if nothing had happened."""
    log = tmp_path / "log"
    scribe = Scribe(log)
    scribe.write([health(number) for number in range(1, 4)])
    scribe.close()
    tail = Tail(log)
    lines = drain(tail)
    (segment,) = segments_in(log)
    data = segment.read_bytes()
    segment.write_bytes(data[: lines[1].end.offset])
    with pytest.raises(LogError, match="is shorter than"):
        tail.next()
    with pytest.raises(LogError, match="no line ends at byte"):
        Tail(log).line_before(lines[2].end)
    with pytest.raises(LogError, match="no line ends at byte"):
        Tail(log).line_before(Position(0, 17, 1))
    segment.write_bytes(data)
    segment.rename(log / "elsewhere")
    with pytest.raises(LogError, match="is gone"):
        Tail(log, lines[1].end).next()
    with pytest.raises(LogError, match="is gone"):
        Tail(log).line_before(lines[1].end)


def test_a_broken_head_stops_the_reader(tmp_path: Path) -> None:
    """Nobody could say what is durable, and the shipper would wait without a word."""
    scribe = Scribe(tmp_path / "log")
    (tmp_path / "log" / "head.json").write_bytes(b"{}")
    with pytest.raises(LogError, match="not a head"):
        Tail(tmp_path / "log").next()
    scribe.crash()


def test_an_endless_line_is_refused(tmp_path: Path) -> None:
    """A file without line feeds would fill the memory."""
    log = tmp_path / "log"
    log.mkdir()
    (log / f"audit-{0:020d}.jsonl").write_bytes(b"x" * (1 << 20))
    with pytest.raises(LogError, match="line of more than"):
        Tail(log).next()
