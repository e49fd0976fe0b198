"""Compare the three executors over a labelled corpus, on a real OpenSearch node; write docs/evidence/detections.{json,md}.

python -m lab.detections [--events 100000] [--seed 1] [--evidence]
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from lab import command
from lab.detections.corpus import corpus
from lab.detections.judged import judge
from lab.docgen import ROOT
from lab.opensearch_fetch import VERSION, fetch
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.detections.load import load

EVIDENCE: Final = ROOT / "docs" / "evidence"


def main(arguments: Sequence[str]) -> int:
    """Return 0 when all agree."""
    parser = argparse.ArgumentParser(prog="python -m lab.detections", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evidence", action="store_true", help="write docs/evidence/detections.*")
    asked = parser.parse_args(arguments)
    rules, made = load(), corpus(asked.seed, asked.events)
    with Node(fetch()) as node:
        judged = judge(connect(Cluster(url=node.url, request_seconds=120.0)), "jvpn-detections", rules, made)
    result = {
        "opensearch": VERSION,
        "seed": asked.seed,
        "rules": len(rules.rules),
        "building_blocks": sum(not rule.alerts for rule in rules.rules.values()),
        "correlations": len(rules.correlations),
        **asdict(judged),
    }
    print(json.dumps(result, indent=2))
    if asked.evidence:
        (EVIDENCE / "detections.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (EVIDENCE / "detections.md").write_text(text(result), encoding="utf-8")
    return 1 if any(judged.differences.values()) else 0


def text(result: dict[str, Any]) -> str:
    """Return the evidence as people read it."""
    rows = "\n".join(f"| {who} | {number} |" for who, number in result["differences"].items())
    return f"""# Evidence: detections

`make detections`: {result["events"]:,} events from seed {result["seed"]}, with labels that are written by hand
(`lab/detections/truth.toml`); {result["rules"]} rules ({result["building_blocks"]} of them building blocks) and
{result["correlations"]} correlations; one OpenSearch {result["opensearch"]} node.
At {result["rules_fired"]:,} places a rule had to match, at {result["correlations_fired"]:,} a correlation had to become true.

| executor | events at which it said something else than the label |
|---|---|
{rows}
"""


if __name__ == "__main__":
    command.run(main, "lab.detections")
