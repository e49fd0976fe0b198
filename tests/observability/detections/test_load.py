"""Reading rules: what cannot be executed by all executors alike is refused, with the file and the reason."""

import re
from pathlib import Path

import pytest

from observability.detections.load import BLOCK, RulesWrong, load
from tests.observability.detections.writing import correlation, loaded, rule


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """An alert would carry another level, another time or another number than its author wrote."""
    rule(tmp_path, "a", level="medium")
    rule(tmp_path, "b", selection="reason_code: REKEYED", level=BLOCK)
    correlation(
        tmp_path, kind="value_count", rules="a, b", group="device, node_id", timespan="5m", condition="condition: {gte: 4, field: peer}"
    )
    rules = loaded(tmp_path)
    assert [(each.name, each.level, each.alerts) for each in rules.rules.values()] == [("a", "medium", True), ("b", BLOCK, False)]
    (made,) = rules.correlations.values()
    assert (made.kind, made.rules, made.group_by) == ("value_count", ("a", "b"), ("device", "node_id"))
    assert (made.timespan_us, made.least, made.field) == (300_000_000, 4, "peer")
    assert made.response == "Nothing is to be done."
    assert list(rules.named()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("selection", "condition", "why"),
    [
        ("event_type: SESSION*", "selection", "is not supported: plain text"),
        ("event_type|re: .*", "selection", "is not supported"),
        ("count: 1.5", "selection", "is not supported"),
        ("count|gte: x", "selection", "incompatible to value type"),
        ("event_type: A", "selection and other", "other"),
        ("event_type: A", "selection and", "found end of text"),
        ("keywords", "selection", ""),
    ],
)
def test_a_rule_that_executors_would_read_in_two_ways(tmp_path: Path, selection: str, condition: str, why: str) -> None:
    """It would fire in the cluster and not here, or the other way round."""
    path = rule(tmp_path, selection=selection, condition=condition)
    with pytest.raises(RulesWrong, match=re.escape(str(path))) as error:
        load(tmp_path)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("level: low\n", ""), "level: is missing"),
        (("response: Nothing is to be done.\n", ""), "response: is missing"),
        (("falsepositives: [None at all]\n", ""), "falsepositives: is missing"),
        (("tags: [attack.t1078]\n", ""), "tags: is missing"),
        (("service: audit", "service: kernel"), "logsource: needed product jumping-vpn"),
        (("name: a\n", "name: b\n"), "name: found 'b', needed the name of the file, once"),
        (("level: low", "level: terrible"), "terrible"),
        (("detection:", "detections:"), "etection"),
        (("title: A rule", "title: [A rule"), "a.yml"),
    ],
)
def test_a_rule_that_lacks_something(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    """An alert would come that nobody can judge; or a rule be passed over that somebody relies on."""
    path = rule(tmp_path)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(RulesWrong, match=re.escape(why)):
        load(tmp_path)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"kind": "value_avg", "condition": "condition: {gte: 3, field: count}"}, "correlation.type: found value_avg"),
        ({"condition": "condition: {lt: 3}"}, "only gte"),
        ({"condition": "condition: {gte: 3}\n    aliases: {x: {a: device}}"}, "aliases"),
        ({"rules": "a, missing"}, "'missing' is no rule here"),
        ({"timespan": "soon"}, "soon"),
    ],
)
def test_a_correlation_that_nobody_can_execute(tmp_path: Path, parts: dict[str, str], why: str) -> None:
    """Its time or its condition would be dropped without a word, as other tools do."""
    rule(tmp_path)
    correlation(tmp_path, **parts)
    with pytest.raises(RulesWrong, match=re.escape(why)):
        load(tmp_path)


def test_a_folder_without_rules(tmp_path: Path) -> None:
    """A misspelt path would find nothing, which looks like good news."""
    with pytest.raises(RulesWrong, match=r"no \.yml in rules/ or correlations/"):
        load(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A traceback would be all that an operator sees."""
    rule(tmp_path).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RulesWrong):
        load(tmp_path)
