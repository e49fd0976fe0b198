"""Mutation testing: the tool reads what mutmut left, tells texts from code, and what survived is explained, each one."""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from lab.evidence import FOLDER, fingerprint
from lab.mutants.__main__ import EXPLAINED, SCORE, chosen, explanations, known, needs_a_reason, page, score, unexplained
from lab.mutants.work import PLANS, QUICK_S, hurry, of_module, prepare, results, tally, text_only
from tests.support import ROOT

MUTATED = """
def x_limit__mutmut_orig(n):
    require(n > 0, "a claim")
    return n + 1
def x_limit__mutmut_1(n):
    require(n > 0, None)
    return n + 1
def x_limit__mutmut_2(n):
    require(n > 0, "a claim")
    return n - 1
class Door:
    def xǁDoorǁopen__mutmut_orig(self):
        return True
    def xǁDoorǁopen__mutmut_1(self):
        return False
"""
CODES = {"core.m.x_limit__mutmut_1": 0, "core.m.x_limit__mutmut_2": 0, "core.m.xǁDoorǁopen__mutmut_1": 1}


def test_what_mutmut_left_is_read() -> None:
    """A survivor would be shown as killed, or under the name of another function."""
    text, code, killed = of_module("core/m.py", MUTATED, CODES)
    assert code.plain() == {"module": "core/m.py", "function": "limit", "before": "return n + 1", "after": "return n - 1"}
    assert (killed.function, killed.before, killed.after, killed.verdict) == ("Door.open", "return True", "return False", "killed")
    assert text_only(text.before, text.after)
    assert tally([text, code, killed]) == {"core/m.py": {"killed": 1, "survived": 1, "text": 1, "not run": 0}}
    assert tally([text._replace(verdict="not run")])["core/m.py"]["text"] == 1
    assert score(tally([text, code, killed])) == 50
    assert score({}) == 0


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "survived"), (1, "killed"), (3, "killed"), (36, "killed"), (None, "not run"), (33, "not run"), (2, "not run")]
)
def test_what_did_not_run_is_not_killed(code: int | None, verdict: str) -> None:
    """Mutants that no test was run for would count as noticed."""
    (mutant,) = of_module("core/m.py", MUTATED, {"core.m.x_limit__mutmut_2": code})
    assert mutant.verdict == verdict


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("require(n > 0, 'a')", "require(n > 0, 'b')", True),
        ("require(n > 0, 'a')", "require(n >= 0, 'a')", False),
        ("require(n > 0, 'a')", "require(None, 'a')", False),
        ("raise TypeError('a')", "raise TypeError(None)", True),
        ("raise PeerFault(Reason.A)", "raise PeerFault(None)", False),
        ("key = given(self.key, 'a')", "key = given(self.key, 'b')", True),
        ("key = given(self.key, 'a')", "key = None", False),
        ("x = cast('A', y)", "x = cast('B', y)", True),
        ("x = cast('A', y)", "x = cast('A', None)", False),
        ("return b'mac'", "return b'MAC'", False),
        ("if a:", "if not a:", False),
        ("if a:", "if a:", False),
    ],
)
def test_only_texts_for_people_are_texts(before: str, after: str, text: bool) -> None:
    """A change of a label that keys are made with would pass for one of a message."""
    assert text_only(before, after) is text


def test_a_workspace_is_laid_out_once_for_a_commit(tmp_path: Path) -> None:
    """A run that is taken up again would begin anew, or go on with the sources of another commit."""
    assert prepare(tmp_path, PLANS["ground"], ("tests/core/wire",), "HEAD")
    project = (tmp_path / "pyproject.toml").read_text()
    assert '[tool.mutmut]\nsource_paths = ["core", "jvpn/keys"]\nonly_mutate = ["core/machine.py"' in project
    assert 'selection = ["tests/core/wire"]' in project
    (tmp_path / "pyproject.toml").write_text("touched")
    assert not prepare(tmp_path, PLANS["ground"], ("tests/core/wire",), "HEAD")
    assert (tmp_path / "pyproject.toml").read_text() == "touched"
    assert prepare(tmp_path, PLANS["ground"], ("tests/core",), "HEAD")
    assert 'selection = ["tests/core"]' in (tmp_path / "pyproject.toml").read_text()
    assert results(tmp_path) == []


