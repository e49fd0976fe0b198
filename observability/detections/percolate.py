"""The third executor: rules stored in the cluster, events put to them as they arrive (percolator)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from observability.detections.load import Ruleset
from observability.detections.lucene import query

FIELD: Final = "query"


def mappings(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mappings of an index that holds rules, for documents with these `properties`."""
    return {"dynamic": "strict", "date_detection": False, "properties": {**properties, FIELD: {"type": "percolator"}}}


def documents(rules: Ruleset) -> dict[str, dict[str, Any]]:
    """Return what is stored for each rule; its name is the id."""
    return {name: {FIELD: query(rule)} for name, rule in rules.rules.items()}


def search(events: Iterable[Mapping[str, Any]], *, most: int) -> dict[str, Any]:
    """Return the body of a search that puts these documents to all rules, of which there are at most `most`."""
    return {"size": most, "_source": False, "query": {"percolate": {"field": FIELD, "documents": list(events)}}}


def matched(answer: Mapping[str, Any], count: int) -> list[frozenset[str]]:
    """Return, of the answer to such a search for `count` documents, the names of the rules that matched each."""
    found: list[set[str]] = [set() for _ in range(count)]
    for hit in answer["hits"]["hits"]:
        for slot in hit["fields"]["_percolator_document_slot"]:
            found[slot].add(hit["_id"])
    return [frozenset(each) for each in found]
