"""The report: one page that says what the logs say, to everybody who opens it, and nothing that they do not say."""

import re
import shutil
from pathlib import Path

import pytest

from audit.files import segments_in
from audit.show import events
from observability.queries import summary
from observability.report import SECTIONS, render, write_report
from observability.reporting import material, moves, sessions
from observability.reporting.material import NoSuchSession, Request, gather
from observability.timeline import Story
from tests.observability.reading import Reader
from tests.observability.story import write_story
from tests.observability.synthetic import Scribe


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Logs of a gateway and a client."""
    return write_story(tmp_path_factory.mktemp("story"), sessions=5, minutes=4)


@pytest.fixture(scope="module")
def page(logs: tuple[Path, Path]) -> str:
    """The report on both."""
    return report(*logs)


def report(*logs: Path) -> str:
    """Return the page on these logs."""
    return render(gather(Request(logs=logs)))


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    """A-103: an auditor's machine without network would show half a page, one with it would tell somebody that the report is read."""
    text, read = page, Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in {"src", "srcset", "action", "data"}]
    for name, value in read.attributes:
        if name.endswith("href"):
            assert value.startswith("#")
            assert value[1:] in read.ids
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(read.ids)
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes
    assert read.open == []


def test_the_page_can_be_heard_as_well_as_seen(page: str) -> None:
    """A screen reader would say "graphic" and nothing else; two things of one name would be one."""
    read = Reader(page)
    assert [name for name, times in read.ids.items() if times > 1] == []
    assert read.tags["h1"] == 1
    assert read.tags["h2"] == read.tags["section"] == len(SECTIONS)
    assert read.tags["svg"] == read.tags["desc"] == read.tags["figcaption"] == 4
    assert read.attributes.count(("role", "img")) == 4
    for name, value in read.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(read.ids)
    assert read.tags["caption"] == read.tags["table"]
    assert read.attributes.count(("scope", "col")) + read.attributes.count(("scope", "row")) == read.tags["th"] > 0
    assert ("lang", "en") in read.attributes


def test_the_numbers_are_those_of_the_logs(page: str, logs: tuple[Path, Path]) -> None:
    """A-100: a decision would rest on numbers that nobody measured."""
    read = Reader(page)
    numbers = summary(event for log in logs for event in events(log))
    rows = {row[0]: row[1:] for row in read.rows if row}
    for reason, times in numbers.refusals.items():
        assert rows[reason.replace("_", " ").lower()][0] == str(times)
    by_reason = {row[0]: row[1] for row in read.rows if len(row) == 6 and row[1].isdigit()}
    for reason, times in numbers.jumps.items():
        assert by_reason[reason.removeprefix("MOVED_").replace("_", " ").lower()] == str(times)
    assert len(jumps_in(read)) == sum(numbers.jumps.values())
    assert f"{sum(numbers.refusals.values())}" in read.text
    assert read.text.count("The log is complete and unchanged") == 2


def test_the_same_logs_give_the_same_page(page: str, logs: tuple[Path, Path]) -> None:
    """A-102: two auditors could not compare what they have in hand."""
    assert report(*logs) == page


def test_colours_are_the_pages_own_in_text_and_lines(page: str) -> None:
    """In the dark, black text would stand on black."""
    svg = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--ink)" in svg
    assert "var(--line)" in svg
    assert not re.search(r"#0a0b0c|#0d0e0f", svg)
    fills = set(re.findall(r"<text style=\"[^\"]*fill: ([^;\"]+)", svg))
    assert fills <= {"var(--ink)", "#ffffff", "#000000"}  # the last two stand on bands