def test_slow_tests_are_left_to_the_second_look(tmp_path: Path) -> None:
    """A mutant that survives would cost minutes; or a function that only a slow test reaches would have no test at all."""
    stats = tmp_path / "mutants" / "mutmut-stats.json"
    stats.parent.mkdir()
    seconds = {"quick": QUICK_S, "slow": QUICK_S + 0.1}
    reached = {"both": ["slow", "quick"], "one": ["slow"]}
    stats.write_text(json.dumps({"duration_by_test": seconds, "tests_by_mangled_function_name": reached}))
    hurry(tmp_path)
    assert json.loads(stats.read_text()) == {
        "duration_by_test": seconds, "tests_by_mangled_function_name": {"both": ["quick"], "one": ["slow"]}
    }  # fmt: skip


def test_what_is_explained_or_a_text_is_not_looked_at_again() -> None:
    """Hours would go by for what somebody has looked at; or a survivor that nobody explained would be passed over."""
    text, code, _ = of_module("core/m.py", MUTATED, CODES)
    assert (needs_a_reason(text), needs_a_reason(code)) == (False, True)
    known = explanations()[0]
    assert not needs_a_reason(code._replace(**{name: known[name] for name in code.plain()}))


def test_a_sample_is_the_same_each_time() -> None:
    """A run that is taken up again would begin another sample; or who runs it would choose what is counted."""
    text, code, killed = of_module("core/m.py", MUTATED, CODES)
    many = [code._replace(key=str(number), after=str(number), verdict="not run") for number in range(20)]
    some = chosen([text, *many], 5, survivors=False)
    assert some == chosen([*reversed(many), text], 5, survivors=False)
    assert len(some) == 5
    assert some != [each.key for each in many[:5]]
    assert len(chosen(many, None, survivors=False)) == 20
    assert chosen([code, killed], None, survivors=False) == []
    assert chosen([code, killed, text], None, survivors=True) == [code.key]


def bodies(module: str) -> dict[str, str]:
    """Return the text of each function of a module, as mutants are written down, by its name."""
    found = {}
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    holders: list[ast.Module | ast.ClassDef] = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for holder in holders:
        for node in holder.body:
            if isinstance(node, ast.FunctionDef):
                name = f"{holder.name}.{node.name}".rstrip("_") if isinstance(holder, ast.ClassDef) else node.name
                found[name] = " ".join(line.strip() for line in ast.unparse(ast.Module(node.body, [])).splitlines())
    return found


def test_each_explanation_is_of_code_that_is_there() -> None:
    """An explanation would speak of code that nobody has. A run of older sources is explained in their words, until the next run."""
    fresh = [plan for plan in known()["plans"].values() if plan["made"]["core_sha256"] == fingerprint()]
    assert not [
        (each["module"], each["function"])
        for plan in fresh
        for each in plan["survivors"]
        if each["before"] not in bodies(each["module"]).get(each["function"], "")
    ]


def test_every_module_of_the_core_is_in_a_plan() -> None:
    """A module would be left out of mutation testing, and nobody would see it."""
    patterns = [pattern for plan in PLANS.values() for pattern in plan.patterns]
    modules = [path.relative_to(ROOT) for path in (ROOT / "core").rglob("*.py")]
    functions = [path for path in modules if "def " in (ROOT / path).read_text()]
    assert not [path for path in functions if not any(path.match(pattern) for pattern in patterns)]


def test_each_survivor_is_explained_and_each_explanation_is_needed() -> None:
    """A change of the core that no test notices would stay, without anybody having looked at it."""
    document, explained = known(), explanations()
    assert not unexplained(document, explained)
    survivors = [each for plan in document["plans"].values() for each in plan["survivors"]]
    assert not [each for each in explained if {name: each[name] for name in ("module", "function", "before", "after")} not in survivors]
    assert all(len(each["because"]) > 20 for each in explained)
    assert unexplained(document, explained[1:]) or not explained


def test_the_evidence_reaches_the_score_and_says_what_it_counts() -> None:
    """The page would claim a score that its figures do not give."""
    document = known()
    assert document["plans"]
    for name, plan in document["plans"].items():
        assert score(plan["modules"]) >= SCORE, name
        assert Counter(each["module"] for each in plan["survivors"]) == {
            module: of["survived"] for module, of in plan["modules"].items() if of["survived"]
        }
    assert (FOLDER / "mutants.md").read_text() == "\n".join(page(document)) + "\n"
    assert json.loads((FOLDER / "mutants.json").read_text()) == document
    assert EXPLAINED.exists()
