"""The shipped rules: each says what it must, asks for what can be there, and fires exactly where the truth says."""

from pathlib import Path

import pytest
from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionItem
from sigma.data import mitre_attack
from sigma.types import SigmaString
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from audit.event import ROLES
from audit.schema import check
from audit.vocabulary import vocabulary
from lab.detections.made import START_US, Who, event_of
from lab.detections.truth import Spec, correlations, fires, label, pairs, silent
from observability.detections import findings
from observability.detections.evaluate import LEVELS, matching
from observability.detections.load import HERE, Correlation, Named, load
from observability.detections.match import value_of
from observability.template import mappings as event_mappings
from tests.observability.test_template import leaves

RULES = load()
NAMED = [pytest.param(each, id=each.name) for each in RULES.named().values()]
FIELDS = {"audit": leaves(event_mappings()["properties"]), "verifier": findings.schema()["properties"]}
WHO = Who(1, 2, 3, 4)
ATTACK = Path(__file__).with_name("attack-v19.json")


def judged(spec: Spec) -> frozenset[str]:
    """Return the rules that match an event of a specification."""
    return matching(RULES, event_of(spec, START_US, 9, WHO))


def asked(condition: object) -> list[ConditionFieldEqualsValueExpression]:
    """Return what a condition asks for."""
    if isinstance(condition, ConditionItem):
        return [each for argument in condition.args for each in asked(argument)]
    assert isinstance(condition, ConditionFieldEqualsValueExpression)
    return [condition]


def test_there_are_enough() -> None:
    """The promise is 27 rules and 9 correlations that each mean something else; a building block means nothing alone."""
    assert len([rule for rule in RULES.rules.values() if rule.alerts]) >= 27
    assert len([each for each in RULES.correlations.values() if each.alerts]) >= 9
    queries = [str(rule.sigma.detection.parsed_condition[0].parsed) for rule in RULES.rules.values()]
    assert len(set(queries)) == len(queries)
    assert len({each.title for each in RULES.named().values()}) == len(RULES.named())


def test_the_truth_knows_all_of_them() -> None:
    """A rule would be without an event that it fires at, or without one beside which it is silent."""
    assert fires().keys() == silent().keys() == RULES.rules.keys()
    assert all(fires().values())
    assert all(silent().values())
    assert {each.name for each in correlations()} == RULES.correlations.keys()


@pytest.mark.parametrize("name", RULES.rules)
def test_a_rule_fires_at_what_it_is_for_and_not_beside_it(name: str) -> None:
    """An attack would be passed over, or what looks like one wake somebody at night."""
    for spec in fires()[name]:
        assert name in judged(spec), spec
    for spec in silent()[name]:
        assert name not in judged(spec), spec


@pytest.mark.parametrize("spec", [*pairs()], ids=lambda spec: f"{spec.event}/{spec.reason}")
def test_each_pair_of_the_registry_fires_exactly_what_it_must(spec: Spec) -> None:
    """A new reason would fall under an old rule without a word, or a rule fire at an event that nobody thought of."""
    event = event_of(spec, START_US, 9, WHO)
    check(event)
    assert matching(RULES, event) == label(spec)


@pytest.mark.parametrize("each", NAMED)
def test_a_rule_says_what_somebody_at_night_needs(each: Named) -> None:
    """An alert would come without what it means, what else it can be, how bad it is, or what to do."""
    assert each.level in LEVELS
    assert len(each.description) > 20
    assert not each.alerts or len(each.response) > 20
    assert all(len(text) > 3 for text in each.falsepositives)
    assert any(tag[len("attack.") :][:1] == "t" and tag[-1].isdigit() for tag in each.tags), "a technique"


@pytest.mark.parametrize("name", RULES.rules)
def test_a_rule_asks_for_what_can_be_there(name: str) -> None:
    """A misspelt field or reason never matches, and looks like peace."""
    rule = RULES.rules[name]
    words = {
        "event_type": set(vocabulary().kinds),
        "reason_code": {reason for kind in vocabulary().kinds.values() for reason in kind.reasons},
        "document.role": set(ROLES.values()),
        "role": {"gateway", "client"},
        "finding": set(findings.schema()["properties"]["finding"]["enum"]),
    }
    for each in asked(rule.sigma.detection.parsed_condition[0].parsed):
        assert each.field in FIELDS[rule.service]
        if isinstance(each.value, SigmaString):
            assert str(each.value) in words[each.field]


@pytest.mark.parametrize("each", [pytest.param(each, id=each.name) for each in RULES.correlations.values()])
def test_a_correlation_groups_by_what_its_events_have(each: Correlation) -> None:
    """An event without the field belongs to no group: the correlation would never come true."""
    assert {*each.group_by, *([each.field] if each.field else [])} <= FIELDS["audit"].keys()
    for name in each.rules:
        events = [event_of(spec, START_US, 9, WHO) for spec in fires()[name]]
        for field in each.group_by:
            assert any(value_of(event, field) is not None for event in events), (name, field)
    assert all(RULES.rules[name].service == "audit" for name in each.rules)


def test_sigmas_own_checks_find_nothing(tmp_path: Path) -> None:
    """Somebody else's tools would refuse our rules; a tag of an older ATT&CK would lead nowhere."""
    mitre_attack.set_cache_dir(str(tmp_path))
    mitre_attack.set_url(str(ATTACK))
    try:
        chosen = {validator for name, validator in validators.items() if name != "d3_fendtag"}  # which asks the network
        issues = SigmaValidator(chosen).validate_rules(rule.sigma for rule in RULES.rules.values())
        assert not [str(issue) for issue in issues]
        known = {*mitre_attack.mitre_attack_techniques, *mitre_attack.mitre_attack_tactics.values()}
    finally:
        mitre_attack.set_cache_dir(str(tmp_path))  # closes it
    assert {tag.removeprefix("attack.") for each in RULES.named().values() for tag in each.tags} <= {name.lower() for name in known}
    assert {"T1685", "stealth"} <= known
    assert not {"T1562", "defense-evasion"} & known


def test_the_files_are_of_one_form() -> None:
    """Who adds a rule copies the one beside it."""
    ids = set()
    for path in HERE.glob("*/*.yml"):
        text = path.read_text(encoding="utf-8")
        first = [line.split(":")[0] for line in text.splitlines() if line and not line.startswith(" ")]
        wanted = ["title", "id", "name", "status", "description", "date", "tags"]
        body = ["logsource", "detection"] if path.parent.name == "rules" else ["correlation"]
        assert first == [*wanted, *body, "falsepositives", "level", "response"], path.name
        ids.add(text.splitlines()[1])
    assert len(ids) == len(RULES.named())


def test_rules_of_findings_know_all_findings() -> None:
    """The verifier would find something, and no rule match it."""
    covered = [spec.reason for name, told in fires().items() if RULES.rules[name].service == "verifier" for spec in told]
    assert sorted(covered) == sorted(findings.schema()["properties"]["finding"]["enum"])