def test_a_log_that_was_tampered_with_is_named_first_and_not_counted(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A-100: a forged log would get a handsome report."""
    forged = Path(shutil.copytree(logs[0], tmp_path / "log"))
    (segment,) = segments_in(forged)
    lines = segment.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if number > 50 and b'"SESSION_MOVED"' in line)
    lines[place] = lines[place].replace(b'"UDP"', b'"TCP"').replace(b'"QUIC"', b'"TCP"')
    segment.write_bytes(b"".join(lines))
    made = write_report(Request(logs=[forged]), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Reader(text)
    assert [log.result.events for log in made.logs] == [place]
    assert page.text.index("Do not rely on L1") < page.text.index("In short")
    assert "Do not rely on this log" in page.text
    assert f"FAILED at event {place}" in page.text
    assert f"It stands at event {place}" in page.text
    assert "complete and unchanged" not in page.text
    numbers = summary(list(events(logs[0]))[:place])
    assert len(jumps_in(page)) == sum(numbers.jumps.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "report.html"]


def test_names_from_outside_are_text(tmp_path: Path) -> None:
    """A-103: a file name would be a program in the auditor's browser, or write the line around it backwards."""
    log = tmp_path / "<script>alert(1)</script>&amp;\"'\u202e\udc80"
    Scribe(log).close()
    text = report(log)
    assert "<script" not in text
    assert str(log).replace("\u202e", "\ufffd").replace("\udc80", "\ufffd") in Reader(text).text
    assert not {"\u202e", "\udc80"} & set(text)


def test_nothing_to_tell_is_told(tmp_path: Path) -> None:
    """An empty day, a wrong path or a client's log alone would end in a traceback."""
    Scribe(tmp_path / "empty").close()
    text = report(tmp_path / "empty", tmp_path / "nowhere")
    page = Reader(text)
    assert "There is no session in these logs." in page.text
    assert "not readable as an audit log" in page.text
    assert page.tags["svg"] == 0
    text = report(tmp_path / "nowhere")
    assert "There is no verified event in these logs." in Reader(text).text
    _, client = write_story(tmp_path, sessions=2, minutes=1)
    assert Reader(report(client)).tags["svg"] >= 1


def test_a_large_log_gives_a_page_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-105: a page of ten thousand sessions would not open, or would leave things out and not say so."""
    gateway, client = write_story(tmp_path, sessions=12, minutes=2)
    for where, name, most in (
        (sessions, "ROWS_MAX", 6),
        (sessions, "PICTURED_MAX", 4),
        (sessions, "TOLD_MAX", 2),
        (material, "PROOFS_MAX", 30),
    ):
        monkeypatch.setattr(where, name, most)
    monkeypatch.setattr(moves, "ROWS_MAX", 6)
    page = Reader(report(gateway, client))
    assert "Sessions: the first 6 of 12" in page.text
    assert "Jumps: the first 6 of" in page.text
    assert "The 4 sessions with most jumps of 12 are shown." in page.text
    assert "2 of 12 sessions, those with most jumps." in page.text
    assert re.search(r"Events and their proof ids: \d+ of \d{2,}", page.text)
    assert 10 < sum(name.startswith("event-") for name in page.ids) <= 30


def test_a_page_that_cannot_be_written_leaves_the_old_one(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A full disk would leave half a report that looks whole."""
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "x").write_text("")
    with pytest.raises(OSError, match="report"):
        write_report(Request(logs=logs), tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_session_is_told_from_birth_to_end(page: str, logs: tuple[Path, Path]) -> None:
    """An auditor who asks what happened to one session would have to put it together from two logs."""
    read = Reader(page)
    told = [event for log in logs for event in events(log) if "session" in event]
    ended = next(event for event in told if event["event_type"] == "SESSION_ENDED")
    name, correlation = ended["session"]["pseudonym"], ended["session"]["correlation_id"]
    assert f"Session {name}" in read.text
    assert f"session-{correlation}" in read.ids
    rows = [row for row in read.rows if len(row) == 7 and row[1] in {"gateway", "client"}]
    references = {row[6] for row in rows}
    for event in told:
        if event["session"].get("correlation_id") == correlation and event["event_type"] in {
            "SESSION_BORN",
            "SESSION_MOVED",
            "CLIENT_MOVED",
        }:
            assert f"L{2 if event['role'] == 'client' else 1}:{event['seq']}" in references
    assert [row[0] for row in rows[:20]] == sorted(row[0] for row in rows[:20])


def test_only_the_sessions_that_were_asked_for_are_told(logs: tuple[Path, Path]) -> None:
    """The one session that an incident is about would be missing, as others jumped more; a typing error would be an empty answer."""
    quiet = gather(Request(logs=logs)).sessions()[-1]
    read = Reader(render(gather(Request(logs=logs, sessions=(quiet.correlation,)))))
    assert [name for name in read.ids if name.startswith("session-")] == [f"session-{quiet.correlation}"]
    with pytest.raises(NoSuchSession, match="of a session 0123456789abcdef"):
        gather(Request(logs=logs, sessions=("0123456789abcdef",)))


def test_a_session_that_lives_in_two_months_is_one(tmp_path: Path) -> None:
    """A-14: its pseudonym changes with the month; the report would tell two halves, and find neither by the other's name."""
    gateway, _ = write_story(tmp_path, sessions=1, minutes=1)
    told = list(events(gateway))
    for event in told[len(told) // 2 :]:
        event.get("session", {}).pop("pseudonym", None)
        event.get("session", {}).update({"pseudonym": "f" * 16} if "session" in event else {})
    story = Story()
    story.take(told)
    (session,) = story.sessions.values()
    assert list(session.names) == [session.name, "f" * 16]


def jumps_in(page: Reader) -> list[list[str]]:
    """Return the rows of the table of jumps."""
    return [row for row in page.rows if len(row) == 7 and re.match(r"20\d\d-", row[0]) and " to " in row[2] and row[4].isdigit()]
