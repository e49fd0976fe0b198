"""Folders that have a list of what is in them: the list names everything, and nothing else."""

import re
from pathlib import Path

from tests.support import ROOT


def named(readme: Path, row: str) -> list[str]:
    """Return what the rows of a list name."""
    return re.findall(row, readme.read_text(encoding="utf-8"), re.MULTILINE)


def test_decision_records() -> None:
    """A decision would be found only by who knows that it was taken."""
    folder = ROOT / "docs" / "adr"
    titles = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in folder.glob("0*.md")}
    assert titles
    rows = named(folder / "README.md", r"^\| (\[\d{4}\]\(\S+\) \| .+) \|$")
    assert sorted(rows) == sorted(f"[{name[:4]}]({name}) | {title.removeprefix(f'# {name[:4]} ')}" for name, title in titles.items())


def test_vectors() -> None:
    """An implementer of the protocol would miss a file of what they must reproduce."""
    folder = ROOT / "schemas" / "vectors"
    there = {path.name for path in folder.glob("*.json") if not path.name.endswith(".schema.json")}
    assert set(named(folder / "README.md", r"^\| `(\S+\.json)` \|")) == there
