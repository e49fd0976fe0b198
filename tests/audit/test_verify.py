"""The verifier: what is sound is verified, whatever else is found, named, and placed."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from audit.canonical import LINE_BYTES_MAX, canonical, line_of
from audit.chain import digest
from audit.files import HEAD, LOCK, read_head, segment_name, segments_in, write_head
from audit.record import pack
from audit.verdict import Verdict
from audit.verify import verify
from core.reasons import Event, Reason
from core.values import Fact, Instant
from tests.audit.made import BOOT, WALL, a_log, lines_of, opened, rechained, records, replaced, resealed, story

FACTS = [*story(1), *story(2)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log of one segment: 22 events."""
    return a_log(tmp_path_factory.mktemp("sound") / "log", FACTS)


@pytest.fixture(scope="module")
def lines(log: Path) -> list[bytes]:
    """Its lines."""
    return lines_of(log)


@pytest.fixture
def scratch(log: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return shutil.copytree(log, tmp_path / "log")


def spoiled(place: Path, lines: Sequence[bytes]) -> Path:
    """The log in `place` with other lines."""
    segments_in(place)[0].write_bytes(b"".join(lines))
    return place


def test_a_sound_log_is_verified(log: Path, lines: list[bytes]) -> None:
    """A-50: every operator would be alarmed for nothing."""
    result = verify(log)
    assert result.verdict is Verdict.VERIFIED
    assert (result.events, result.first_seq, result.live, result.tables_differ) == (23, 0, False, False)
    assert result.head == result.durable == read_head(log)
    assert sum(result.by_reason.values()) == len(lines)
    assert result.by_type["SESSION_MOVED"] == 2
    assert "VERIFIED" in result.as_text()
    assert "23 events, seq 0 to 22" in result.as_text()


@pytest.mark.parametrize("value", Verdict)
def test_the_exit_status_of_a_verdict_never_changes(value: Verdict) -> None:
    """A-50: scripts would take one fault for another."""
    fixed = {"VERIFIED": 0, "INTERNAL": 1, "UNREADABLE": 2, "MALFORMED": 10, "HASH_WRONG": 11, "CHAIN_BROKEN": 12, "NUMBER_WRONG": 13}
    fixed |= {"TAIL_CUT": 14, "CONTRADICTION": 15, "UNSEALED": 16, "SEAL_WRONG": 17, "UNWITNESSED": 18}
    assert fixed[value.name] == value


def test_the_report_says_what_where_and_how_far(scratch: Path, lines: list[bytes]) -> None:
    """A-50: the person who is woken by it would have to find out for themselves."""
    result = verify(spoiled(scratch, [*lines[:4], resealed(lines[4], mono_us=77), *lines[5:]]))
    assert result.as_text().splitlines()[0].startswith("CHAIN_BROKEN: the event does not follow the one before it at seq 5 (audit-0000")
    assert "line 6)" in result.as_text()
    assert "found: prev_hash is" in result.as_text()
    assert "sound: 5 events, seq 0 to 4" in result.as_text()
    told = result.as_json()
    assert (told["verdict"], told["exit_status"], told["events"]) == ("CHAIN_BROKEN", 12, 5)
    assert {"seq": 5, "line": 6, "file": segment_name(0)}.items() <= told["fault"].items()


def test_floats_do_not_pass_as_integers(scratch: Path, lines: list[bytes]) -> None:
    """A-11: JSON Schema calls 1.0 an integer; other readers would hash other bytes for it."""
    event = json.loads(lines[3])["event"] | {"severity": 1.0}
    data = canonical(event)
    assert b'"severity":1.0' in data
    assert verify(spoiled(scratch, [*lines[:3], resealed(lines[3], severity=1.0), *lines[4:]])).verdict is Verdict.MALFORMED


@pytest.mark.parametrize("size", [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, 3 * LINE_BYTES_MAX])
def test_a_line_without_end_does_not_fill_the_memory(scratch: Path, lines: list[bytes], size: int) -> None:
    """A-51: a file of one huge line would stop the verifier instead of failing verification."""
    result = verify(spoiled(scratch, [*lines, b"x" * size]))
    assert result.fault is not None
    assert (result.fault.seq, result.events) == (23, 23)
    assert result.verdict is (Verdict.TAIL_CUT if size < LINE_BYTES_MAX else Verdict.MALFORMED)


@pytest.fixture
def split_log(tmp_path: Path) -> Path:
    """A sound log of several segments."""
    return a_log(tmp_path / "split", FACTS, segment_bytes=4_000)


def test_segments_belong_together(split_log: Path) -> None:
    """A-30, A-52: a whole file could be removed, exchanged or renamed."""
    names = segments_in(split_log)
    assert verify(split_log).verdict is Verdict.VERIFIED
    middle = names[1].read_bytes()
    first = int(names[1].name[6:26])
    names[1].unlink()
    assert (verify(split_log).verdict, verify(split_log).events) == (Verdict.NUMBER_WRONG, first)
    (split_log / segment_name(first - 1)).write_bytes(middle)
    assert verify(split_log).verdict is Verdict.NUMBER_WRONG
    (split_log / segment_name(first - 1)).unlink()
    (split_log / segment_name(first)).write_bytes(middle + b"x")
    result = verify(split_log)
    assert result.verdict is Verdict.MALFORMED
    assert result.fault is not None
    assert result.fault.file == segment_name(first)


def test_an_archived_beginning_is_allowed_only_when_asked_for(split_log: Path) -> None:
    """A-53: a beginning that somebody removed would pass, or no log could ever be archived."""
    names = segments_in(split_log)
    names[0].unlink()
    result = verify(split_log)
    assert result.fault is not None
    assert (result.verdict, result.fault.seq) == (Verdict.NUMBER_WRONG, 0)
    result = verify(split_log, partial=True)
    assert (result.verdict, result.first_seq) == (Verdict.VERIFIED, int(names[1].name[6:26]))
    assert "the events before" in result.as_text()
    names[2].unlink()
    assert verify(split_log, partial=True).verdict is Verdict.NUMBER_WRONG


def test_a_file_is_verified_for_what_it_holds(split_log: Path, tmp_path: Path) -> None:
    """A-53: a segment that was sent to an auditor could not be verified alone."""
    names = segments_in(split_log)
    for path in names:
        result = verify(path)
        assert (result.verdict, result.first_seq) == (Verdict.VERIFIED, int(path.name[6:26]))
    other = Path(shutil.copy(names[1], tmp_path / "exported.ndjson"))
    assert verify(other).first_seq == int(names[1].name[6:26])
    renamed = Path(shutil.copy(names[1], tmp_path / segment_name(0)))
    assert verify(renamed).verdict is Verdict.NUMBER_WRONG
    whole = tmp_path / "whole.ndjson"
    whole.write_bytes(b"".join(lines_of(split_log)))
    assert verify(whole).events == 23


def head_with(log: Path, **changes: object) -> None:
    """Change something in head.json, in good form."""
    head = read_head(log)
    assert head is not None
    write_head(log, head._replace(**changes))  # type: ignore[arg-type]  # a test names fields of a head


@pytest.mark.parametrize(
    ("damage", "verdict", "seq"),
    [
        (lambda log: (log / HEAD).unlink(), Verdict.TAIL_CUT, 23),
        (lambda log: (log / HEAD).write_bytes(b"{}\n"), Verdict.MALFORMED, 23),
        (lambda log: head_with(log, seq=30), Verdict.TAIL_CUT, 23),
        (lambda log: head_with(log, seq=21), Verdict.CHAIN_BROKEN, 21),
        (lambda log: head_with(log, hash="0" * 64), Verdict.CHAIN_BROKEN, 22),
        (lambda log: head_with(log, chain_id="0" * 32), Verdict.CHAIN_BROKEN, 22),
        (lambda log: segments_in(log)[0].unlink(), Verdict.TAIL_CUT, 0),
        (lambda log: (log / segment_name(24)).write_bytes(b""), Verdict.NUMBER_WRONG, 23),
    ],
)
def test_the_end_is_where_head_says(scratch: Path, damage: Callable[[Path], object], verdict: Verdict, seq: int | None) -> None:
    """A-53: the newest events, which an intruder wants gone most, could be cut off."""
    damage(scratch)
    result = verify(scratch)
    assert result.fault is not None
    assert (result.verdict, result.fault.seq) == (verdict, seq)


def test_an_empty_segment_where_the_next_event_goes_is_no_fault(scratch: Path) -> None:
    """A-53: a crash between making a segment and writing to it would be reported as an attack."""
    (scratch / segment_name(23)).write_bytes(b"")
    assert verify(scratch).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("depth", [9, 250, 260, 1_000, 1_300])
def test_a_deep_line_is_malformed(scratch: Path, lines: list[bytes], depth: int) -> None:
    """A-20: a line could make the verifier fall over, and nobody learn where."""
    event = lines[3][len(b'{"event":') : lines[3].index(b',"hash":"')]
    deep = event[:-1] + b',"zz":' + b'{"a":' * depth + b"{}" + b"}" * (depth + 1)
    result = verify(spoiled(scratch, [*lines[:3], line_of(deep, digest(deep)), *lines[4:]]))
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.MALFORMED, 3)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["pipe", "directory", "link"])
def test_a_segment_that_is_no_file_is_not_waited_for(scratch: Path, make: Callable[[Path], object]) -> None:
    """A-53: a verifier that waits on a pipe for ever, or falls over, would say nothing."""
    segments_in(scratch)[0].unlink()
    make(scratch / segment_name(0))
    result = verify(scratch)
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.UNREADABLE, 0)


