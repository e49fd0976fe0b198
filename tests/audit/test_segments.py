"""The files: appended whole, cut back when that fails, found sound again after a crash."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import segments
from audit.canonical import canonical, line_of
from audit.chain import Head, digest
from audit.errors import LineMalformed, LogBusy, LogUnsound
from audit.files import HEAD, SEALS, read_head, segment_name, segments_in, write_head
from audit.recovery import EVIDENCE_REMEMBERED, recover
from audit.segments import Log
from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.made import BOOT, a_log, events_of, lines_of, opened, records, resealed, story


def test_a_log_is_split_into_segments_that_carry_their_first_number(tmp_path: Path) -> None:
    """A-30: one file would grow for ever, or nobody could see which file holds an event."""
    log = a_log(tmp_path / "log", [*story(1), *story(2)], segment_bytes=3_000)
    names = segments_in(log)
    assert len(names) > 3
    firsts = [int(path.read_bytes().partition(b'"seq":')[2].partition(b",")[0]) for path in names]
    assert [path.name for path in names] == [f"audit-{first:020d}.jsonl" for first in firsts]
    assert verify(log).verdict is Verdict.VERIFIED


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    """A-30: every user of the machine could read who was refused when."""
    log = a_log(tmp_path / "log", story(1))
    assert log.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in log.rglob("*") if path.is_file()} == {0o600}
    assert (log / SEALS).stat().st_mode & 0o777 == 0o700


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    """A-31: two writers would give the same numbers to different events."""
    log, _ = opened(tmp_path)
    with log, pytest.raises(LogBusy, match="another process"):
        Log(tmp_path)
    Log(tmp_path).close()


@pytest.mark.parametrize("size", [1, 4_000, 16 * 2**20], ids=["new segment", "some segments", "one segment"])
def test_a_log_goes_on_after_a_stop(tmp_path: Path, size: int) -> None:
    """A-33: each start would need a new log, or the second start would break the chain of the first."""
    for start in range(3):
        a_log(tmp_path, story(start), segment_bytes=size)
    types = [event["event_type"] for event in events_of(tmp_path)]
    assert types[0] == "LOG_OPENED"
    assert types.count("LOG_RESUMED") == 2
    assert types.count("LOG_CLOSED") == 3
    assert {event["metrics"]["cut_bytes"] for event in events_of(tmp_path) if "metrics" in event and "cut_bytes" in event["metrics"]} == {0}
    assert verify(tmp_path).verdict is Verdict.VERIFIED


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A log as it stands on disk just before its last line is written, and that line."""
    place = tmp_path_factory.mktemp("crash")
    log, journal = opened(place / "log")
    with log:
        journal.write(*records(story(1)))
        log.write_head()
        before = shutil.copytree(place / "log", place / "before")
        journal.write(*records(story(2)[:1]))
    return before, lines_of(place / "log")[-1]


