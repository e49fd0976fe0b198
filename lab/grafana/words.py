"""What the boards take from the registry: groups of reasons for queries, and what each reason means for the reader."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from grafana_foundation_sdk.models import dashboard

from audit.vocabulary import SEVERITIES
from lab.registry import load

Reason = Mapping[str, Any]
REPLAYS: Final = ("INIT_REPEATED", "ATTEMPT_BURNT", "REATTACH_REPLAYED", "COUNTER_REPLAYED", "COUNTER_STALE")
OWNERSHIP: Final = ("OWNER_FENCED", "VERSION_STALE", "UNBOUND_PATH", "CONFIRM_STALE")
SELF_CHECKS: Final = ("SELFTEST_FAILED", "RANDOMNESS_FAILED", "STORE_DISPLACED")
LIMITS: Final = ("LIMIT_SESSIONS", "LIMIT_PENDING", "COOLDOWN", "SWITCH_LIMIT", "STORE_BUSY", "COOKIE_DEMANDED", "PENDING_FULL_DATA")
SWITCH_ABUSE: Final = ("COOLDOWN", "SWITCH_LIMIT")
REFUSALS: Final = ("SESSION_REFUSED", "TRAFFIC_REFUSED", "HANDSHAKE_REFUSED", "CLIENT_REFUSED")


@cache
def reasons() -> Mapping[str, Reason]:
    """Return all reasons of the registry by name."""
    return {reason["name"]: reason for reason in load()["reason"]}


def failures_of_proof() -> tuple[str, ...]:
    """Return the reasons that say that somebody could not prove who they are: of the family `proof`, medium or worse."""
    least = SEVERITIES["medium"]
    found = (name for name, reason in reasons().items() if reason["family"] == "proof" and SEVERITIES[reason["severity"]] >= least)
    return tuple(name for name in found if name not in {"NO_TRANSITION", "INNER_MALFORMED"})


def any_of(field: str, names: Iterable[str]) -> str:
    """Return the Lucene query for a field that has one of these values. KeyError for a reason that is not in the registry."""
    values = list(names)
    if field == "reason_code":
        for name in values:
            _ = reasons()[name]
    return f"{field}:({' OR '.join(values)})" if len(values) > 1 else f"{field}:{values[0]}"


def meanings(names: Iterable[str] | None = None) -> dashboard.ValueMap:
    """Return the value mapping that shows beside each reason what it means."""
    wanted = reasons() if names is None else {name: reasons()[name] for name in names}
    return dashboard.ValueMap(
        options={
            name: dashboard.ValueMappingResult(text=f"{name}: {reason['meaning']}", index=place)
            for place, (name, reason) in enumerate(wanted.items())
        }
    )


def severities() -> dashboard.ValueMap:
    """Return the value mapping of OCSF's numbers to names and colours."""
    colours = ("text", "green", "blue", "yellow", "orange", "red", "dark-red")
    return dashboard.ValueMap(
        options={
            str(value): dashboard.ValueMappingResult(text=name, color=colour, index=value)
            for (name, value), colour in zip(SEVERITIES.items(), colours, strict=True)
        }
    )
