"""The evidence of the detections: it is of the rules that are here, and nobody differed."""

import json
import re

from lab.detections.__main__ import EVIDENCE, text
from observability.detections.load import load


def test_the_evidence_is_of_these_rules() -> None:
    """The guide would point to an agreement about other rules; after a change of them: make detections."""
    result = json.loads((EVIDENCE / "detections.json").read_text(encoding="utf-8"))
    rules = load()
    assert (result["rules"], result["correlations"]) == (len(rules.rules), len(rules.correlations))
    assert result["building_blocks"] == sum(not rule.alerts for rule in rules.rules.values())
    assert result["events"] >= 100_000
    assert len(result["differences"]) == 5
    assert set(result["differences"].values()) == {0}
    assert (EVIDENCE / "detections.md").read_text(encoding="utf-8") == text(result)
    assert len(re.findall(r"^\| .* \| 0 \|$", text(result), re.MULTILINE)) == 5
