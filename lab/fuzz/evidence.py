"""What a long run has come to: kept while it lasts, so that it can go on after a stop, and written down as evidence at its end."""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from lab.fuzz.driver import ROOT, TARGETS, WORKING, Result

KEPT: Final = WORKING / "progress.json"
EVIDENCE: Final = ROOT / "docs" / "evidence"
PERCENT: Final = 100


def fingerprint() -> str:
    """Return a digest of the code that is fuzzed: a run of other code is another run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "core").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


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
    changed = subprocess.run(["git", "status", "--porcelain", "--", "core"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": head,
        "core_differs_from_commit": bool(changed.strip()),
        "core_sha256": fingerprint(),
        "machine": {"architecture": platform.machine(), "system": platform.system(), "processors": os.cpu_count()},
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "executions": sum(each.executions for each in results.values()),
        "seconds": round(sum(each.seconds for each in results.values()), 1),
        "crashes": sum(len(each.crashes) for each in results.values()),
        "targets": [{key: value for key, value in asdict(each).items() if key != "said"} for each in results.values()],
    }


def write(results: dict[str, Result], folder: Path = EVIDENCE) -> None:
    """Write fuzz.json and fuzz.md."""
    told = summary(results)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fuzz.json").write_text(json.dumps(told, indent=1) + "\n")
    (folder / "fuzz.md").write_text(document(told))


def document(told: dict[str, Any]) -> str:
    """Return fuzz.md: a table of the targets."""
    machine = told["machine"]
    where = f"{machine['system']} on {machine['architecture']}, {machine['processors']} processors, one of them used"
    state = "with changes in `core/` that are not committed" if told["core_differs_from_commit"] else "`core/` as committed"
    lines = [
        "# Fuzzing: the last long run",
        "",
        f"Made by `make fuzz`, not by hand. Commit {told['commit'][:12]} ({state}),",
        f"Python {told['python']}, Atheris {told['atheris']}, {where}.",
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
    return "\n".join([
        *lines,
        "",
        "An input of `gateway` and `client` is a program of up to ten steps on an engine in one of its states, with keys that get it",
        "behind the first check (`lab/fuzz/engines.py`). A crash is any exception that is not declared, an accepted message that does not",
        "encode to the same bytes, a broken invariant, or 20 s without an end. Edges are those of the bytecode of `core/` and,",
        "for the engines, of the world that brings them into their states (`tests/core/`).",
        "",
    ])  # fmt: skip
