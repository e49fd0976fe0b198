"""Evidence of a long run: under what circumstances it was made, and where it is written down."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jvpn.shell.clock import wall

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "evidence"
SECOND_NS: Final = 1_000_000_000


def fingerprint(folder: str = "core") -> str:
    """Return a digest of the sources in a folder: a run of other code is another run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / folder).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def circumstances(*libraries: str) -> dict[str, Any]:
    """Return commit, code, date, class of machine and versions: of Python and of the named distributions."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "core_differs_from_commit": bool(changed("core")),
        "core_sha256": fingerprint(),
        "date": datetime.fromtimestamp(wall() // SECOND_NS, UTC).strftime("%Y-%m-%d"),
        "machine": {
            "architecture": platform.machine(),
            "processor": _processor(),
            "processors": os.cpu_count(),
            "system": platform.system(),
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
    }


def changed(*paths: str) -> list[str]:
    """Return the files below these paths that are not as they were committed."""
    return [line[3:] for line in _git("status", "--porcelain", "--", *paths).splitlines()]


def sentence(made: dict[str, Any]) -> str:
    """Return the circumstances as prose, for the head of a page."""
    machine, state = (
        made["machine"],
        "with changes in `core/` that are not committed" if made["core_differs_from_commit"] else "`core/` as committed",
    )
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    where = f"{machine['processors']} processors, {machine['processor']}, {machine['system']} on {machine['architecture']}"
    return f"Commit {made['commit'][:12]} ({state}), {made['date']}, {where}; {versions}."


def write(name: str, document: dict[str, Any], page: Iterable[str], folder: Path = FOLDER) -> None:
    """Write `name`.json and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    (folder / f"{name}.md").write_text("\n".join(page) + "\n")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stdout.rstrip()


def _processor() -> str:
    """Return the processor's name, which names a class of machines and no single one."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
