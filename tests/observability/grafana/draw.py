"""Draw every board as a picture, from logs in a real OpenSearch node (`make boards`).

python -m tests.observability.grafana.draw               from the tests' reference logs, into docs/evidence/boards
python -m tests.observability.grafana.draw LOG ...       from these audit logs (`make demo` leaves two)

Exit status 1 when a panel has nothing to show; its name is printed.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.grafana.picture import draw
from lab.grafana.plugin import Answer, Span, Table, run
from lab.opensearch_fetch import fetch
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.grafana import GENERATED, OPENSEARCH_TYPE
from tests.observability.grafana.data import SPAN, Loaded, load, reference
from tests.support import ROOT

FOLDER = ROOT / "docs" / "evidence" / "boards"
EVERYTHING: Mapping[str, str] = {"node": "*", "session": "*", "reason": "*"}
NOTE = "drawn from a real OpenSearch node by the board's own queries; not a picture of Grafana"


def boards() -> list[dict[str, Any]]:
    """Return the boards as they are shipped."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((GENERATED / "boards").glob("*.json"))]


def asked(panel: Mapping[str, Any]) -> bool:
    """Return whether a panel asks OpenSearch."""
    return bool(panel["datasource"]["type"] == OPENSEARCH_TYPE)


def answers(loaded: Loaded, board: Mapping[str, Any], span: Span, values: Mapping[str, str] = EVERYTHING) -> dict[int, list[Answer]]:
    """Return the answers of all panels of a board that ask OpenSearch, by the panel's id."""
    return {panel["id"]: run(loaded.client, loaded.pattern, panel["targets"], span, values) for panel in board["panels"] if asked(panel)}


def empty(found: Sequence[Answer]) -> bool:
    """Return whether a panel has nothing to show: one of its queries has no row, or no value but 0."""
    return any(
        not any(answer.columns.values()) if isinstance(answer, Table) else not any(value for each in answer for value in each.values)
        for answer in found
    )


def main(arguments: Sequence[str]) -> int:
    """Draw; return the exit status."""
    nothing = []
    with tempfile.TemporaryDirectory() as scratch, Node(fetch()) as node:
        client = connect(Cluster(url=node.url, request_seconds=60))
        loaded = load(client, "jvpn-audit-drawn", [Path(each) for each in arguments] or reference(Path(scratch)))
        span = SPAN if not arguments else _span(loaded)
        for board in boards():
            found = answers(loaded, board, span)
            path = FOLDER / f"{board['uid']}.png"
            draw(board, found, path, NOTE)
            print(f"wrote {path.relative_to(ROOT)}")  # noqa: T201 - a program for people
            nothing += [f"{board['uid']}: {panel['title']}" for panel in board["panels"] if asked(panel) and empty(found[panel["id"]])]
        client.close()
    for each in nothing:
        print(f"nothing to show: {each}")  # noqa: T201 - a program for people
    return 1 if nothing and not arguments else 0


def _span(loaded: Loaded) -> Span:
    times = [datetime.fromisoformat(event["time"]).timestamp() * 1_000 for event in loaded.events]
    return Span(int(min(times)) - 1_000, int(max(times)) + 1_000)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
