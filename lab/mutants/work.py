"""One plan's mutants: where they are made, how they are run, and what became of each. The work can be stopped and taken up again."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from difflib import unified_diff
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from lab.evidence import ROOT

FOLDER: Final = ROOT / ".cache" / "mutants"
ALL_TESTS: Final = ("tests/core", "tests/abuse", "tests/jvpn/keys")
NONE: Final = "no mutant"  # what mutmut is asked for where it shall only make mutants and time tests: it does both first, and ends there
QUICK_S: Final = 0.2  # a test that takes longer is left to the second look
# Looks where secrets are in memory, and finds the frames of mutmut's own.
NOT_HERE: Final = "tests/core/crypto/test_secret.py::test_no_secret_is_where_it_must_not_be"
VERDICTS: Final = {1: "killed", 3: "killed", 0: "survived", 24: "killed", -24: "killed", 36: "killed", None: "not run"}  # 24, 36: time-outs
CONFIG: Final = """
[tool.mutmut]
source_paths = ["core", "jvpn/keys"]
only_mutate = {patterns}
also_copy = ["audit", "observability", "jvpn", "lab", "schemas", "docs", "threat-model", "requirements", "tools", "README.md"]
track_dependencies = false
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "--timeout", "300", "--deselect", "{not_here}"]
"""


class Plan(NamedTuple):
    """A part of the core, as patterns of paths, and the tests that are quick and about it."""

    patterns: tuple[str, ...]
    tests: tuple[str, ...]


PLANS: Final = {
    "ground": Plan(
        ("core/machine.py", "core/session/table.py", "core/wire/*", "core/crypto/*", "core/errors.py"),
        ("tests/core/wire", "tests/core/crypto", "tests/core/session", "tests/core/client/test_table.py"),
    ),
    "keys": Plan(("core/keys/*", "jvpn/keys/*"), ("tests/jvpn/keys",)),
    "sessions": Plan(("core/session/*",), ("tests/core/session", "tests/core/engine")),
    "engines": Plan(("core/engine/*",), ("tests/core/engine",)),
    "clients": Plan(("core/client/*",), ("tests/core/client", "tests/core/engine")),
}


class Mutant(NamedTuple):
    """One change: in which function, which lines before and after, and what became of it."""

    key: str
    module: str
    function: str
    before: str
    after: str
    verdict: str

    def plain(self) -> dict[str, str]:
        """Return what is written down of a survivor; the number in the key is of no use in other sources."""
        return {"module": self.module, "function": self.function, "before": self.before, "after": self.after}


def prepare(folder: Path, plan: Plan, tests: Sequence[str], commit: str) -> bool:
    """Lay the commit's files out, with the plan's configuration; return False where they lie there already.

    Of functions that are as they were mutmut keeps the results.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp, wanted = folder / "COMMIT", f"{commit} {plan.patterns} {tests}"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return False
    made = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    with tarfile.open(fileobj=BytesIO(made)) as archive:
        archive.extractall(folder, filter="data")
    config = CONFIG.format(patterns=json.dumps(plan.patterns), tests=json.dumps(list(tests)), not_here=NOT_HERE)
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write(config)
    stamp.write_text(wanted, encoding="ascii")
    return True


def run(folder: Path, seconds: int, keys: Iterable[str] = ()) -> None:
    """Run what has no result yet, or these mutants, one at a time; mutmut shows its progress. After `seconds` it stops where it is."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *keys]
    with subprocess.Popen(command, cwd=folder, stdout=sys.stderr, start_new_session=True) as process:  # Ctrl-C is for us; we end it
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
        except KeyboardInterrupt as error:
            _end(process)
            error.add_note("mutmut; the next run goes on")
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End mutmut and the tests that it runs just now; what has a result is kept."""
    os.killpg(process.pid, signal.SIGTERM)  # not reaped yet, so the number is still its own
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def hurry(folder: Path) -> None:
    """Leave the slow tests out, for functions that quick ones reach too: a mutant that survives costs the time of all of its tests."""
    path = folder / "mutants" / "mutmut-stats.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    seconds, reached = known["duration_by_test"], known["tests_by_mangled_function_name"]
    for function, tests in reached.items():
        reached[function] = [test for test in tests if seconds[test] <= QUICK_S] or tests
    path.write_text(json.dumps(known), encoding="utf-8")


def results(folder: Path) -> list[Mutant]:
    """Return all mutants of a workspace with what is known of them."""
    found: list[Mutant] = []
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        source = meta.with_suffix("").read_text(encoding="utf-8")
        codes: dict[str, int | None] = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        found += of_module(meta.relative_to(folder / "mutants").with_suffix("").as_posix(), source, codes)
    return found


def spent(folder: Path) -> float:
    """Return how many seconds the tests of a workspace's mutants took, all together."""
    metas = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "mutants").rglob("*.py.meta")]
    return sum(sum(meta.get("durations_by_key", {}).values()) for meta in metas)


def of_module(module: str, source: str, codes: Mapping[str, int | None]) -> list[Mutant]:
    """Return the mutants of one module from its mutated source, in which each is a function beside the original."""
    bodies = {
        node.name: ast.unparse(ast.Module(body=node.body, type_ignores=[])).splitlines()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    found = []
    for key, code in codes.items():
        name = key.rpartition(".")[2]
        stem = re.sub(r"__mutmut_\d+$", "", name)
        changed = list(unified_diff(bodies.get(f"{stem}__mutmut_orig", []), bodies.get(name, []), n=0, lineterm=""))[2:]
        before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
        function = stem.removeprefix("x").strip("_ǁ").replace("ǁ", ".") if "ǁ" in stem else stem.removeprefix("x_")
        found.append(Mutant(key, module, function, before, after, VERDICTS.get(code, "not run")))
    return found


def text_only(before: str, after: str) -> bool:
    """Tell whether a change is in nothing but the text of a claim, of an error, or of a type hint given to `cast`."""
    return _without_text(before) == _without_text(after) is not None


def _without_text(line: str) -> str | None:
    try:
        tree = ast.parse(line)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and _name(node.exc) in {"TypeError", "ValueError", "CallerFault", "Invariant"}
        ):
            node.exc.args = []
        elif isinstance(node, ast.Call) and _name(node) in {"require", "given"}:
            del node.args[1:]
        elif isinstance(node, ast.Call) and _name(node) == "cast":
            del node.args[:1]
    return ast.unparse(tree)


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def tally(mutants: Iterable[Mutant]) -> dict[str, dict[str, int]]:
    """Return how many of each module's mutants met which end."""
    counts: dict[str, dict[str, Any]] = {}
    for mutant in mutants:
        of = counts.setdefault(mutant.module, {"killed": 0, "survived": 0, "text": 0, "not run": 0})
        of["text" if text_only(mutant.before, mutant.after) else mutant.verdict] += 1
    return counts
