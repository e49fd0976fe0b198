"""The report: one page that says what the logs say, to everybody who opens it, and nothing that they do not say."""

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit.files import segments_in
from audit.show import events
from observability import report as module
from observability.queries import summary
from observability.report import report, write_report
from tests.observability.story import write_story
from tests.observability.synthetic import Scribe


class Reader(HTMLParser):
    """What a browser would do with the page."""

    def __init__(self, text: str) -> None:
        """Read it."""
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what begins."""
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids.update(value for name, value in attrs if name == "id" and value)
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is empty."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Everything is closed in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Logs of a gateway and a client."""
    return write_story(tmp_path_factory.mktemp("story"), sessions=5, minutes=4)


def test_the_page_needs_nothing_but_itself(logs: tuple[Path, Path]) -> None:
    """An auditor's machine without network would show half a page, one with it would tell somebody that the report is read."""
    _, text = report(logs)
    page = Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset", "action", "data"}]
    for name, value in page.attributes:
        if name.endswith("href"):
            assert value.startswith("#")
            assert value[1:] in page.ids
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert page.open == []


def test_the_page_can_be_heard_as_well_as_seen(logs: tuple[Path, Path]) -> None:
    """A screen reader would say "graphic" and nothing else; two things of one name would be one."""
    _, text = report(logs)
    page = Reader(text)
    assert [name for name, times in page.ids.items() if times > 1] == []
    assert page.tags["h1"] == 1
    assert page.tags["h2"] == page.tags["section"] == 8
    assert page.tags["svg"] == page.tags["desc"] == page.tags["figcaption"] == 4
    assert page.attributes.count(("role", "img")) == 4
    for name, value in page.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(page.ids)
    assert page.tags["caption"] == page.tags["table"]
    assert page.attributes.count(("scope", "col")) + page.attributes.count(("scope", "row")) == page.tags["th"] > 0
    assert ("lang", "en") in page.attributes


def test_the_numbers_are_those_of_the_logs(logs: tuple[Path, Path]) -> None:
    """A decision would rest on numbers that nobody measured."""
    _, text = report(logs)
    page = Reader(text)
    numbers = summary(event for log in logs for event in events(log))
    rows = {row[0]: row[1:] for row in page.rows if row}
    for reason, times in numbers.refusals.items():
        assert rows[reason.replace("_", " ").lower()][0] == str(times)
    by_reason = {row[0]: row[1] for row in page.rows if len(row) == 6 and row[1].isdigit()}
    for reason, times in numbers.jumps.items():
        assert by_reason[reason.removeprefix("MOVED_").replace("_", " ").lower()] == str(times)
    assert sum(len(row) == 6 and bool(re.match(r"20\d\d-", row[0])) for row in page.rows) == sum(numbers.jumps.values())
    assert f"{sum(numbers.refusals.values())}" in page.text
    assert page.text.count("complete and unchanged") == 2


def test_the_same_logs_give_the_same_page(logs: tuple[Path, Path]) -> None:
    """Two auditors could not compare what they have in hand."""
    assert report(logs)[1] == report(logs)[1]


def test_colours_are_the_pages_own_in_text_and_lines(logs: tuple[Path, Path]) -> None:
    """In the dark, black text would stand on black."""
    _, text = report(logs)
    svg = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--ink)" in svg
    assert "var(--line)" in svg
    assert not re.search(r"#0a0b0c|#0d0e0f", svg)
    fills = set(re.findall(r"<text style=\"[^\"]*fill: ([^;\"]+)", svg))
    assert fills <= {"var(--ink)", "#ffffff", "#000000"}  # the last two stand on bands


def test_a_log_that_was_tampered_with_is_named_first_and_not_counted(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A forged log would get a handsome report."""
    forged = Path(shutil.copytree(logs[0], tmp_path / "log"))
    (segment,) = segments_in(forged)
    lines = segment.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if number > 50 and b'"SESSION_MOVED"' in line)
    lines[place] = lines[place].replace(b'"UDP"', b'"TCP"').replace(b'"QUIC"', b'"TCP"')
    segment.write_bytes(b"".join(lines))
    results = write_report([forged], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Reader(text)
    assert [result.events for result in results] == [place]
    assert "Do not rely on this log" in page.text
    assert page.text.index("Do not rely") < page.text.rindex("In short")
    assert f"It stands at event {place}" in page.text
    assert "complete and unchanged" not in page.text
    numbers = summary(list(events(logs[0]))[:place])
    assert sum(len(row) == 6 and bool(re.match(r"20\d\d-", row[0])) for row in page.rows) == sum(numbers.jumps.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "report.html"]


def test_names_from_outside_are_text(tmp_path: Path) -> None:
    """A file name would be a program in the auditor's browser."""
    log = tmp_path / "<script>alert(1)</script>&amp;\"'"
    Scribe(log).close()
    _, text = report([log])
    assert "<script" not in text
    assert str(log) in Reader(text).text


def test_nothing_to_tell_is_told(tmp_path: Path) -> None:
    """An empty day, a wrong path or a client's log alone would end in a traceback."""
    Scribe(tmp_path / "empty").close()
    _, text = report([tmp_path / "empty", tmp_path / "nowhere"])
    page = Reader(text)
    assert "There is no session in these logs." in page.text
    assert "not readable as an audit log" in page.text
    assert page.tags["svg"] == 0
    _, text = report([tmp_path / "nowhere"])
    assert "There is no verified event in these logs." in Reader(text).text
    _, client = write_story(tmp_path, sessions=2, minutes=1)
    assert Reader(report([client])[1]).tags["svg"] >= 1


def test_a_large_log_gives_a_page_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of ten thousand sessions would not open."""
    gateway, client = write_story(tmp_path, sessions=12, minutes=2)
    monkeypatch.setattr(module, "ROWS_MAX", 6)
    monkeypatch.setattr(module, "PICTURED_MAX", 4)
    page = Reader(report([gateway, client])[1])
    assert "Sessions: the first 6 of 12" in page.text
    assert "Jumps: the first 6 of" in page.text
    assert "The 4 sessions with most jumps of 12 are shown." in page.text


def test_a_page_that_cannot_be_written_leaves_the_old_one(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A full disk would leave half a report that looks whole."""
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "x").write_text("")
    with pytest.raises(OSError, match="report"):
        write_report(logs, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
