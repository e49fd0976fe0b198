"""A log whose durable part was made anew: the writer must not go on behind it, and make it good by naming it in head.json."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.canonical import canonical, line_of, parse, split
from audit.chain import Head, digest
from audit.errors import LogUnsound
from audit.files import segments_in, write_head
from audit.recovery import recover
from audit.segments import Log
from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.made import a_log, story

MORE = 3  # events that the forger adds, as a crash may leave more events than head.json names


def anew(log: Path, place: int) -> None:
    """Change the first event of a segment, make every later line of the log fit, and add some: only head.json still tells."""
    segments = segments_in(log)
    before = split(segments[place - 1].read_bytes().splitlines(keepends=True)[-1]).hash if place else ""
    for segment in segments[place:]:
        lines = segment.read_bytes().splitlines(keepends=True)
        made: list[bytes] = []
        seq = parse(split(lines[0]).event)["seq"]
        for line in lines + lines[-1:] * (MORE if segment == segments[-1] else 0):
            event = parse(split(line).event) | {"seq": seq}
            event |= {"prev_hash": before} if before else {}
            if not made and segment == segments[place]:
                event["time"] = "2001-01-01T00:00:00.000000Z"
            data = canonical(event)
            before, seq = digest(data), seq + 1
            made.append(line_of(data, before))
        segment.write_bytes(b"".join(made))


@pytest.mark.parametrize(
    ("size", "place"),
    [(16 * 2**20, lambda _log: 0), (3_000, lambda log: len(segments_in(log)) - 1), (3_000, lambda _log: 1)],
    ids=["one segment", "the last segment", "from the second on"],
)
def test_a_log_that_was_made_anew_is_not_continued(tmp_path: Path, size: int, place: Callable[[Path], int]) -> None:
    """A-33: whoever rewrites the log and adds a line would have the writer itself replace the one file that tells."""
    log = a_log(tmp_path / "log", [*story(1), *story(2)], segment_bytes=size)
    anew(log, place(log))
    held = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    with pytest.raises(LogUnsound, match="not of the chain that head"):
        Log(log)
    assert {path: path.read_bytes() for path in log.rglob("*") if path.is_file()} == held
    assert verify(log).verdict is not Verdict.VERIFIED


def test_an_end_that_head_json_does_not_name_yet_has_to_follow(tmp_path: Path) -> None:
    """A-33: the last segment, all newer than head.json, could be of another chain than the one before it."""
    log = a_log(tmp_path / "log", [*story(1), *story(2)], segment_bytes=3_000)
    *_, before, last = segments_in(log)
    named = split(before.read_bytes().splitlines(keepends=True)[-1])
    event = parse(named.event)
    write_head(log, Head(event["chain_id"], event["seq"], named.hash))
    assert recover(log).cut_bytes == 0, "as after a crash: it is continued"
    first = split(last.read_bytes().splitlines(keepends=True)[0])
    data = canonical(parse(first.event) | {"prev_hash": "0" * 64})
    last.write_bytes(line_of(data, digest(data)))
    found = recover(log)
    assert (found.head, found.cut_bytes > 0, last.read_bytes()) == (Head(event["chain_id"], event["seq"], named.hash), True, b"")
