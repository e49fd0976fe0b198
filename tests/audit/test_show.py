"""Reading a log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.files import segments_in
from audit.show import Wanted, events, one_line
from tests.audit.made import BORN_EVENT, a_log, events_of, lines_of, story


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two sessions in several segments."""
    return a_log(tmp_path_factory.mktemp("show") / "log", [*story(1), *story(2)], segment_bytes=4_000)


def test_everything_is_shown_with_its_hash(log: Path) -> None:
    """What is shown would not be what is in the log."""
    shown = list(events(log))
    assert [{key: value for key, value in event.items() if key != "hash"} for event in shown] == events_of(log)
    assert [event["hash"] for event in shown] == [json.loads(line)["hash"] for line in lines_of(log)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(event_types=frozenset({"SESSION_MOVED"})), lambda event: event["event_type"] == "SESSION_MOVED"),
        (Wanted(reasons=frozenset({"COOLDOWN", "LOG_STARTED"})), lambda event: event["reason_code"] in {"COOLDOWN", "LOG_STARTED"}),
        (Wanted(classes=frozenset({"evidence"})), lambda event: event["event_class"] == "evidence"),
        (Wanted(severity=2), lambda event: event["severity"] >= 2),
        (Wanted(first_seq=3, last_seq=5), lambda event: 3 <= event["seq"] <= 5),
        (Wanted(classes=frozenset({"evidence"}), last_seq=5), lambda event: event["event_class"] == "evidence" and event["seq"] <= 5),
        (Wanted(device="0" * 16), lambda event: False),
    ],
)
def test_only_the_wanted_is_shown(log: Path, wanted: Wanted, expected: Callable[[dict[str, Any]], bool]) -> None:
    """A person would search in events that they did not ask for, or miss one that they did."""
    assert [event["seq"] for event in events(log, wanted)] == [event["seq"] for event in events_of(log) if expected(event)]


def test_one_session_device_and_time_can_be_asked_for(log: Path) -> None:
    """The story of one session could not be told."""
    born = next(event for event in events_of(log) if event["event_type"] == "SESSION_BORN")
    one = [event["seq"] for event in events_of(log) if event.get("session", {}).get("pseudonym") == born["session"]["pseudonym"]]
    assert len(one) == 10
    assert [event["seq"] for event in events(log, Wanted(session=born["session"]["pseudonym"]))] == one
    assert len(list(events(log, Wanted(session=born["session"]["correlation_id"])))) == 20
    assert {event["device"] for event in events(log, Wanted(device=born["device"]))} == {born["device"]}
    assert [event["seq"] for event in events(log, Wanted(since="2026-11-18", until="2026-11-18T12"))] == list(range(23))
    assert not list(events(log, Wanted(since=max(event["time"] for event in events_of(log)) + "x")))
    assert not list(events(log, Wanted(until=min(event["time"] for event in events_of(log)))))


def test_lines_that_are_no_events_are_told_and_passed_over(log: Path, tmp_path: Path) -> None:
    """One bad line would hide all others from the person who has to find out what happened."""
    path = tmp_path / "log.jsonl"
    lines = lines_of(log)
    path.write_bytes(b"".join([*lines[:2], b"no line\n", *lines[3:4], lines[4][:50]]))
    bad: list[tuple[str, int]] = []
    assert [event["seq"] for event in events(path, bad=lambda file, number, _: bad.append((file, number)))] == [0, 1, 3]
    assert bad == [("log.jsonl", 3), ("log.jsonl", 5)]
    assert [event["seq"] for event in events(path)] == [0, 1, 3]


def test_an_event_is_one_line_for_a_person(log: Path) -> None:
    """A person would have to read JSON."""
    text = one_line(BORN_EVENT)
    for part in ("2026-11-18T11:06:40.123456Z", "informational", "SESSION_BORN", "PENDING->TERMINATED", "UDP->TCP", "binding 2 attempt 1"):
        assert part in text
    for event in events(log):
        assert "\n" not in one_line(event)
    refused = {
        **BORN_EVENT,
        "offending": {"error": "why", "record": ""},
        "count": 3,
        "metrics": {"gap_us": 5},
        "state": {"from": "ATTACHED"},
    }
    for part in ("why", "3 times", "gap_us=5", "ATTACHED"):
        assert part in one_line(refused)


def test_an_event_of_a_key_or_document_says_which() -> None:
    """Who investigates a refused list, or a revoked key, would see that there was one, and not which."""
    key, document = (BORN_EVENT | {"event_type": name, "reason_code": reason} for name, reason in (
        ("KEY_CHANGED", "KEY_REVOKED"), ("DOCUMENT_JUDGED", "DOCUMENT_ACCEPTED"),
    ))  # fmt: skip
    assert "key DEVICE 0123456789abcdef" in one_line(key | {"key": {"kind": "DEVICE", "pseudonym": "0123456789abcdef"}})
    assert "document keyset 3" in one_line(document | {"document": {"role": "keyset", "version": 3}})
    refused = one_line(document | {"document": {"role": "root", "version": 0}})
    assert "document root" in refused
    assert "root 0" not in refused, "nobody knows the version of what was refused"


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A mistyped path would look like an empty log."""
    with pytest.raises(FileNotFoundError):
        list(events(tmp_path / "absent"))
    assert segments_in(tmp_path) == []
