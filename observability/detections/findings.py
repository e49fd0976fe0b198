"""Findings: what the verifier says about a log, as a document that rules can match and a cluster can hold.

A log that was changed cannot tell of it; so this is no event of the log, and has an index of its own (`INDEX`). Its form is
`schemas/findings/finding.json`; its times are the verifier's.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from audit.event import rfc3339
from audit.verdict import Result, Verdict
from audit.vocabulary import SCHEMAS
from observability.names import Names

SCHEMA: Final = SCHEMAS / "findings" / "finding.json"
INDEX: Final = Names().findings
FOUND_CHARACTERS: Final = 512
ABOUT_THE_LOG: Final = frozenset(verdict for verdict in Verdict if verdict.value >= Verdict.MALFORMED.value)


def finding(result: Result, wall_ns: int) -> dict[str, Any] | None:
    """Return the finding of a verification that ended at this time; None when it found nothing about the log."""
    fault = result.fault
    if fault is None or fault.verdict not in ABOUT_THE_LOG:
        return None
    chain = result.head.chain_id if result.head else "0" * 32
    seq = fault.seq if fault.seq is not None else 0
    return {
        "finding_id": f"{chain}-{fault.verdict.name}-{seq}",
        "finding": fault.verdict.name,
        "time": rfc3339(wall_ns),
        "chain_id": chain,
        "seq": seq,
        "file": fault.file[:FOUND_CHARACTERS],
        "line": fault.line,
        "found": "".join(char if " " <= char <= "~" else "?" for char in fault.found)[:FOUND_CHARACTERS],
    }


def document(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding as a cluster holds it."""
    return {"@timestamp": of["time"], **of}


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of findings."""
    read: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return read


def mappings() -> dict[str, Any]:
    """Return how a cluster reads findings, from their schema."""
    kinds = {"string": "keyword", "integer": "long"}
    fields = {name: {"type": kinds[below["type"]]} for name, below in schema()["properties"].items()}
    return {"dynamic": "strict", "date_detection": False, "properties": {"@timestamp": {"type": "date_nanos"}, **fields}}


def index_template(index: str, replicas: int) -> dict[str, Any]:
    """Return the template of the findings' index: who may create may not overwrite, as with events (A-94)."""
    settings = {"append_only": {"enabled": "true"}, "number_of_shards": "1", "number_of_replicas": str(replicas)}
    return {"index_patterns": [index], "priority": 300, "template": {"settings": {"index": settings}, "mappings": mappings()}}
