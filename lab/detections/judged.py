"""The judgement: three executors and the labels, over one corpus."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opensearchpy import OpenSearch

from lab.detections import node
from lab.detections.corpus import Labelled
from observability.detections.evaluate import alerts, id_of, matching
from observability.detections.load import Ruleset

SHOWN: Final = 5


@dataclass(slots=True)
class Judgement:
    """How many events and labels there were, and where an executor said something else; at most a few of those."""

    events: int = 0
    rules_fired: int = 0
    correlations_fired: int = 0
    differences: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def compare(self, who: str, labels: Sequence[frozenset[str]], said: Sequence[frozenset[str]]) -> None:
        """Count where an executor says something else than the labels."""
        wrong = [number for number, (label, answer) in enumerate(zip(labels, said, strict=True)) if label != answer]
        self.differences[who] = len(wrong)
        self.examples += [f"{who}, event {number}: {sorted(said[number])} instead of {sorted(labels[number])}" for number in wrong[:SHOWN]]


def judge(client: OpenSearch, index: str, rules: Ruleset, corpus: Sequence[Labelled]) -> Judgement:
    """Put a corpus to all executors and compare each with the labels. The indices `index` and `index`-rules are made and removed."""
    events = [each.event for each in corpus]
    single = [each.rules for each in corpus]
    together = [each.correlations for each in corpus]
    judged = Judgement(len(corpus), sum(map(len, single)), sum(map(len, together)))
    node.install(client, index, rules, events)
    try:
        found = node.by_query(client, index, rules)
        judged.compare("rules: own evaluator", single, [matching(rules, event) for event in events])
        judged.compare("rules: query strings", single, [found.get(number, frozenset()) for number in range(len(corpus))])
        judged.compare("rules: percolator", single, list(node.by_percolator(client, index, rules, events)))
        judged.compare("correlations: own evaluator", together, own_correlations(rules, events))
        true = node.by_windows(client, index, rules, corpus, found)
        judged.compare("correlations: aggregations", together, _by_place(len(corpus), true))
    finally:
        node.remove(client, index)
    return judged


def own_correlations(rules: Ruleset, events: Sequence[dict[str, Any]]) -> list[frozenset[str]]:
    """Return, event by event, the correlations that become true there by our own evaluator."""
    places = {id_of(event): number for number, event in enumerate(events)}
    told = alerts(rules, events)
    return _by_place(len(events), {(alert.name, places[alert.events[-1]]) for alert in told if alert.name in rules.correlations})


def _by_place(count: int, true: set[tuple[str, int]]) -> list[frozenset[str]]:
    said: list[set[str]] = [set() for _ in range(count)]
    for name, number in true:
        said[number].add(name)
    return [frozenset(each) for each in said]