def test_what_is_no_log_is_said_to_be_none(tmp_path: Path) -> None:
    """A-50: a mistyped path would look like a broken log, or like a sound one."""
    for path in (tmp_path / "absent", tmp_path):
        result = verify(path)
        assert (result.verdict, result.events) == (Verdict.UNREADABLE, 0)
        assert str(path) in result.as_text()
    empty = tmp_path / "empty.ndjson"
    empty.write_bytes(b"")
    assert verify(empty).events == 0


def test_a_log_that_is_being_written_is_verified_up_to_where_it_is(tmp_path: Path) -> None:
    """A-53: a running gateway's log would look torn whenever a line is half written."""
    log, journal = opened(tmp_path)
    with log:
        journal.write(*records(story(1)))
        with segments_in(tmp_path)[0].open("ab") as file:
            file.write(b'{"event":{"bi')
        result = verify(tmp_path)
        assert (result.verdict, result.live, result.events) == (Verdict.VERIFIED, True, 11)
        assert "a writer has the log open" in result.as_text()
    assert verify(tmp_path).verdict is Verdict.TAIL_CUT
    (tmp_path / LOCK).unlink()
    assert verify(tmp_path).live is False


def test_evidence_stands_in_a_log_once(tmp_path: Path) -> None:
    """A-54: one change of a session would count twice."""
    log = a_log(tmp_path / "log", story(1))
    lines = lines_of(log)
    (moved_line,) = (line for line in lines if b"SESSION_MOVED" in line)
    copy = replaced(log, tmp_path / "twice", list(rechained([*lines[:-1], moved_line])))
    (copy / HEAD).unlink()
    result = verify(segments_in(copy)[0])
    assert result.fault is not None
    assert (result.verdict, result.fault.seq) == (Verdict.NUMBER_WRONG, 12)
    assert "for the second time" in result.fault.found


