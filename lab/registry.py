"""Regenerate what follows from `schemas/registry.toml`, or check that it is fresh.

python -m lab.registry            writes the files
python -m lab.registry --check    exit status 1 and the names of stale files
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENUMS = {"event": "Event", "reason": "Reason", "carrier": "Carrier", "cause": "Cause", "status": "Status", "close": "CloseCode"}
MEANING = {
    "event": "What kind of record a fact is.",
    "reason": "Why something happened: one code, one cause.",
    "carrier": "What carries messages; 16 to 31 are free for third parties.",
    "cause": "Why the client moves, as the client states it.",
    "status": "The gateway's authenticated answer to a handshake or an attempt.",
    "close": "Why an end closes the session, inside CLOSE.",
}


def load() -> dict[str, Any]:
    """Return the registry as tomllib reads it."""
    with (ROOT / "schemas" / "registry.toml").open("rb") as source:
        return tomllib.load(source)


def artefacts(registry: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each generated file and its text."""
    yield ROOT / "core" / "reasons.py", reasons_module(registry)


def reasons_module(registry: dict[str, Any]) -> str:
    """Return the text of core/reasons.py: the closed enums and the maps between them."""
    lines = [
        '"""The closed vocabulary as enums. Generated from schemas/registry.toml by `python -m lab.registry`; do not edit."""',
        "",
        "from collections.abc import Mapping",
        "from enum import IntEnum",
        "from types import MappingProxyType",
        "from typing import Final",
        "",
    ]
    for section, name in ENUMS.items():
        lines += ["", f"class {name}(IntEnum):", f'    """{MEANING[section]}"""', ""]
        lines += [f"    {entry['name']} = {entry['code']}" for entry in registry[section]]
        lines.append("")
    voluntary = [f"Cause.{cause['name']}" for cause in registry["cause"] if cause["voluntary"]]
    lines += ["", f"VOLUNTARY: Final = frozenset({{{', '.join(voluntary)}}})", ""]
    for section, name in (("cause", "CAUSE_REASON"), ("status", "STATUS_REASON"), ("close", "CLOSE_REASON")):
        enum = ENUMS[section]
        lines += [f"{name}: Final[Mapping[{enum}, Reason]] = MappingProxyType(", "    {"]
        lines += [f"        {enum}.{entry['name']}: Reason.{entry['reason']}," for entry in registry[section] if "reason" in entry]
        lines += ["    },", ")", ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write all artefacts, or with --check name the stale ones. Return the exit status."""
    stale = [(path, text) for path, text in artefacts(load()) if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if "--check" in arguments:
            print(f"stale: {path.relative_to(ROOT)}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
