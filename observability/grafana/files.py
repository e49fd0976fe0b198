"""Boards, alert rules and provisioning as they are shipped: read, and written where a Grafana server looks for them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from observability.grafana import GENERATED


def boards() -> list[dict[str, Any]]:
    """Return the boards, by uid."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((GENERATED / "boards").glob("*.json"))]


def rules() -> dict[str, Any]:
    """Return the group of alert rules."""
    found: dict[str, Any] = json.loads((GENERATED / "rules.json").read_text(encoding="utf-8"))
    return found


def write(directory: Path) -> dict[Path, bool]:
    """Write all files below a directory; return each with whether it was new or other than before. Raises OSError.

    `boards/` is what the provisioning of dashboards points at; `provisioning/` has the folders of Grafana's own.
    """
    written = {}
    for place, text in _files():
        path = directory / place
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        written[path] = changed
    return written


def _files() -> Iterator[tuple[Path, str]]:
    for path in sorted((GENERATED / "boards").glob("*.json")):
        yield Path("boards") / path.name, path.read_text(encoding="utf-8")
    for path in sorted((GENERATED / "provisioning").glob("*.yaml")):
        yield Path("provisioning") / path.stem / "jvpn.yaml", path.read_text(encoding="utf-8")