def test_a_crash_at_every_byte_of_an_append_leaves_a_log_that_goes_on(
    grown: tuple[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A-33: a crash at some byte would make the log unreadable, lose whole lines, or go unreported."""
    before, line = grown
    for name in ("fsync", "fdatasync"):  # it is about bytes, a thousand times; the disk need not turn
        monkeypatch.setattr(os, name, lambda _: None)
    for offset in range(len(line) + 1):
        place = shutil.copytree(before, tmp_path / str(offset))
        with segments_in(place)[0].open("ab") as file:
            file.write(line[:offset])
        log, _ = opened(place)
        log.close()
        whole = offset == len(line)
        kept = lines_of(before) + ([line] if whole else [])
        assert lines_of(place)[: len(kept)] == kept
        (resumed,) = events_of(place)[len(kept) :]
        assert resumed["event_type"] == "LOG_RESUMED"
        torn = 0 < offset < len(line)
        assert resumed["reason_code"] == ("LOG_TAIL_TORN" if torn else "LOG_CONTINUED")
        assert resumed["metrics"] == {"cut_bytes": offset if torn else 0}
        if offset % 97 == 0 or whole:
            assert verify(place).verdict is Verdict.VERIFIED
        shutil.rmtree(place)


@pytest.mark.parametrize("kept", ["all", "some", "none"])
def test_a_crash_within_the_first_line_leaves_a_log_that_begins(tmp_path: Path, kept: str) -> None:
    """A-33: a gateway that lost power at its very first start would never start again."""
    opened(tmp_path)[0].close()
    (segment,) = segments_in(tmp_path)
    line = segment.read_bytes()
    (tmp_path / HEAD).unlink()
    segment.write_bytes({"all": line, "some": line[:100], "none": b""}[kept])
    log, _ = opened(tmp_path)
    log.close()
    types = [event["event_type"] for event in events_of(tmp_path)]
    assert types == {"all": ["LOG_OPENED", "LOG_RESUMED"], "some": ["LOG_OPENED", "LOG_RESUMED"], "none": ["LOG_OPENED"]}[kept]
    assert verify(tmp_path).verdict is Verdict.VERIFIED
    assert verify(tmp_path).cut_bytes == (100 if kept == "some" else 0)


def test_head_is_there_before_the_second_event(tmp_path: Path) -> None:
    """A-33: two crashes in a row at the very first starts would leave a log that never goes on."""
    opened(tmp_path)[0].close()
    (tmp_path / HEAD).unlink()
    Log(tmp_path).close()
    head = read_head(tmp_path)
    assert head is not None
    assert head.seq == 0


def test_a_torn_end_of_a_full_segment_is_cut_though_the_next_line_goes_elsewhere(tmp_path: Path) -> None:
    """A-33: a torn line would stay in the middle of the log for ever."""
    a_log(tmp_path, story(1)[:2], segment_bytes=1)
    with segments_in(tmp_path)[-1].open("ab") as file:
        file.write(b"torn")
    a_log(tmp_path, story(2)[:2], segment_bytes=1)
    assert (verify(tmp_path).verdict, verify(tmp_path).cut_bytes) == (Verdict.VERIFIED, 4)


def test_a_crash_while_a_segment_begins_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    """A-33: a crash between making a segment and writing to it would end the log."""
    a_log(tmp_path, story(1), segment_bytes=2_000)
    first = len(lines_of(tmp_path))
    for content in (b"", b'{"event":{"bind'):
        (tmp_path / segment_name(first)).write_bytes(content)
        assert recover(tmp_path).cut_bytes == len(content)
        assert recover(tmp_path).head == read_head(tmp_path)
    a_log(tmp_path, story(2), segment_bytes=2_000)
    assert verify(tmp_path).verdict is Verdict.VERIFIED


def damaged_tail(lines: list[bytes], place: int) -> list[bytes]:
    """Lines of which one has a changed byte in its middle, as after a power loss that kept a later block and not this one."""
    middle = len(lines[place]) // 2
    return [*lines[:place], lines[place][:middle] + b"\0" + lines[place][middle + 1 :], *lines[place + 1 :]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: damaged_tail([line], 0)[0],
        lambda line: line.replace(b'"version":0', b'"version":1'),
        lambda line: resealed(line, prev_hash="0" * 64),
        lambda line: resealed(line, seq=99),
        lambda line: resealed(line) + b"x" * 5,
        lambda line: line_of(b'{"seq":"x"}', digest(b'{"seq":"x"}')),
        lambda line: line_of(b"7", digest(b"7")),
    ],
)
def test_what_was_not_yet_durable_may_be_cut(grown: tuple[Path, bytes], tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A-33: after a power loss the log could not go on, though nothing durable was lost; or what is no event would be built on."""
    before, line = grown
    place = shutil.copytree(before, tmp_path / "log")
    segment = segments_in(place)[0]
    kept = [line] if damage(line).startswith(line) else []
    line = damage(line)
    assert line not in kept
    with segment.open("ab") as file:
        file.write(line)
    line = line[len(b"".join(kept)) :]
    log, _ = opened(place)
    log.close()
    assert events_of(place)[-1]["metrics"] == {"cut_bytes": len(line)}
    assert verify(place).verdict is Verdict.VERIFIED


def unlink(path: Path) -> None:
    """Remove a file; the twin of the other ways to damage a log."""
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda log: segments_in(log)[-1].write_bytes(b"".join(lines_of(log)[:-1])), "ends with event 11, but head.json says .* 12"),
        (lambda log: segments_in(log)[-1].write_bytes(b"".join(damaged_tail(lines_of(log), 5))), "sound part ends with event 4"),
        (lambda log: segments_in(log)[-1].write_bytes(b""), "sound part ends before its first event"),
        (lambda log: unlink(segments_in(log)[-1]), "there is no segment"),
        (lambda log: unlink(log / HEAD), "head.json is missing"),
        (lambda log: (log / HEAD).write_bytes(b"{}"), "head.json: not a head"),
        (lambda log: (log / HEAD).write_bytes(b'{"chain_id":7,"hash":0,"seq":"x"}\n'), "head.json: not a head"),
        (lambda log: write_head(log, Head("0" * 32, 11, "0" * 64)), "not of the chain"),
        (lambda log: (log / segment_name(99)).write_bytes(b""), "does not reach"),
    ],
)  # fmt: skip
def test_a_log_that_lost_something_durable_is_not_continued(tmp_path: Path, damage: Callable[[Path], object], why: str) -> None:
    """A-33: an attacker's cut would be healed by the next start, and nobody would see it."""
    a_log(tmp_path, story(1))
    damage(tmp_path)
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(LogUnsound, match=why):
        Log(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == held
    assert verify(tmp_path).verdict is not Verdict.VERIFIED


class Failing:
    """The system's functions, of which one fails at one of its next calls, after it did a part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, code: int, part: int = 0) -> None:
        self.real, self.code, self.part, self.left = getattr(os, name), code, part, 1
        monkeypatch.setattr(os, name, self)

    def __call__(self, descriptor: int, data: bytes = b"") -> int:
        """Fail, or do what the system does."""
        if not self.left:
            return int(self.real(descriptor, data) if data else self.real(descriptor) or 0)
        self.left -= 1
        if self.part:
            self.real(descriptor, bytes(data)[: self.part])
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize(
    ("name", "code", "part"),
    [
        ("write", errno.ENOSPC, 0),
        ("write", errno.ENOSPC, 1_000),
        ("write", errno.EIO, 5),
        ("fdatasync", errno.EIO, 0),
        ("fdatasync", errno.ENOSPC, 0),
    ],
)
def test_a_failed_append_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, part: int) -> None:
    """A-32: half a line would stand in the middle of the log, or an event would be called durable that is not."""
    log, _ = opened(tmp_path)
    with log:
        held, head = lines_of(tmp_path), log.head
        assert head is not None
        with monkeypatch.context() as patched:
            Failing(patched, name, code, part)
            with pytest.raises(OSError, match=os.strerror(code)):
                log.append(b"line\n" * 1_000, head._replace(seq=head.seq + 1_000), [bytes(32)] * 1_000)
        assert lines_of(tmp_path) == held
        assert log.head == head
        log.append(b"next\n", head._replace(seq=head.seq + 1), [bytes(32)])
        assert lines_of(tmp_path) == [*held, b"next\n"]


def test_what_cannot_be_cut_back_at_once_is_cut_back_before_the_next_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-32: when the disk fails twice in a row, the next line would be glued to the torn one."""
    log, _ = opened(tmp_path)
    with log:
        held, head = lines_of(tmp_path), log.head
        assert head is not None
        with monkeypatch.context() as patched:
            Failing(patched, "write", errno.EIO, 20)
            Failing(patched, "ftruncate", errno.EIO)
            with pytest.raises(OSError, match="Input/output"):
                log.append(b"a line that is not whole\n", head._replace(seq=head.seq + 1), [bytes(32)])
        assert b"".join(lines_of(tmp_path)) != b"".join(held)
        log.append(b"next\n", head._replace(seq=head.seq + 1), [bytes(32)])
        assert lines_of(tmp_path) == [*held, b"next\n"]


def test_a_segment_that_cannot_begin_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-32: a disk that fills up exactly when a segment begins would leave a hole in the numbers."""
    log, journal = opened(tmp_path, segment_bytes=1)
    with log:
        with monkeypatch.context() as patched:
            Failing(patched, "write", errno.EIO)
            journal.write(*records(story(1)[2:3]))
        assert journal.troubled
        assert journal.close()
    assert verify(tmp_path).verdict is Verdict.VERIFIED
    assert [event["seq"] for event in events_of(tmp_path)] == [0, 1, 2, 3]


def test_an_old_head_stands_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-34: a full disk or a crash would leave half a head.json, and the next start would refuse the log."""
    head = Head("ab" * 16, 5, "cd" * 32)
    write_head(tmp_path, head)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", Failing(patched, "fdatasync", errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            write_head(tmp_path, head._replace(seq=6))
    assert read_head(tmp_path) == head
    assert [path.name for path in tmp_path.iterdir()] == [HEAD]


A_HEAD = canonical({"chain_id": "ab" * 16, "seq": 5, "hash": "cd" * 32}) + b"\n"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"7\n", b"[]\n", b'{"chain_id":"x","hash":"y","seq":1}\n', b'{"seq":1}\n', b" " + A_HEAD, A_HEAD[:-1]]
)
def test_a_head_has_one_form(tmp_path: Path, data: bytes) -> None:
    """A-34: a changed head.json would be taken for a head."""
    (tmp_path / HEAD).write_bytes(data)
    with pytest.raises(LineMalformed, match="not a head"):
        read_head(tmp_path)


