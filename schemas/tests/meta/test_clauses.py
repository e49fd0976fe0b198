"""The specification's clauses: each stands once in docs/spec, in the code that does it, and in a test that breaks it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import ROOT

CLAUSE = r"(?:GI|CI|KI|[HRFIMKWDGCAO])-\d+"
DEFINED = re.compile(rf"^(?:\* |\| )\*\*({CLAUSE})\*\*(?= )", re.MULTILINE)
NAMED = re.compile(rf"\b({CLAUSE})\b(?:\]? to \[?({CLAUSE})\b)?")
CODE = ("core", "audit", "jvpn", "observability", "lab")
NOT_TESTS_OF_CLAUSES = {"test_clauses.py", "test_threats.py"}


def named(text: str) -> Iterator[str]:
    """Yield the clauses that a text names; "A-1 to A-4" names four."""
    for found in NAMED.finditer(text):
        first, last = found.groups()
        yield first
        if last and last.split("-")[0] == first.split("-")[0]:
            family, start = first.split("-")
            yield from (f"{family}-{number}" for number in range(int(start) + 1, int(last.split("-")[1]) + 1))


@cache
def defined() -> Counter[str]:
    """Count how often each clause is defined in docs/spec."""
    return Counter(clause for path in sorted((ROOT / "docs" / "spec").glob("*.md")) for clause in DEFINED.findall(path.read_text()))


@cache
def in_code() -> dict[str, str]:
    """Return the clauses that code names, each with a place."""
    return {
        clause: str(path.relative_to(ROOT))
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for clause in named(path.read_text())
    }


@cache
def in_tests() -> frozenset[str]:
    """Return the clauses that docstrings of tests name, or that stand alone in a string, as parameters of a test do."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in NOT_TESTS_OF_CLAUSES]
    return frozenset(clause for path in paths for text in texts(path) for clause in named(text))


def texts(path: Path) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and its functions, and strings that are nothing but a clause's number."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(CLAUSE, node.value):
            yield node.value


def in_order(clauses: set[str]) -> list[str]:
    """Return clauses sorted by family and number."""
    return sorted(clauses, key=lambda clause: (clause.split("-")[0], int(clause.split("-")[1])))


def test_each_clause_stands_once() -> None:
    """Two sentences would claim one number, and nobody could say which of them the code does."""
    assert not [clause for clause, times in defined().items() if times != 1]
    assert {clause.split("-")[0] for clause in defined()} == {"GI", "CI", "KI", *"HRFIMKWDGCAO"}


def test_code_names_no_clause_that_does_not_exist() -> None:
    """A reader would look for a sentence that was never written, or that was taken out."""
    assert not [f"{in_code()[clause]}: {clause}" for clause in in_order(in_code().keys() - defined().keys())]


def test_documents_name_no_clause_that_does_not_exist() -> None:
    """The same in a document."""
    texts = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "threat-model").glob("*.*"), ROOT / "README.md", ROOT / "SECURITY.md"]
    assert not {f"{path.name}: {clause}" for path in texts for clause in set(named(path.read_text())) - defined().keys()}


def test_each_clause_is_named_in_code() -> None:
    """A promise would stand in the specification that nothing keeps, or nobody could find what keeps it."""
    assert not in_order(defined().keys() - in_code().keys())


def test_each_clause_is_named_in_a_test() -> None:
    """A sentence of the specification could become false without anything turning red."""
    assert not in_order(defined().keys() - in_tests())


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("[H-10, H-11]", ["H-10", "H-11"]),
        ("A-1 to A-3: x", ["A-1", "A-2", "A-3"]),
        ("[I-4] to [I-6]", ["I-4", "I-5", "I-6"]),
        ("UTF-8, SHA-256, RFC-1, X-5, GI-2 and G-20", ["GI-2", "G-20"]),
        ("[W-2]. It", ["W-2"]),
    ],
)
def test_what_counts_as_naming(text: str, clauses: list[str]) -> None:
    """Clauses would be seen where there are none, or overlooked."""
    assert list(named(text)) == clauses
