"""The executors that run inside OpenSearch: query strings, the percolator, and windows as aggregations, over a corpus that is put there."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from opensearchpy import OpenSearch

from audit.event import rfc3339
from lab.detections.corpus import Labelled
from lab.detections.made import document
from observability.detections import findings, lucene, percolate
from observability.detections.evaluate import microseconds
from observability.detections.load import Correlation, Ruleset
from observability.detections.match import value_of
from observability.template import mappings as event_mappings

BULK: Final = 2_000
PERCOLATED: Final = 500  # documents a search
SEARCHES: Final = 200  # a request of many
PAGE: Final = 10_000


class Asked(NamedTuple):
    """One question to the node: is the correlation true at this event?"""

    correlation: Correlation
    event: Mapping[str, Any]


def install(client: OpenSearch, index: str, rules: Ruleset, events: Iterable[Mapping[str, Any]]) -> None:
    """Make the index `index` with the events, and `index`-rules with the rules; an event's place in the corpus is its id."""
    mappings = event_mappings()
    mappings["properties"] = {**findings.mappings()["properties"], **mappings["properties"]}
    settings = {"index.number_of_replicas": 0, "index.number_of_shards": 1}
    client.indices.create(index=index, body={"settings": {**settings, "index.max_result_window": 10_000_000}, "mappings": mappings})
    stored = {"settings": settings, "mappings": percolate.mappings(mappings["properties"])}
    client.indices.create(index=f"{index}-rules", body=stored)
    _bulk(client, f"{index}-rules", percolate.documents(rules).items())
    numbered = enumerate(events)
    while part := list(islice(numbered, BULK)):
        _bulk(client, index, ((str(number), document(event)) for number, event in part))
    client.indices.refresh(index=f"{index}*")


def _bulk(client: OpenSearch, index: str, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    answer = client.bulk(index=index, body=[line for name, body in documents for line in ({"create": {"_id": name}}, body)])
    if answer["errors"]:
        raise RuntimeError(f"not stored: {next(item for item in answer['items'] if 'error' in item['create'])}")


def remove(client: OpenSearch, index: str) -> None:
    """Take both indices away."""
    client.indices.delete(index=f"{index},{index}-rules")


def by_query(client: OpenSearch, index: str, rules: Ruleset) -> dict[int, frozenset[str]]:
    """Return, by an event's place, the rules whose query string finds it."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for name, rule in rules.rules.items():
        after: list[Any] = []
        while True:
            body = {"size": PAGE, "_source": False, "query": lucene.query(rule), "sort": ["@timestamp", "seq"], "track_total_hits": False}
            hits = client.search(index=index, body={**body, "search_after": after} if after else body)["hits"]["hits"]
            for hit in hits:
                found[int(hit["_id"])].add(name)
            if len(hits) < PAGE:
                break
            after = hits[-1]["sort"]
    return {number: frozenset(names) for number, names in found.items()}


def by_percolator(client: OpenSearch, index: str, rules: Ruleset, events: Iterable[Mapping[str, Any]]) -> Iterator[frozenset[str]]:
    """Yield, event by event, the stored rules that match it."""
    left = iter(events)
    while part := [document(event) for event in islice(left, PERCOLATED)]:
        answer = client.search(index=f"{index}-rules", body=percolate.search(part, most=len(rules.rules)))
        yield from percolate.matched(answer, len(part))


def by_windows(
    client: OpenSearch, index: str, rules: Ruleset, corpus: Sequence[Labelled], found: Mapping[int, frozenset[str]]
) -> set[tuple[str, int]]:
    """Return the name of each correlation with the places of the events at which the node's aggregations say that it is true.

    ``found``: what `by_query` says. The window of each candidate is asked for by its exact bounds.
    """
    asked: list[tuple[int, Asked]] = []
    for number, each in enumerate(corpus):
        matched = found.get(number, frozenset())
        for correlation in rules.correlations.values():
            ends = correlation.rules[-1:] if correlation.kind == "temporal_ordered" else correlation.rules
            if matched & set(ends) and all(value_of(each.event, field) is not None for field in correlation.group_by):
                asked.append((number, Asked(correlation, each.event)))
    true: set[tuple[str, int]] = set()
    for at in range(0, len(asked), SEARCHES):
        part = asked[at : at + SEARCHES]
        lines = [line for number, question in part for line in ({"index": index}, _search(question, number, rules))]
        answers = client.msearch(body="\n".join(json.dumps(line) for line in lines) + "\n")["responses"]
        for (number, question), answer in zip(part, answers, strict=True):
            if _true(question.correlation, answer["aggregations"]):
                true.add((question.correlation.name, number))
    return true


def _search(asked: Asked, number: int, rules: Ruleset) -> dict[str, Any]:
    correlation, event = asked
    at = microseconds(event["time"])
    when = {"range": {"@timestamp": {"gt": rfc3339((at - correlation.timespan_us) * 1_000), "lte": rfc3339(at * 1_000)}}}
    same = [{"term": {field: value_of(event, field)}} for field in correlation.group_by]
    some = {"bool": {"should": [lucene.query(rules.rules[name]) for name in correlation.rules], "minimum_should_match": 1}}
    return {"size": 0, "query": {"bool": {"filter": [when, *same, some]}}, "aggs": _inside(correlation, number, rules)}


def _inside(correlation: Correlation, number: int, rules: Ruleset) -> dict[str, Any]:
    match correlation.kind:
        case "event_count":
            return {"value": {"value_count": {"field": "event_type"}}}
        case "value_count":
            return {"value": {"cardinality": {"field": correlation.field, "precision_threshold": 40_000}}}
        case "value_sum":
            return {"value": {"sum": {"field": correlation.field}}}
        case "temporal":
            return {name: {"filter": lucene.query(rules.rules[name])} for name in correlation.rules}
        case _:  # of two rules: the other one, at another event
            others = {
                "bool": {"filter": [lucene.query(rules.rules[correlation.rules[0]])], "must_not": [{"ids": {"values": [str(number)]}}]}
            }
            return {"before": {"filter": others}}


def _true(correlation: Correlation, aggregations: Mapping[str, Any]) -> bool:
    if correlation.least:
        return bool(aggregations["value"]["value"] >= correlation.least)
    return all(bucket["doc_count"] > 0 for bucket in aggregations.values())
