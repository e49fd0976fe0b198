"""What a run of the proofs leaves behind: docs/evidence/proofs.json, and the same as a table to read."""

import ast
import textwrap
from hashlib import sha256
from inspect import getsource, signature
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.crypto import replay
from core.limits import COUNTER_LIMIT
from lab import evidence

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


def collected(rows: list[Row]) -> dict[str, Any]:
    """Return a run as one object: what was proved, of which commit, when and on what."""
    made = evidence.circumstances(*LIBRARIES)
    machine, versions = made["machine"], made["versions"]
    return {
        "commit": made["commit"],
        "changed_since_commit": evidence.changed(
            "core", "lab/proofs", "lab/explore", "lab/coupled", "lab/searching.py", "lab/sim", "docs/proofs"
        ),
        "subject": subject(),
        "date": made["date"],
        "machine": {"cores": machine["processors"], "cpu": machine["processor"], "python": versions.pop("python"), "libraries": versions},
        "proved": all(row.proved for row in rows),
        "rows": [row._asdict() | {"seconds": round(row.seconds, 1)} for row in rows],
    }


def page(run: dict[str, Any]) -> list[str]:
    """Return the lines of a run as a document."""
    on = run["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in sorted(on["libraries"].items()))
    changed = f", with changes in {', '.join(run['changed_since_commit'])}" if run["changed_since_commit"] else ""
    judgement = "Everything holds" if run["proved"] else "NOT everything holds"
    return [
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


def _cells(row: dict[str, Any]) -> list[str]:
    return [row["suite"], row["name"], "yes" if row["proved"] else "**no**", str(row["seconds"]), row["detail"]]


def write(rows: list[Row], path: Path) -> None:
    """Write a run as JSON, and beside it as a table."""
    run = collected(rows)
    evidence.write(path.stem, run, page(run), path.parent)
