"""Reading rules and correlations: Sigma through pySigma, and from there into what the executors take.

Of Sigma is allowed what all executors do alike: fields with plain values or numbers to compare with, `and`, `or`, `not`; correlations that
count, sum or order within a time and group by fields. Anything else is refused, since an executor that left it out would be silent or loud
without cause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationConditionOperator, SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from yaml import YAMLError

from observability.detections.match import Matches, Unsupported, matcher, types_of

HERE: Final = Path(__file__).resolve().parent
FOLDERS: Final = ("rules", "correlations")
KINDS: Final = frozenset({"event_count", "value_count", "value_sum", "temporal", "temporal_ordered"})
COUNTING: Final = frozenset({"event_count", "value_count", "value_sum"})
BLOCK: Final = "informational"
SECOND_US: Final = 1_000_000


class RulesWrong(Exception):
    """A rule that cannot be used; the message names the file and what is wrong there. Its author's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What rules and correlations have in common. ``level``: Sigma's; ``response``: what whoever gets the alert does first."""

    name: str
    title: str
    level: str
    description: str
    falsepositives: tuple[str, ...]
    response: str
    tags: tuple[str, ...]

    @property
    def alerts(self) -> bool:
        """Return whether it is more than a building block."""
        return self.level != BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Named):
    """A condition on one event. ``service``: audit (events) or verifier (findings); ``types``: of which events only it can be true."""

    service: str
    types: frozenset[str] | None
    matches: Matches
    sigma: SigmaRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation(Named):
    """A condition on what ``rules`` match within ``timespan_us``, for each value of the ``group_by`` fields.

    ``kind``: a Sigma correlation type. ``least``: of events, of values of ``field``, or of its sum; for the temporal kinds 0.
    """

    kind: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan_us: int
    least: int
    field: str


@dataclass(frozen=True)
class Ruleset:
    """All of them, by name."""

    rules: Mapping[str, Rule]
    correlations: Mapping[str, Correlation]

    def named(self) -> dict[str, Named]:
        """Return rules and correlations together."""
        return {**self.rules, **self.correlations}

    @cached_property
    def by_type(self) -> Mapping[str, Sequence[Rule]]:
        """Return the rules that can be true at events of a type; under "" those that can be at any other."""
        types = {each for rule in self.rules.values() for each in rule.types or ()} | {""}
        return {name: [rule for rule in self.rules.values() if rule.types is None or name in rule.types] for name in types}


def load(folder: Path = HERE) -> Ruleset:
    """Read ``rules/*.yml`` and ``correlations/*.yml`` in a folder.

    RulesWrong for the first that cannot be used, OSError when one cannot be read.
    """
    files = [path for name in FOLDERS for path in sorted((folder / name).glob("*.yml"))]
    if not files:
        raise RulesWrong(f"{folder}: no .yml in {' or '.join(f'{name}/' for name in FOLDERS)}")
    rules: dict[str, Rule] = {}
    correlations: dict[str, Correlation] = {}
    for path in files:
        try:
            (parsed,) = SigmaCollection.from_yaml(path.read_text(encoding="utf-8"), resolve_references=False).rules
            made = _rule(parsed) if isinstance(parsed, SigmaRule) else _correlation(parsed)
        except (SigmaError, Unsupported, YAMLError, UnicodeDecodeError) as error:
            raise RulesWrong(f"{path}: {' '.join(str(error).split())}") from None
        except (AttributeError, TypeError, ValueError):
            raise RulesWrong(f"{path}: not one Sigma rule or correlation") from None
        if made.name != path.stem or made.name in {*rules, *correlations}:
            raise RulesWrong(f"{path}: name: found {made.name!r}, needed the name of the file, once")
        if isinstance(made, Rule):
            rules[made.name] = made
        else:
            if unknown := [name for name in made.rules if name not in rules]:
                raise RulesWrong(f"{path}: correlation.rules: {unknown[0]!r} is no rule here")
            correlations[made.name] = made
    return Ruleset(rules, correlations)


def _rule(rule: SigmaRule) -> Rule:
    if rule.logsource.product != "jumping-vpn" or rule.logsource.service not in {"audit", "verifier"}:
        raise Unsupported("logsource: needed product jumping-vpn, service audit or verifier")
    (condition,) = rule.detection.parsed_condition
    return Rule(
        **_common(rule), service=rule.logsource.service, types=types_of(condition.parsed), matches=matcher(condition.parsed), sigma=rule
    )


def _correlation(rule: SigmaCorrelationRule) -> Correlation:
    kind = str(rule.type)
    if kind not in KINDS:
        raise Unsupported(f"correlation.type: found {kind}, allowed {', '.join(sorted(KINDS))}")
    if rule.aliases.aliases:
        raise Unsupported("correlation.aliases: not supported")
    least, field = 0, ""
    if kind in COUNTING:
        condition = rule.condition
        if not isinstance(condition, SigmaCorrelationCondition) or condition.op is not SigmaCorrelationConditionOperator.GTE:
            raise Unsupported("correlation.condition: only gte, as less than something is true where nothing happens")
        if isinstance(condition.fieldref, list):
            raise Unsupported("correlation.condition.field: one field")
        least, field = condition.count, condition.fieldref or ""
    return Correlation(
        **_common(rule),
        kind=kind,
        rules=tuple(each.reference for each in rule.rules or ()),
        group_by=tuple(rule.group_by or ()),
        timespan_us=rule.timespan.seconds * SECOND_US,
        least=least,
        field=field,
    )


def _common(rule: SigmaRule | SigmaCorrelationRule) -> dict[str, Any]:
    response = str(rule.custom_attributes.get("response", "")).strip()
    needed = {
        "name": rule.name,
        "level": rule.level,
        "description": rule.description,
        "falsepositives": rule.falsepositives,
        "tags": rule.tags,
    }
    if missing := [name for name, value in {**needed, "response": response}.items() if not value]:
        raise Unsupported(f"{missing[0]}: is missing")
    return {
        "name": rule.name,
        "title": rule.title,
        "level": str(rule.level),
        "description": (rule.description or "").strip(),
        "falsepositives": tuple(rule.falsepositives),
        "response": response,
        "tags": tuple(str(tag) for tag in rule.tags),
    }