def test_a_contradiction_is_found_at_its_event(tmp_path: Path) -> None:
    """A-55: a history that the machine cannot have had would be called sound."""
    facts = story(1)
    facts[8] = facts[8]._replace(reason=Reason.RECOVERY_OVER)
    result = verify(a_log(tmp_path, facts))
    assert result.fault is not None
    assert (result.verdict, result.fault.seq) == (Verdict.CONTRADICTION, 9)
    assert "no row of the table leads from ATTACHED to RECOVERING because of RECOVERY_OVER" in result.fault.found


def test_the_genesis_is_first_and_only_first(tmp_path: Path, lines: list[bytes], log: Path) -> None:
    """A-23: events without a statement of their rules would pass."""
    for made in (lines[1:], [lines[0], *lines], [lines[1], lines[0]]):
        result = verify(replaced(log, tmp_path / f"{len(made)}", list(rechained(made))))
        assert result.verdict is Verdict.CHAIN_BROKEN
    copy = replaced(log, tmp_path / "late", [resealed(lines[0], prev_hash="1" * 64)])
    assert verify(copy).verdict is Verdict.CHAIN_BROKEN


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    """A-50: a person would not know whether a long verification goes on."""
    monkeypatch.setattr("audit.verify.PROGRESS_LINES", 5)
    told: list[tuple[int, int]] = []
    verify(log, lambda done, total: told.append((done, total)))
    size = segments_in(log)[0].stat().st_size
    assert [total for _, total in told] == [size] * 5
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (size, size)


def test_a_log_tells_what_happened_to_it(tmp_path: Path) -> None:
    """A-41: a verified log with gaps in its telemetry would look complete."""
    loss = pack(Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, 0, 0, Instant(0), times=41), WALL, BOOT)
    log, journal = opened(tmp_path)
    with log:
        journal.write([loss, loss, b"garbage"], ())
    with segments_in(tmp_path)[0].open("ab") as file:
        file.write(b"torn")
    opened(tmp_path)[0].close()
    result = verify(tmp_path)
    assert (result.verdict, result.telemetry_lost, result.cut_bytes) == (Verdict.VERIFIED, 82, 4)
    assert "telemetry records lost: 82; records refused: 1" in result.as_text()
    assert "opened again: 1; torn bytes cut then: 4" in result.as_text()
    assert "telemetry records lost: 0; records refused: 0" in verify(a_log(tmp_path / "other", [])).as_text()
