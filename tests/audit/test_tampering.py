"""Tampering: each way to change a log, at each place, is found, classed, and placed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.files import segments_in
from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.made import a_log, lines_of, rechained, replaced, resealed, story

SLOW_INPUT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log of one segment: 22 events."""
    return a_log(tmp_path_factory.mktemp("sound") / "log", [*story(1), *story(2)])


@pytest.fixture(scope="module")
def lines(log: Path) -> list[bytes]:
    """Its lines."""
    return lines_of(log)


def test_every_byte_counts(tmp_path: Path) -> None:
    """A-51: a byte somewhere in a log could be changed unseen, or the wrong event be blamed."""
    few = a_log(tmp_path / "few", story(1)[:2])
    lines = lines_of(few)
    data = b"".join(lines)
    segment = segments_in(few)[0]
    owner = [seq for seq, line in enumerate(lines) for _ in line]
    for place, seq in enumerate(owner):
        segment.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        fault = verify(few).fault
        assert fault is not None, place
        assert fault.seq == seq, place


@SLOW_INPUT
@given(st.data())
def test_any_change_of_a_byte_is_found_where_it_is(log: Path, lines: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    """A-51: one special value at one special place would be overlooked."""
    seq = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[seq]) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != lines[seq][place]))
    changed = lines[seq][:place] + bytes((value,)) + lines[seq][place + 1 :]
    copy = replaced(log, tmp_path / "spoiled", [*lines[:seq], changed, *lines[seq + 1 :]])
    result = verify(copy)
    shutil.rmtree(copy)
    assert result.fault is not None
    assert result.fault.seq == seq
    assert result.verdict in {Verdict.MALFORMED, Verdict.HASH_WRONG, Verdict.TAIL_CUT}
    assert result.events == seq


def without(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """One line dropped."""
    last = place == len(lines) - 1
    return lines[:place] + lines[place + 1 :], place, Verdict.TAIL_CUT if last else Verdict.NUMBER_WRONG


def twice(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """One line doubled."""
    return lines[: place + 1] + lines[place:], place + 1, Verdict.NUMBER_WRONG


def moved(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """One line brought to the front."""
    place = max(place, 1)
    return [lines[place], *lines[:place], *lines[place + 1 :]], 0, Verdict.NUMBER_WRONG


def swapped(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """Two neighbours exchanged."""
    place = min(place, len(lines) - 2)
    return [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]], place, Verdict.NUMBER_WRONG


def cut(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """The end cut off between two lines."""
    return lines[:place], place, Verdict.TAIL_CUT


def torn(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """The end cut off within a line."""
    return [*lines[:place], lines[place][:-1]], place, Verdict.TAIL_CUT


def forged(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """One event changed, with a hash that fits: what follows does not follow from it."""
    changed = [*lines[:place], resealed(lines[place], mono_us=77), *lines[place + 1 :]]
    if place == len(lines) - 2:  # the last but one is the seal of the epoch
        return changed, place, Verdict.SEAL_WRONG
    return changed, min(place + 1, len(lines) - 1), Verdict.CHAIN_BROKEN


def inserted(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """An event put in that follows from the one before."""
    place = max(place, 1)
    event = json.loads(lines[place])["event"]
    made = resealed(lines[2], seq=event["seq"], prev_hash=event["prev_hash"], mono_us=78)
    found = (place, Verdict.CHAIN_BROKEN) if place == len(lines) - 1 else (place + 1, Verdict.NUMBER_WRONG)
    return [*lines[:place], made, *lines[place:]], *found


def rewritten(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """An event changed, and everything after it made to follow: only the seal and head.json know."""
    changed = list(rechained([*lines[:place], resealed(lines[place], mono_us=79), *lines[place + 1 :]]))
    last = place == len(lines) - 1
    return changed, len(lines) - (1 if last else 2), Verdict.CHAIN_BROKEN if last else Verdict.SEAL_WRONG


def foreign(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """An event of another chain, which fits in all other ways."""
    place = max(place, 1)
    return [*lines[:place], resealed(lines[place], chain_id="12" * 16), *lines[place + 1 :]], place, Verdict.CHAIN_BROKEN


def widened(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """An event with something in it that the schema does not know."""
    return [*lines[:place], resealed(lines[place], note="x"), *lines[place + 1 :]], place, Verdict.MALFORMED


def loosened(lines: list[bytes], place: int) -> tuple[list[bytes], int, Verdict]:
    """The same event in other bytes."""
    return [*lines[:place], b" " + lines[place], *lines[place + 1 :]], place, Verdict.MALFORMED


TAMPERINGS = [without, twice, moved, swapped, cut, torn, forged, inserted, rewritten, foreign, widened, loosened]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_each_way_to_tamper_is_found_at_each_place(
    log: Path, lines: list[bytes], tmp_path: Path, tamper: Callable[[list[bytes], int], tuple[list[bytes], int, Verdict]]
) -> None:
    """A-22, A-50 to A-53: somebody could change what happened, and nobody would know, or look in the wrong place."""
    for place in range(len(lines)):
        left, seq, verdict = tamper(lines, place)
        copy = replaced(log, tmp_path / str(place), left)
        result = verify(copy)
        assert result.fault is not None
        assert (result.fault.seq, result.verdict, result.events) == (seq, verdict, seq), place
        assert json.dumps(result.as_json())
        assert result.verdict.name in result.as_text()
        assert f"seq {seq}" in result.as_text()
