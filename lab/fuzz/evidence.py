"""What a long run has come to: kept while it lasts, so that it can go on after a stop, and written down as evidence at its end."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lab import evidence
from lab.evidence import FOLDER, fingerprint
from lab.fuzz.driver import TARGETS, WORKING, Result

NAME: Final = "fuzz"
KEPT: Final = WORKING / "progress.json"


def begin(*, resume: bool) -> dict[str, Result]:
    """Return the results so far of this code, or empty ones."""
    results = {name: Result(name) for name in TARGETS}
    if resume and KEPT.is_file():
        kept = json.loads(KEPT.read_text())
        if kept["code"] == fingerprint():
            results |= {each["target"]: Result(**each) for each in kept["results"]}
    return results


def keep(results: dict[str, Result]) -> None:
    """Keep the results so far."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    beside = KEPT.with_suffix(".new")
    beside.write_text(json.dumps({"code": fingerprint(), "results": [asdict(each) for each in results.values()]}))
    beside.replace(KEPT)


def add(total: Result, more: Result) -> None:
    """Add one part of a run."""
    total.executions, total.seconds = total.executions + more.executions, round(total.seconds + more.seconds, 1)
    total.edges, total.features, total.corpus = more.edges, more.features, more.corpus
    total.crashes = sorted({*total.crashes, *more.crashes})


def summary(results: dict[str, Result]) -> dict[str, Any]:
    """Return what a run has come to, as plain values."""
    return {
        "made": evidence.circumstances("atheris"),
        "executions": sum(each.executions for each in results.values()),
        "seconds": round(sum(each.seconds for each in results.values()), 1),
        "crashes": sum(len(each.crashes) for each in results.values()),
        "targets": [{key: value for key, value in asdict(each).items() if key != "said"} for each in results.values()],
    }


def write(results: dict[str, Result], folder: Path = FOLDER) -> None:
    """Write fuzz.json and fuzz.md."""
    told = summary(results)
    evidence.write(NAME, told, page(told), folder)


def page(told: dict[str, Any]) -> list[str]:
    """Return the lines of fuzz.md: a table of the targets."""
    lines = [
        "# Fuzzing: the last long run",
        "",
        f"Made by `make fuzz`, not by hand. One processor was used. {evidence.sentence(told['made'])}",
        "",
        f"**{told['executions']:,} inputs in {told['seconds']:,.0f} s; {told['crashes']} crashes.**",
        "",
        "| target | inputs | seconds | inputs a second | edges covered | features | corpus | crashes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in told["targets"]:
        rate = each["executions"] / each["seconds"] if each["seconds"] else 0
        cells = (each["executions"], each["seconds"], rate, each["edges"], each["features"], each["corpus"], len(each["crashes"]))
        lines.append(f"| {each['target']} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")
    return [
        *lines,
        "",
        "An input of `gateway` and `client` is a program of up to ten steps on an engine in one of its states, with keys that get it",
        "behind the first check (`lab/fuzz/engines.py`). A crash is any exception that is not declared, an accepted message that does not",
        "encode to the same bytes, a broken invariant, or 20 s without an end. Edges are those of the bytecode of `core/` and,",
        "for the engines, of the world that brings them into their states (`lab/sim/`).",
    ]
