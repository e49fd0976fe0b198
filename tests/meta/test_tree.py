"""The shape of the tree: sizes, words that must not be there, suppressions with reasons (docs/style.md, rules 7, 14, 15)."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import ROOT

LINES_OF_A_MODULE_MAX = 350
LINES_OF_A_FUNCTION_MAX = 60
# Of the trusted part, docs/adr/0011: what is judged (code: no blank lines, comments or docstrings, nothing generated), and what is read.
CODE_OF_THE_CORE_MAX, LINES_OF_THE_CORE_MAX = 2750, 4000
GENERATED = {"core/reasons.py"}  # from schemas/registry.toml
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

# No pattern matches its own text, so this file need not be excepted.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
UNCHANGED = "tests/observability/grafana/jsonschema/"  # somebody else's files, kept as they are
MACHINE_PATH = re.compile(r"(?<![\w.~$}>-])/(?:work|root|home/\w+|Users/\w+)/")
REGISTRY_HOST = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|maven\.(?:apache\.)?org|maven\d\.org|repo1\.maven|"
    r"crates\.io|rubygems\.org|proxy\.golang|docker\.io|quay\.io|ghcr\.io"
)
SUPPRESSION = re.compile(r"#\s*(?:ruff:|mypy:|flake8:)?\s*(?:noqa|type:\s*ignore|nosec|pragma:\s*no)\b")
CODES = r"[A-Z]+\d+(?:,\s*[A-Z]+\d+)*"
CODED_SUPPRESSION = re.compile(
    rf"#\s*(?:(?:ruff:\s*)?noqa:\s*{CODES}|type:\s*ignore\[[\w, -]+\]|nosec:?\s+{CODES}|pragma:\s*no\s+(?:cover|branch))(?=\s|$|[-:,;])"
)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git holds or would hold (not ignored), so that a file is checked before it is committed."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split("\0")
    return tuple(path for name in sorted(set(names)) if name and (path := ROOT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    """Python modules under these folders, or all."""
    files = [path for path in tracked() if path.suffix == ".py"]
    return [path for path in files if not folders or path.relative_to(ROOT).parts[0] in folders]


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of each tracked text file; binary files are passed over."""
    for path in tracked():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    """File with line, and syntax node, of everything that stands in the modules under these folders."""
    for path in python_files(*folders):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def lines(path: Path) -> int:
    """Count lines, docstrings and comments included: they are read too."""
    return len(path.read_text(encoding="utf-8").splitlines())


def code(source: str) -> int:
    """Count lines that hold code: a string that stands alone is a docstring, a line of a longer string that is used is code."""
    alone = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    docstrings = {line for text in alone if isinstance(text.value, str) for line in range(text.lineno, (text.end_lineno or 0) + 1)}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in NO_CODE]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - docstrings)


def where(pattern: re.Pattern[str], name: str, text: str) -> list[str]:
    """Name file and line of each match."""
    return [f"{name}:{number}: {line.strip()[:100]}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def unreasoned(source: str) -> list[str]:
    """Comments that switch a check off without naming it, or do not say why in at least two words."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and SUPPRESSION.search(token.string):
            reason = CODED_SUPPRESSION.sub(" ", token.string)
            if SUPPRESSION.search(reason) or len(re.findall(r"\w\w+", reason)) <= 1:
                found.append(f"{token.start[0]}: {token.string}")
    return found


def test_modules_fit_a_sitting() -> None:
    """A reviewer would meet a module that cannot be read in one go."""
    long = {str(path.relative_to(ROOT)): lines(path) for path in python_files() if lines(path) > LINES_OF_A_MODULE_MAX}
    assert not long


def test_property_tests_have_one_profile() -> None:
    """A test of its own profile would judge a clock, or find other examples in each run; tests/conftest.py says how all of them run."""
    own = re.compile(r"\bdeadline=(?!lambda)|\bderandomize=")
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)}
    found = [place for path, text in texts.items() for place in where(own, str(path.relative_to(ROOT)), text)]
    assert [place.partition(":")[0] for place in found] == ["tests/conftest.py"], found


def test_functions_fit_a_screen() -> None:
    """A reviewer would have to scroll inside one function."""
    assert not [
        f"{place}: {node.name}: {length} lines"
        for place, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LINES_OF_A_FUNCTION_MAX
    ]


def test_the_core_can_be_read_in_an_afternoon() -> None:
    """The trusted part would grow past what one person reviews in a day."""
    files = python_files("core")
    assert sum(lines(path) for path in files) <= LINES_OF_THE_CORE_MAX
    judged = [path for path in files if str(path.relative_to(ROOT)) not in GENERATED]
    assert len(files) - len(judged) == len(GENERATED)
    assert sum(code(path.read_text(encoding="utf-8")) for path in judged) <= CODE_OF_THE_CORE_MAX


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""Words.\n\nMore words.\n"""\n\n# a comment\nx = 1  # and its reason\n', 1),
        ('def f():\n    """Words."""\n    return (\n        1\n    )\n', 4),
        ('x = """\na\n\nb\n"""\n"""What x is."""\n', 5),
        ("x = 1; y = 2\n\n\n", 1),
    ],
)
def test_what_counts_as_code(source: str, count: int) -> None:
    """The core would grow in what is not counted, or shrink by losing its explanations."""
    assert code(source) == count