def test_evidence_is_remembered_over_segments_newest_last(tmp_path: Path) -> None:
    """A-40: evidence that was acknowledged but not yet deleted from the outbox would be recorded twice after a restart."""
    facts = [fact for handle in range(1, 41) for fact in story(handle)]
    a_log(tmp_path, facts, segment_bytes=20_000)
    evidence = [
        f"{BOOT.hex()}-{fact.serial:016x}" for fact in facts if fact.event.name in {"SESSION_BORN", "SESSION_MOVED", "SESSION_ENDED"}
    ]
    assert len(segments_in(tmp_path)) > 5
    assert recover(tmp_path).evidence == evidence


def test_so_much_evidence_is_remembered_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-40: the start of a writer would take the longer the older its log is, or forget what is still in the outbox."""
    assert EVIDENCE_REMEMBERED >= 16 * 256
    monkeypatch.setattr("audit.recovery.EVIDENCE_REMEMBERED", 7)
    facts = [fact for handle in range(1, 11) for fact in story(handle)]
    a_log(tmp_path, facts, segment_bytes=8_000)
    evidence = [event["event_id"] for event in events_of(tmp_path) if event["event_class"] == "evidence"]
    assert recover(tmp_path).evidence == evidence[-7:]


def test_the_default_size_of_a_segment_is_documented() -> None:
    """A-30: docs/spec/audit.md would name another size."""
    assert segments.SEGMENT_BYTES == 16 * 2**20
