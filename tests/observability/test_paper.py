"""The report on paper: the same words for whoever hears them, the same bytes for whoever compares them, and nothing from elsewhere."""

import builtins
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from observability import paper
from observability.report import write_report
from observability.reporting.material import Request
from tests.observability.story import write_story
from tests.observability.synthetic import Scribe
from tests.support import ROOT, requires

AGAIN = """
import sys
from pathlib import Path
from observability.paper import pdf
sys.stdout.buffer.write(pdf(Path(sys.argv[1]).read_text(encoding="utf-8")))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report, as a page and on paper, in one directory."""
    scratch = tmp_path_factory.mktemp("paper")
    gateway, client = write_story(scratch, sessions=1, minutes=1)
    write_report(Request(logs=[gateway, client]), scratch / "report.html", scratch / "report.pdf")
    return scratch


@requires("pdf")
def test_the_same_page_makes_the_same_paper(report: Path) -> None:
    """A-102: two auditors could not compare what they have in hand; another process has other hashes and another time of day."""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", AGAIN, str(report / "report.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=300, env=environment)
    assert done.stdout == (report / "report.pdf").read_bytes()


@requires("pdf")
def test_a_screen_reader_finds_titles_tables_and_pictures(report: Path) -> None:
    """Paper would be a heap of glyphs to whoever hears it."""
    read = PdfReader(report / "report.pdf")
    root: Any = read.trailer["/Root"]
    assert (root["/Lang"], bool(root["/MarkInfo"]["/Marked"])) == ("en", True)
    assert read.metadata is not None
    assert read.metadata.title == "Audit report: sessions and their jumps"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert re.search(rb"pdfuaid:part(=\"|>)1\b", root["/Metadata"].get_data())
    tags: dict[str, list[Any]] = {}
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop().get_object()
        if isinstance(element, list):
            waiting += element
        elif isinstance(element, dict):
            tags.setdefault(str(element.get("/S")), []).append(element)
            waiting += [element["/K"]] if "/K" in element else []
    assert len(tags["/H1"]) == 1
    assert len(tags["/H2"]) == 13
    assert len(tags["/Table"]) > 10
    assert all(len(each["/Alt"]) > 20 for each in tags["/Figure"])
    assert {"/TH", "/TD"} <= set(tags)
    assert [str(each["/Title"]) for each in read.outline if not isinstance(each, list)][:1] == ["Audit report: sessions and their jumps"]


@requires("pdf")
def test_paper_says_what_the_page_says(report: Path) -> None:
    """The report that is filed would not be the one that was read."""
    read = PdfReader(report / "report.pdf")
    text = " ".join("".join(page.extract_text() for page in read.pages).split())
    for said in ("The log is complete and unchanged", "Were the pilot's promises kept?", "L1:0", "The picture as a table", "Page 1 of"):
        assert said in text
    resources: list[Any] = [page["/Resources"] for page in read.pages]
    fonts = {str(font.get_object()["/BaseFont"]) for each in resources for font in each["/Font"].values()}
    assert fonts
    assert all("DejaVu" in name for name in fonts), "other fonts than those that are always here"
    assert read.metadata is not None
    assert read.metadata.creation_date is None, "it has a time that is none of the log's"


@requires("pdf")
@pytest.mark.parametrize("markup", ["<img src='file:///etc/hostname'>", "<link rel=stylesheet href='http://127.0.0.1:9/x.css'>"])
def test_paper_asks_for_nothing(markup: str) -> None:
    """A-103: a file of the auditor's machine would be printed into a report, or somebody be told that it is made."""
    with pytest.raises(paper.Fetched, match="a report asks for something from outside"):
        paper.pdf(f"<!DOCTYPE html><title>t</title><body>{markup}</body>")


@requires("pdf")
def test_an_empty_log_can_be_printed(tmp_path: Path) -> None:
    """The day on which nothing happened would have no report."""
    Scribe(tmp_path / "log").close()
    write_report(Request(logs=[tmp_path / "log", tmp_path / "nowhere"]), tmp_path / "r.html", tmp_path / "r.pdf")
    text = "".join(page.extract_text() for page in PdfReader(BytesIO((tmp_path / "r.pdf").read_bytes())).pages)
    assert "Do not rely on L2" in text


@pytest.mark.parametrize("error", [ImportError("No module", name="weasyprint"), OSError("cannot load library 'libpango-1.0-0'\nmore")])
def test_what_is_missing_is_named(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator would see a traceback of a library that they never heard of."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:  # noqa: ANN401 - as the real one has it
        if name.startswith("weasyprint"):
            raise error
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(paper.NoPaper, match=r"^PDF needs WeasyPrint: pip install .* Pango") as caught:
        paper.pdf("")
    assert ("weasyprint" if isinstance(error, ImportError) else "cannot load library 'libpango-1.0-0'") in str(caught.value)