def test_the_core_opens_and_prints_nothing() -> None:
    """The core could reach the world through a builtin, which no import contract sees."""
    reaching = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint", "globals", "id", "hash"}
    assert not [
        f"{place}: {node.func.id}()"
        for place, node in nodes("core")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in reaching
    ]


def test_nothing_is_left_for_later() -> None:
    """Unfinished work would hide in comments instead of standing in the open."""
    assert not [place for name, text in texts() if not name.startswith(UNCHANGED) for place in where(UNFINISHED, name, text)]


def test_no_path_of_one_machine() -> None:
    """A file would work, or make sense, only where it was written."""
    assert not [place for name, text in texts() for place in where(MACHINE_PATH, name, text)]


def test_no_registry_host() -> None:
    """Where packages come from would be decided here, and not by who installs."""
    assert not [place for name, text in texts() for place in where(REGISTRY_HOST, name, text)]


def test_each_suppression_gives_its_reason() -> None:
    """A check would be switched off and nobody could tell whether rightly."""
    assert not [f"{path.relative_to(ROOT)}:{place}" for path in python_files() for place in unreasoned(path.read_text(encoding="utf-8"))]


def test_needs_are_not_said_into_the_wind() -> None:
    """A test would call `requires(...)` as a statement, which does nothing, and then break where the machine lacks it."""
    assert not [
        f"{place}: use need(...) inside a function"
        for place, node in nodes("tests")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("requires")
    ]


@pytest.mark.parametrize(
    ("pattern", "bad", "good"),
    [
        (UNFINISHED, "# TO_DO: later", "# todos los santos"),
        (MACHINE_PATH, "open('|root|key')", "deploy|root|etc, ~|work|x, $HOME|work|"),
        (MACHINE_PATH, "cd |home|somebody|jvpn", "|etc|jvpn, |home is a mount point"),
        (REGISTRY_HOST, "https://files.python_hosted.org/x", "https://docs.python.org/3/"),
    ],
)
def test_the_patterns_see(pattern: re.Pattern[str], bad: str, good: str) -> None:
    """A pattern that matches nothing, or everything, would make its test worthless."""
    assert where(pattern, "file", bad.replace("_", "").replace("|", "/"))
    assert not where(pattern, "file", good.replace("|", "/"))


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: S311",
        "# type: ignore",
        "# type: ignore[arg-type]",
        "# nosec",
        "# nosec B101",
        "# pragma: no cover",
        "# noqa: S311 # nosec B311",
        "# noqa: S311 - hm",
        "# ruff: noqa",
        "# ruff: noqa: UP014",
        "# noqa because it is",
        "# nosec B101  # noqa - see above",
    ],
)
def test_a_bare_suppression_is_seen(comment: str) -> None:
    """A suppression without a reason would pass."""
    assert unreasoned(f"x = 1  {comment}\n")


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: S311 seeded on purpose",
        "# noqa: S311, S312 - seeded on purpose",
        "# noqa: S311  # seeded on purpose",
        "# nosec B305  # noqa: S305 - see above",
        "# type: ignore[arg-type]  # the library's stub is wrong",
        "# nosec B608  # only constants are joined",
        "# pragma: no cover - a kernel without it",
        "# see the noqa convention",
        "# ruff: noqa: UP014 - reads as a table",
    ],
)
def test_a_reason_is_seen(comment: str) -> None:
    """A suppression with a reason would be refused."""
    assert not unreasoned(f"x = 1  {comment}\n")
