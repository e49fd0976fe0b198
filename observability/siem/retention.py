"""Rollover by condition, and deletion of what is over its days, for clusters without index management.

    steps = due(api, Setup(), now)        # looks, changes nothing
    carry_out(api, Setup(), steps)

Telemetry goes index by index, by its newest event; the index that is written to stays. Evidence goes month by month, by the end of the
month in its name. Both follow the clock of this machine, which is why `due` says first what would go.
"""

import re
from calendar import timegm
from typing import Any, Final, NamedTuple

from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import Setup

DAY: Final = 86_400
ROLLOVER: Final = "roll over"
DELETE: Final = "delete"
MONTH: Final = re.compile(r"(\d{4})\.(\d\d)")


class Step(NamedTuple):
    """What is done to which stream or index, and why."""

    what: str
    name: str
    why: str


def due(api: Api, setup: Setup, now: int) -> list[Step]:
    """Return what is to be done at ``now`` (seconds since 1970). Raises what ``opensearchpy`` raises."""
    names = Names(setup.prefix)
    backing, newest = api.backing(names.telemetry), _newest(api, names.telemetry)
    steps = []
    if backing[-1] in newest:  # an empty one is never rolled over, however old
        met = api.ask("POST", f"/{names.telemetry}/_rollover", conditions(setup), dry_run="true")["conditions"]
        reached = [condition.strip("[]") for condition, is_met in met.items() if is_met]
        steps += [Step(ROLLOVER, names.telemetry, ", ".join(reached))] if reached else []
    if setup.telemetry_days:
        limit = now - setup.telemetry_days * DAY
        why = f"its newest event is older than {setup.telemetry_days} days"
        steps += [Step(DELETE, index, why) for index in backing[:-1] if newest.get(index, 0) < limit]
    if setup.evidence_days:
        months = api.ask("GET", f"/{names.evidence}/_settings", expand_wildcards="all")
        limit = now - setup.evidence_days * DAY
        why = f"its month ended more than {setup.evidence_days} days ago"
        steps += [Step(DELETE, index, why) for index in sorted(months) if _ended(index, names) < limit]
    return steps


def carry_out(api: Api, setup: Setup, steps: list[Step]) -> None:
    """Do it; a rollover only if its condition still holds. Raises what ``opensearchpy`` raises."""
    for step in steps:
        if step.what == ROLLOVER:
            api.ask("POST", f"/{step.name}/_rollover", conditions(setup))
        else:
            api.ask("DELETE", f"/{step.name}")


def conditions(setup: Setup) -> dict[str, Any]:
    """Return when the stream is rolled over: whichever comes first."""
    return {"conditions": {"max_age": f"{setup.rollover_days}d", "max_size": f"{setup.rollover_gb}gb"}}


def _newest(api: Api, stream: str) -> dict[str, int]:
    """Return the time of the newest event in each index of a stream that has any, in seconds since 1970."""
    newest = {"newest": {"max": {"field": "@timestamp"}}}
    body = {"size": 0, "aggs": {"indices": {"terms": {"field": "_index", "size": 10_000}, "aggs": newest}}}
    buckets = api.ask("POST", f"/{stream}/_search", body)["aggregations"]["indices"]["buckets"]
    return {bucket["key"]: int(bucket["newest"]["value"]) // 1_000 for bucket in buckets}


def _ended(index: str, names: Names) -> float:
    """Return when the month of an index of evidence ended, in seconds since 1970; never, for a name that says none."""
    said = MONTH.fullmatch(index.removeprefix(names.evidence.removesuffix("*")))
    if said is None or not 1 <= int(said[2]) <= 12:  # noqa: PLR2004 - the months of a year
        return float("inf")
    year, month = divmod(int(said[1]) * 12 + int(said[2]), 12)  # the month after it, counted from 0
    return timegm((year, month + 1, 1, 0, 0, 0))
