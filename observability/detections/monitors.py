"""What the alerting plugin of a cluster takes: monitors, as documents for `POST _plugins/_alerting/monitors`.

Rules become monitors of documents, at most ten queries each, since more is refused. Correlations become monitors of buckets, which pySigma
cannot make: it drops the time. A bucket monitor looks each minute at the timespan and one minute more, so that no window falls between two
looks; what it finds can be up to a minute wider than the window of `evaluate.py`, which is exact.

The plugin runs in no test of ours. Its documents are checked for form; the queries, aggregations and conditions in Painless that are inside
run on a real node.
"""

from collections.abc import Iterator
from typing import Any, Final

from observability.detections import findings
from observability.detections.load import COUNTING, Correlation, Rule, Ruleset
from observability.detections.lucene import query

INDICES: Final = "jvpn-audit-*"
"""Where a cluster has the events, in whichever index or stream."""
QUERIES_MAX: Final = 10
LOOK_MINUTES: Final = 1
BUCKETS_MAX: Final = 1_000
SEVERITY: Final = {"critical": "1", "high": "2", "medium": "3", "low": "4"}
END: Final = "{{period_end}}"
"""The plugin puts the time of the look, in ms, in this place."""


def monitors(rules: Ruleset) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, document) of each monitor. Building blocks have none of their own."""
    for service, index in (("audit", INDICES), ("verifier", findings.INDEX)):
        for level in SEVERITY:
            of_it = [rule for rule in rules.rules.values() if (rule.service, rule.level) == (service, level)]
            for number, at in enumerate(range(0, len(of_it), QUERIES_MAX), 1):
                name = f"jvpn-{service}-{level}-{number}"
                yield name, _of_documents(name, index, level, of_it[at : at + QUERIES_MAX])
    for correlation in rules.correlations.values():
        if correlation.alerts:
            yield f"jvpn-{correlation.name}", _of_buckets(f"jvpn-{correlation.name}", correlation, rules)


def aggregation(correlation: Correlation, rules: Ruleset) -> dict[str, Any]:
    """Return the aggregation of a correlation: a bucket a group, and in it what the condition needs."""
    sources = [{f"by{number}": {"terms": {"field": field}}} for number, field in enumerate(correlation.group_by)]
    inside: dict[str, Any] = {}
    if correlation.kind == "value_count":
        inside = {"value": {"cardinality": {"field": correlation.field}}}
    elif correlation.kind == "value_sum":
        inside = {"value": {"sum": {"field": correlation.field}}}
    elif correlation.kind not in COUNTING:
        first, last = {"first": {"min": {"field": "@timestamp"}}}, {"last": {"max": {"field": "@timestamp"}}}
        inside = {
            f"of{number}": {"filter": query(rules.rules[name]), "aggs": first | last} for number, name in enumerate(correlation.rules)
        }
    groups = {"composite": {"size": BUCKETS_MAX, "sources": sources}}
    return {**groups, "aggs": inside} if inside else groups


def condition(correlation: Correlation) -> tuple[dict[str, str], str]:
    """Return where the values of a bucket's condition come from, and the condition in Painless."""
    if correlation.kind == "event_count":
        return {"value": "_count"}, f"params.value >= {correlation.least}"
    if correlation.kind in COUNTING:
        return {"value": "value"}, f"params.value >= {correlation.least}"
    numbers = range(len(correlation.rules))
    paths = {f"count{number}": f"of{number}>_count" for number in numbers}
    parts = [f"params.count{number} > 0" for number in numbers]
    if correlation.kind == "temporal_ordered":
        paths |= {f"first{number}": f"of{number}>first" for number in numbers} | {f"last{number}": f"of{number}>last" for number in numbers}
        parts += [f"params.first{number} <= params.last{number + 1}" for number in numbers[:-1]]
    return paths, " && ".join(parts)


def search(correlation: Correlation, rules: Ruleset, end: str = END) -> dict[str, Any]:
    """Return the search of a bucket monitor, for a look at `end`."""
    seconds = correlation.timespan_us // 1_000_000 + LOOK_MINUTES * 60
    when = {"range": {"@timestamp": {"gt": f"{end}||-{seconds}s", "lte": end, "format": "epoch_millis"}}}
    some = {"bool": {"should": [query(rules.rules[name]) for name in correlation.rules], "minimum_should_match": 1}}
    return {"size": 0, "query": {"bool": {"filter": [when, some]}}, "aggregations": {"groups": aggregation(correlation, rules)}}


def _of_documents(name: str, index: str, level: str, rules: list[Rule]) -> dict[str, Any]:
    queries = [{"id": rule.name, "name": rule.name, "query": query(rule)["query_string"]["query"], "tags": [level]} for rule in rules]
    trigger = {
        "document_level_trigger": {
            "name": level,
            "severity": SEVERITY[level],
            "condition": {"script": {"source": f"query[tag={level}]", "lang": "painless"}},
            "actions": [],
        }
    }
    inputs = {"doc_level_input": {"description": "; ".join(rule.title for rule in rules), "indices": [index], "queries": queries}}
    return _monitor(name, "doc_level_monitor", inputs, trigger)


def _of_buckets(name: str, correlation: Correlation, rules: Ruleset) -> dict[str, Any]:
    paths, script = condition(correlation)
    trigger = {
        "bucket_level_trigger": {
            "name": correlation.name,
            "severity": SEVERITY[correlation.level],
            "condition": {"buckets_path": paths, "parent_bucket_path": "groups", "script": {"source": script, "lang": "painless"}},
            "actions": [],
        }
    }
    return _monitor(name, "bucket_level_monitor", {"search": {"indices": [INDICES], "query": search(correlation, rules)}}, trigger)


def _monitor(name: str, kind: str, inputs: dict[str, Any], trigger: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "monitor",
        "monitor_type": kind,
        "name": name,
        "enabled": True,
        "schedule": {"period": {"interval": LOOK_MINUTES, "unit": "MINUTES"}},
        "inputs": [inputs],
        "triggers": [trigger],
    }
