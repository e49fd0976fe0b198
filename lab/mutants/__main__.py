"""`make mutants`: mutation testing of the core; hours for all of it, and it goes on where it was stopped.

    python -m lab.mutants [--plan NAME ...] [--minutes N] [--only-report]

Writes docs/evidence/mutants.*: of each plan the last run, and at which commit. Exit status: 0, or 1 when a survivor is not explained.
"""

import argparse
import json
import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from jvpn.shell.clock import wall
from lab import command, evidence
from lab.mutants.work import ALL_TESTS, FOLDER, NONE, PLANS, Mutant, hurry, prepare, results, run, spent, tally, text_only

NAME: Final = "mutants"
EXPLAINED: Final = Path(__file__).with_name("survivors.toml")
SCORE: Final = 90.0  # per cent of the mutants that are not of a text


def main(arguments: Sequence[str]) -> int:
    """Run plans and write what became of them."""
    parser = argparse.ArgumentParser(prog="python -m lab.mutants", description="Which changes of the core does no test notice?")
    parser.add_argument("--plan", action="append", choices=sorted(PLANS), help="only this one; may be repeated")
    parser.add_argument("--minutes", type=int, default=24 * 60, help="stop after so many, for each plan")
    parser.add_argument("--sample", type=int, help="of each plan only so many mutants, chosen by dice that always fall alike")
    parser.add_argument("--only-report", action="store_true", help="run nothing: write down what is there")
    given = parser.parse_args(arguments)
    document = known()
    for name in given.plan or PLANS:
        document["plans"][name] = of_plan(name, 0 if given.only_report else given.minutes * 60, given.sample)
        document = json.loads(json.dumps(document, sort_keys=True))  # as it will be read, for the page to be the same whenever it is made
        evidence.write(NAME, document, page(document))
    left = unexplained(document, explanations())
    print("\n".join(page(document)), *(f"not explained: {each}" for each in left), sep="\n")
    return 1 if left else 0


def known() -> dict[str, Any]:
    """Return what was written down before."""
    path = evidence.FOLDER / f"{NAME}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"plans": {}}
    return found


def of_plan(name: str, seconds: int, most: int | None = None) -> dict[str, Any]:
    """Run one plan for at most so long: quick tests first, then for what survived them and is not explained all tests of the core.

    Of its mutants at most so many. Return what is written down. A mutant of a text is not run.
    """
    plan, folder = PLANS[name], FOLDER / name
    wide, until = folder.with_name(f"{name}-wide"), wall() + seconds * evidence.SECOND_NS
    made = evidence.circumstances("mutmut", "pytest")

    def left() -> int:
        return max(1, (until - wall()) // evidence.SECOND_NS)

    if seconds:
        new = prepare(folder, plan, plan.tests, made["commit"])
        if new or not results(folder):
            run(folder, left(), [NONE])
        hurry(folder)
        if todo := chosen(results(folder), most, survivors=new):
            run(folder, left(), todo)
    mutants = results(folder)
    again = [each.key for each in mutants if each.verdict == "survived" and needs_a_reason(each)]
    if seconds and again:
        prepare(wide, plan, ALL_TESTS, made["commit"])
        run(wide, left(), again)
    second = {each.key: each.verdict for each in results(wide) if each.key in again}
    mutants = [each._replace(verdict="killed") if second.get(each.key) == "killed" else each for each in mutants]
    survivors = [each.plain() for each in mutants if each.verdict == "survived" and not text_only(each.before, each.after)]
    ran_at = (folder / "COMMIT").read_text(encoding="ascii").split()[0]
    return {
        "commit": ran_at, "seconds": round(spent(folder) + spent(wide)), "tests": list(plan.tests), "modules": tally(mutants),
        "survivors": survivors, "made": made,
    }  # fmt: skip


def lot(mutant: Mutant) -> bytes:
    """Return where a mutant stands in a sample: at random, and where it stood when it was there before."""
    return sha256(json.dumps(mutant.plain()).encode()).digest()


def chosen(mutants: list[Mutant], most: int | None, *, survivors: bool) -> list[str]:
    """Return what is to be run: of the mutants that are not of texts at most so many, without those that have run; again what survived."""
    code = sorted((each for each in mutants if not text_only(each.before, each.after)), key=lot)
    return [each.key for each in code[:most] if each.verdict == "not run" or (survivors and each.verdict == "survived")]


def score(modules: dict[str, dict[str, int]]) -> float:
    """Return how many per cent of the mutants that were run were killed, those of texts apart."""
    killed, survived = (sum(each[what] for each in modules.values()) for what in ("killed", "survived"))
    return 100 * killed / (killed + survived) if killed + survived else 0.0


def explanations() -> list[dict[str, str]]:
    """Return the explained survivors."""
    found: list[dict[str, str]] = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["survivor"]
    return found


def needs_a_reason(mutant: Mutant) -> bool:
    """Tell whether a mutant is neither of a text nor explained."""
    return not text_only(mutant.before, mutant.after) and mutant.plain() not in reasons(explanations())


def reasons(explained: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return which changes are explained."""
    return [{name: each[name] for name in ("module", "function", "before", "after")} for each in explained]


def unexplained(document: dict[str, Any], explained: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the survivors that no explanation is of."""
    known_reasons = reasons(explained)
    return [each for plan in document["plans"].values() for each in plan["survivors"] if each not in known_reasons]


def page(document: dict[str, Any]) -> list[str]:
    """Return the lines of mutants.md."""
    lines = [
        "# Mutants of the core: the last runs",
        "",
        "Made by `make mutants`, not by hand. Each mutant is one small change of a function; killed means that a test failed. A mutant of",
        "a text changes only what a claim or an error says. Tables are not functions: their rows are held to by tests of their own. What",
        "survived is explained in [survivors.toml](../../lab/mutants/survivors.toml). Plans that are not here were not run; where mutants",
        "were not run, those that were are a sample, chosen by dice; tests were written for what survived of it, so of the rest a smaller",
        "part may be noticed than of the sample.",
    ]
    for name, plan in document["plans"].items():
        lines += [
            "",
            f"## {name}: {score(plan['modules']):.1f} % killed",
            "",
            f"Sources of commit {plan['commit'][:12]}. Written down at: {evidence.sentence(plan['made'])}",
            *([f"The tests of all mutants took {plan['seconds'] // 60} minutes."] if "seconds" in plan else []),
            "",
            "| module | killed | survived | texts | not run |",
            "|---|---|---|---|---|",
            *(
                f"| `{module}` | {of['killed']} | {of['survived']} | {of['text']} | {of['not run']} |"
                for module, of in plan["modules"].items()
            ),
        ]
    return lines


if __name__ == "__main__":
    command.run(main, "lab.mutants")
