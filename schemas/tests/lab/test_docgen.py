"""Documents that are made from what runs: they are fresh, and a difference is seen."""

from pathlib import Path

import pytest

import core.session.table
from core.session.states import State
from lab import docgen, registry


def test_documents_are_fresh() -> None:
    """A reader of the specification would read another table than the one that runs."""
    stale = [path.name for path, text in docgen.artefacts(registry.load()) if path.read_text(encoding="utf-8") != text]
    assert not stale, "make docs"


def test_the_registrys_check_covers_them() -> None:
    """`make docs-check` would pass while a document is stale."""
    assert {path for path, _ in docgen.artefacts(registry.load())} <= {path for path, _ in registry.artefacts(registry.load())}


def test_a_stale_document_is_named_and_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check would write, or the writing check."""
    monkeypatch.setattr(docgen, "ROOT", tmp_path)
    made = [(tmp_path / "docs" / "x.md", "new")]
    assert docgen.refresh(made, ["--check"]) == 1
    assert capsys.readouterr().out == "stale: docs/x.md\n"
    assert not made[0][0].exists()
    assert docgen.refresh(made, []) == 0
    assert docgen.refresh(made, ["--check"]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "<!-- generated: a -->\n",
        "<!-- end of a -->\n",
        "<!-- generated: a -->\n<!-- end of a -->\n<!-- generated: a -->\n<!-- end of a -->\n",
    ],
)
def test_a_marker_that_is_missing_or_doubled_is_an_error(tmp_path: Path, text: str) -> None:
    """A table would silently stay what it was, or stand there twice."""
    path = tmp_path / "x.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="must stand there once"):
        docgen.filled(path, {"a": "body"})


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    """What people wrote would be lost."""
    path = tmp_path / "x.md"
    path.write_text("before\n<!-- generated: a -->\nold\n<!-- end of a -->\nafter\n")
    assert docgen.filled(path, {"a": "new"})[1] == "before\n<!-- generated: a -->\n\nnew\n\n<!-- end of a -->\nafter\n"


def test_every_cell_is_in_the_matrix_and_every_change_in_the_picture() -> None:
    """A transition would run that nobody can read about."""
    rows, states = core.session.table.ROWS, [state.name for state in State]
    drawn = docgen.matrix(rows, states, [heard.name for heard in core.session.states.PRIORITY])
    picture = docgen.diagram(rows, ())
    for row in rows:
        (line,) = [line for line in drawn.splitlines() if line.startswith(f"| {row.heard.name} |")]
        cells = dict(zip(states, [cell.strip() for cell in line.split("|")[2:-1]], strict=True))
        for state in row.states:
            assert cells[state.name] == row.clause
            if row.goes_to not in {None, state}:
                assert [
                    each
                    for each in picture.splitlines()
                    if f"{state.name} --> {row.goes_to and row.goes_to.name}:" in each and row.clause in each
                ]


@pytest.mark.parametrize(
    ("name", "value", "written", "told"),
    [
        ("DRAINING_NS", 2_000_000_000, "2 * SECOND", "2 s"),
        ("TRANSPORT_LOSS_NS", 900_000_000_000, "15 * 60 * SECOND", "15 min"),
        ("STALL_NS", 100_000_000, "100 * MILLISECOND", "100 ms"),
        ("LIFETIME_S", 28_800, "8 * 3_600", "28,800 s"),
        ("COUNTER_LIMIT", 2**64 - 2**13 - 1, "2**64 - 2**13 - 1", "2^64 - 2^13 - 1"),
        ("PENDING_MAX", 4_096, "4_096", "4,096"),
        ("MTU_ALLOWED", (1_280, 1_380), "(1_280, 1_380)", "1,280, 1,380"),
    ],
)
def test_amounts_are_said_in_their_unit(name: str, value: object, written: str, told: str) -> None:
    """A limit would be read as a thousand times what it is."""
    assert docgen.amount(name, value, written) == told
