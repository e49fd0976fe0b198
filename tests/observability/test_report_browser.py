"""The report in a real browser: seen, heard, moved by keys, on a small screen, in the dark and on paper; and harmless there."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from audit.files import segments_in
from observability.pilot import parse
from observability.report import SECTIONS, write_report
from observability.reporting.material import Request
from tests.observability.browser import NARROW, WIDE, browser, opened
from tests.observability.story import write_story
from tests.support import requires

pytestmark = requires("chromium")
MANIFEST = b'environment = "mobile"\n[criteria]\nrecovery_window_ms = 300\nswitches_per_minute = 100\n'
MARKUP = "<img src=x onerror=document.title='taken'>"
FOCUSED = """() => {
    const at = document.activeElement, style = getComputedStyle(at);
    return [at.tagName, at.className, at.getAttribute('href') || at.id, style.outlineStyle, parseFloat(style.outlineWidth)];
}"""
COLOURS = """() => {
    const of = (name, property) => getComputedStyle(document.querySelector(name))[property].match(/\\d+/g).slice(0, 3).map(Number);
    return [of('body', 'backgroundColor'), of('body', 'color'), of('svg text', 'fill')];
}"""
LEFT = "() => document.activeElement.scrollLeft"


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    """A browser for all of them."""
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all there can be: a sound log, one that was tampered with, whose name is markup, and a pilot's criteria."""
    scratch = tmp_path_factory.mktemp("report")
    gateway, client = write_story(scratch, sessions=2, minutes=2)
    forged = Path(shutil.copytree(client, scratch / MARKUP))
    (segment,) = segments_in(forged)
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[-5] = lines[-5].replace(b'"seq":', b'"seq":1', 1)
    segment.write_bytes(b"".join(lines))
    write_report(Request(logs=[gateway, forged], manifest=parse(MANIFEST)), scratch / "report.html")
    return scratch / "report.html"


def test_it_is_shown_as_it_is_and_asks_for_nothing(started: Browser, report: Path) -> None:
    """A-103: opening a report would run what a log's name says, or tell somebody that it is read."""
    with opened(started, report) as window:
        said: list[str] = []
        asked: list[str] = []
        window.on("console", lambda message: said.append(message.text))
        window.on("pageerror", lambda error: said.append(str(error)))
        window.on("request", lambda request: asked.append(request.url))
        window.reload()
        window.get_by_role("heading", level=1).wait_for()
        assert window.title() == "Audit report: sessions and their jumps"
        assert asked == [report.as_uri()]
        assert said == []
        assert MARKUP in window.inner_text("body")
        assert window.locator("img, script, iframe").count() == 0


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (WIDE, True), (NARROW, False)], ids=["wide", "dark", "narrow"])
def test_nothing_is_found_by_axe(started: Browser, report: Path, size: tuple[int, int], *, dark: bool) -> None:
    """Somebody who hears the page, moves by keys, or sees little contrast, could not read all of it."""
    with opened(started, report, size=size, dark=dark) as window:
        found = Axe().run(window).response
        violations = [(each["id"], each["nodes"][0]["html"][:200], len(each["nodes"])) for each in found["violations"]]
        assert violations == []


def test_a_keyboard_is_enough(started: Browser, report: Path) -> None:
    """Whoever has no mouse would not get past the contents, not see where they are, or not reach the right half of a table."""
    with opened(started, report, size=NARROW) as window:
        window.keyboard.press("Tab")
        assert focused(window)[:3] == ["A", "skip", "#report"]
        assert window.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]  # it has a box, or the test fails
        window.keyboard.press("Enter")
        assert window.evaluate("() => document.activeElement.id") == "report"
        frames = set()
        for _ in range(60):
            window.keyboard.press("Tab")
            tag, kind, name, style, width = focused(window)
            assert (style, width >= 2) == ("solid", True), (tag, kind, name)
            frames.add(kind)
            if kind == "wide" and window.evaluate("() => document.activeElement.scrollWidth > document.activeElement.clientWidth + 100"):
                window.keyboard.press("ArrowRight")
                window.wait_for_function("() => document.activeElement.scrollLeft > 0")
                break
        assert "wide" in frames
        assert window.evaluate(LEFT) > 0


def test_a_screen_reader_hears_names_and_regions(started: Browser, report: Path) -> None:
    """Tables and pictures would be heard as "table" and "graphic", and nobody could jump to what they want."""
    with opened(started, report) as window:
        tree = window.context.new_cdp_session(window).send("Accessibility.getFullAXTree")["nodes"]
        nodes = [node for node in tree if not node.get("ignored")]
        heard: dict[str, list[str]] = {}
        for node in nodes:
            heard.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
        assert (len(heard["main"]), len(heard["banner"]), len(heard["navigation"])) == (1, 1, 1)
        assert len(heard["image"]) == window.locator("svg").count() == 4
        assert all(len(name) > 20 for name in heard["image"])
        assert len(heard["table"]) == window.locator("table:not(details *)").count() > 10
        assert "" not in heard["table"] + heard["region"] + heard["heading"]
        levels = [int(tag[1]) for tag in window.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(each => each.tagName)")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_fits_the_screen(started: Browser, report: Path, size: tuple[int, int]) -> None:
    """On a phone each line would have to be followed by moving the page."""
    with opened(started, report, size=size) as window:
        assert window.evaluate("() => document.documentElement.scrollWidth") <= size[0]


def test_a_telephone_shows_words_and_not_letters(started: Browser, report: Path) -> None:
    """A hash would stand letter below letter, and the page be a hundred metres long."""
    with opened(started, report, size=NARROW) as window:
        thin = "all => all.filter(each => each.innerText.length > 12 && each.clientWidth < 100).map(each => each.innerText)"
        assert window.eval_on_selector_all("td.code, tbody th.code", thin) == []


def test_each_link_leads_to_where_it_says(started: Browser, report: Path) -> None:
    """An auditor who follows an event to its proof id would stay where they are."""
    with opened(started, report) as window:
        for name, heading, _ in SECTIONS:
            window.get_by_role("navigation").get_by_role("link", name=heading, exact=True).click()
            assert window.evaluate("location.hash") == f"#{name}"
            assert window.locator(":target").inner_text() == heading
        link = window.get_by_role("link", name=re.compile(r"^L1:\d+$")).first
        link.click()
        assert window.locator(":target").locator("th").inner_text() == link.inner_text()


def test_the_dark_is_dark_for_the_pictures_too(started: Browser, report: Path) -> None:
    """Black text would stand on black."""
    for dark in (False, True):
        with opened(started, report, dark=dark) as window:
            paper, ink, text = window.evaluate(COLOURS)
            assert text == ink
            assert (sum(paper) < sum(ink)) is dark


def test_on_paper_nothing_is_cut_or_folded(started: Browser, report: Path) -> None:
    """A printed report would lack the right half of its tables, and what was folded on the screen."""
    with opened(started, report, size=(690, 900)) as window:  # A4 without its margins
        window.emulate_media(media="print")
        cut = "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.ariaLabel)"
        assert window.eval_on_selector_all(".wide", cut) == []
        assert window.evaluate("() => document.documentElement.scrollWidth") <= 690
        assert window.locator("details table").count() == 2
        assert window.eval_on_selector_all("details table", "all => all.filter(each => !each.checkVisibility()).length") == 0
        assert window.pdf().startswith(b"%PDF-")


def focused(window: Page) -> list[Any]:
    """Return what has the focus: tag, class, target or id, and its outline."""
    found: list[Any] = window.evaluate(FOCUSED)
    return found
