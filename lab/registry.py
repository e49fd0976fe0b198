"""Regenerate what follows from `schemas/registry.toml`, or check that it is fresh.

python -m lab.registry            writes the files
python -m lab.registry --check    exit status 1 and the names of stale files
"""

import json
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import event_schemas
from observability.template import TEMPLATE, template_text

ROOT = Path(__file__).resolve().parent.parent
ENUMS = {"event": "Event", "reason": "Reason", "carrier": "Carrier", "cause": "Cause", "status": "Status", "close": "CloseCode"}
WIDTH = 140


def load() -> dict[str, Any]:
    """Return the registry as tomllib reads it."""
    with (ROOT / "schemas" / "registry.toml").open("rb") as source:
        return tomllib.load(source)


def artefacts(registry: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each generated file and its text."""
    yield ROOT / "core" / "reasons.py", reasons_module(registry)
    yield from ((ROOT / "schemas" / "events" / name, text) for name, text in event_schemas.schemas(registry))
    yield TEMPLATE, template_text(json.loads(text) for _, text in event_schemas.schemas(registry))


def reasons_module(registry: dict[str, Any]) -> str:
    """Return the text of core/reasons.py: the closed enums and the maps between them, as columns of names and codes."""
    lines = [
        '"""The closed vocabulary as enums. Generated from schemas/registry.toml by `python -m lab.registry`, which says what each means."""',
        "",
        "from collections.abc import Mapping",
        "from enum import IntEnum",
        "from types import MappingProxyType",
        "from typing import Final",
        "",
        "# fmt: off",
    ]
    for section, name in ENUMS.items():
        lines += _block(f'{name} = IntEnum("{name}", {{', [f'"{entry["name"]}": {entry["code"]}' for entry in registry[section]], "})")
    voluntary = [f"Cause.{cause['name']}" for cause in registry["cause"] if cause["voluntary"]]
    lines += [f"VOLUNTARY: Final = frozenset({{{', '.join(voluntary)}}})"]
    for section, name in (("cause", "CAUSE_REASON"), ("status", "STATUS_REASON"), ("close", "CLOSE_REASON")):
        enum = ENUMS[section]
        pairs = [f"{enum}.{entry['name']}: Reason.{entry['reason']}" for entry in registry[section] if "reason" in entry]
        lines += _block(f"{name}: Final[Mapping[{enum}, Reason]] = MappingProxyType({{", pairs, "})")
    return "\n".join([*lines, "# fmt: on", ""])


def _block(head: str, items: list[str], tail: str) -> list[str]:
    """Return the items between head and tail, as many to a line as fit."""
    joined = ", ".join(item.replace(" ", "\0") for item in items)
    text = textwrap.wrap(joined, width=WIDTH, initial_indent="    ", subsequent_indent="    ")
    return [head, *(line.replace("\0", " ") for line in text), tail]


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
