"""Our own executor of one rule: from Sigma's condition to a function that says whether an event matches.

An event's field is named by its path (`metrics.gap_us`); one that is not there equals nothing. Values are compared exactly, with upper and
lower case: those of events are from closed lists.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.types import CompareOperators, SigmaCompareExpression, SigmaNumber, SigmaString

Event = Mapping[str, Any]
Matches = Callable[[Event], bool]
COMPARE: Final[Mapping[CompareOperators, Callable[[int, int], bool]]] = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
}


class Unsupported(Exception):
    """A rule asks for what not all executors do alike."""


def value_of(event: Event, field: str) -> Any:  # noqa: ANN401 - whatever the event has there
    """Return the value at a path, or None."""
    value: Any = event
    for name in field.split("."):
        if not isinstance(value, Mapping) or (value := value.get(name)) is None:
            return None
    return value


def types_of(condition: object) -> frozenset[str] | None:
    """Return the only event types at which a condition can be true; None when it does not say."""
    match condition:
        case ConditionAND():
            told = [types for each in condition.args if (types := types_of(each)) is not None]
            return frozenset.intersection(*told) if told else None
        case ConditionOR():
            every = [types_of(each) for each in condition.args]
            return frozenset().union(*(types for types in every if types is not None)) if None not in every else None
        case ConditionFieldEqualsValueExpression() if condition.field == "event_type" and _plain(condition.value):
            return frozenset({str(condition.value)})
        case _:
            return None


def matcher(condition: object) -> Matches:
    """Return what judges an event by a parsed condition. Unsupported, which names what is."""
    match condition:
        case ConditionAND():
            every = tuple(matcher(each) for each in condition.args)
            return lambda event: all(each(event) for each in every)
        case ConditionOR():
            return _or(condition)
        case ConditionNOT():
            (inner,) = (matcher(each) for each in condition.args)
            return lambda event: not inner(event)
        case ConditionFieldEqualsValueExpression():
            return _compared(condition)
        case _:
            raise Unsupported(f"detection: {type(condition).__name__} is not supported")


def _or(condition: ConditionOR) -> Matches:
    """Return what judges alternatives; those of one field by one look."""
    fields = {each.field for each in condition.args if isinstance(each, ConditionFieldEqualsValueExpression)}
    texts = {str(each.value) for each in condition.args if isinstance(each, ConditionFieldEqualsValueExpression) and _plain(each.value)}
    if len(fields) == 1 and len(texts) == len(condition.args):
        (field,) = fields
        return lambda event: value_of(event, field) in texts
    some = tuple(matcher(each) for each in condition.args)
    return lambda event: any(each(event) for each in some)


def _compared(condition: ConditionFieldEqualsValueExpression) -> Matches:
    field, value = condition.field, condition.value
    if _plain(value):
        text = str(value)
        return lambda event: value_of(event, field) == text
    if isinstance(value, SigmaNumber) and isinstance(value.number, int):
        number = value.number
        return lambda event: value_of(event, field) == number
    if isinstance(value, SigmaCompareExpression) and value.op in COMPARE and isinstance(value.number, SigmaNumber):
        compare, limit = COMPARE[value.op], int(value.number.number)
        return lambda event: isinstance(found := value_of(event, field), int) and compare(found, limit)
    raise Unsupported(
        f"detection: {field}: {type(value).__name__} {value} is not supported: plain text, whole numbers, lt, lte, gt, gte are"
    )


def _plain(value: object) -> bool:
    return isinstance(value, SigmaString) and not value.contains_special() and bool(str(value))
