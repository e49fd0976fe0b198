"""The guides but that for OpenSearch: what they show is run, what they name is there, and each fits a page."""

import re
import subprocess
from pathlib import Path

import pytest

from audit.verdict import Verdict
from audit.vocabulary import vocabulary
from jvpn.cli.output import Exit
from tests.meta.documents import as_after_a_demo, blocks, broken_links, left_behind, run
from tests.support import ROOT

GUIDE_NAMES = ("newcomer.md", "operator.md", "keys.md", "auditor.md", "report.md", "grafana.md", "outputs.md", "metrics.md")
GUIDES = [ROOT / "docs" / "guides" / name for name in GUIDE_NAMES]
OPERATOR = GUIDES[1]
IN_THEIR_OWN = (OPERATOR, *GUIDES[2:])
LINES_MAX = 150
NAME = re.compile(r"`((?!JVP_)[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`")

on_each = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.stem))


@on_each
def test_every_command_works(guide: Path, tmp_path: Path) -> None:
    """Somebody who follows the guide word by word would be stopped by the guide."""
    as_after_a_demo(tmp_path)
    assert run(guide.read_text(encoding="utf-8"), tmp_path) > 5
    assert guide in IN_THEIR_OWN or not left_behind(tmp_path), "the operator works in a directory of their own, others in the checkout"


@on_each
def test_every_link_leads_somewhere(guide: Path) -> None:
    """The guide would send its reader to a missing file."""
    assert not broken_links(guide)


@on_each
def test_every_event_and_reason_exists(guide: Path) -> None:
    """An operator would wait for an alarm that can never come."""
    words = vocabulary().kinds
    known = set(words) | {name for kind in words.values() for name in kind.reasons}
    others = {"CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"}
    assert not set(NAME.findall(guide.read_text(encoding="utf-8"))) - known - others


@on_each
def test_it_fits_a_page(guide: Path) -> None:
    """A guide that nobody reads to its end guides nobody."""
    assert len(guide.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_every_exit_status_is_explained() -> None:
    """A supervisor would restart what must not be restarted, because nobody knew what the number means."""
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \|", OPERATOR.read_text(encoding="utf-8"), re.MULTILINE)
    told = {int(number) for row in rows for number in row.split(", ")}
    assert told == {each.value for each in Exit} | {each.value for each in Verdict}


def test_whatever_shows_commands_is_tested() -> None:
    """A new guide, or a README of a folder, would show commands that nobody has tried."""
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    shown = {
        path
        for path in map(ROOT.joinpath, tracked.splitlines())
        if re.search(r"^\s*```[a-z]", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    with_commands = {
        path for path in shown if {"sh", "python", "bash", "console"} & {block.kind for block in blocks(path.read_text(encoding="utf-8"))}
    }
    assert with_commands == {*GUIDES, ROOT / "README.md", *(ROOT / "docs" / "guides" / name for name in ("detections.md", "siem.md"))}
