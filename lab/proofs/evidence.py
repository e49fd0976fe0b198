"""What a run of the proofs leaves behind: docs/evidence/proofs.json, and the same as a table to read."""

import ast
import json
import os
import platform
import subprocess
import textwrap
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from inspect import getsource, signature
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.crypto import replay
from core.limits import COUNTER_LIMIT

ROOT: Final = Path(__file__).resolve().parents[2]
LIBRARIES: Final = ("z3-solver", "cryptography")


class Row(NamedTuple):
    """One row of the table."""

    suite: str
    name: str
    proved: bool
    seconds: float
    detail: str


def subject() -> str:
    """Return a digest of the function that the window's proofs are about: its syntax without comments, its defaults, and the limit."""
    tree = ast.parse(textwrap.dedent(getsource(replay.step)))
    function = tree.body[0]
    if isinstance(function, ast.FunctionDef) and ast.get_docstring(function) is not None:
        del function.body[0]
    return sha256(f"{ast.dump(tree)} {signature(replay.step)} {COUNTER_LIMIT}".encode()).hexdigest()


def machine() -> dict[str, Any]:
    """Return what kind of machine this is; nothing that names it."""
    cpu = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")), platform.machine()
    )
    libraries = {name: version(name) for name in LIBRARIES}
    return {"cores": os.cpu_count(), "cpu": cpu, "python": platform.python_version(), "libraries": libraries}


def collected(rows: list[Row]) -> dict[str, Any]:
    """Return a run as one object: what was proved, of which commit, when and on what."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_since_commit": _git(
            "status", "--porcelain", "--", "core", "lab/proofs", "lab/explore", "lab/coupled", "docs/proofs"
        ).splitlines(),
        "subject": subject(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "proved": all(row.proved for row in rows),
        "rows": [row._asdict() | {"seconds": round(row.seconds, 1)} for row in rows],
    }


def as_markdown(run: dict[str, Any]) -> str:
    """Return a run as a document."""
    on = run["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in on["libraries"].items())
    changed = f", with changes in {', '.join(line[3:] for line in run['changed_since_commit'])}" if run["changed_since_commit"] else ""
    judgement = "Everything holds" if run["proved"] else "NOT everything holds"
    lines = [
        "# Proofs: the last run of `make proofs`",
        "",
        f"{run['date']}, commit {run['commit'][:12]}{changed}. {on['cores']} cores, {on['cpu']}; Python {on['python']}, {libraries}.",
        "What is claimed, and what is trusted: [docs/proofs](../proofs/README.md).",
        "",
        f"**{judgement}**: {sum(row['proved'] for row in run['rows'])} of {len(run['rows'])} rows. A row of *explored* that",
        "stopped at a number is a search that found nothing so far, and no proof; nor is a model that was only compared with its log.",
        "",
        "| suite | row | holds | seconds | |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "/") for cell in _cells(row)) + " |" for row in run["rows"]),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    return [row["suite"], row["name"], "yes" if row["proved"] else "**no**", str(row["seconds"]), row["detail"]]


def write(rows: list[Row], path: Path) -> None:
    """Write a run as JSON, and beside it as a table."""
    run = collected(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(as_markdown(run), encoding="utf-8")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.rstrip() if done.returncode == 0 else "unknown"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
