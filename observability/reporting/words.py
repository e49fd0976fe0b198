"""How a report says times, sizes and names."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from audit.vocabulary import SCHEMAS
from observability.figures import plain
from observability.queries import Distribution

TIME: Final = "%Y-%m-%d %H:%M:%S.%f"
MEGA: Final = 1_000_000
STATES: Final = {
    "PENDING": "A handshake was answered; the client has not confirmed it yet.",
    "ATTACHED": "The session lives on one path, and all is well.",
    "VOLATILE": "The path works, but its quality is below the policy.",
    "RECOVERING": "No path works; one is sought.",
    "DEGRADED": "A limit was reached: the quality stays low, or no path was found in time, or the ownership is uncertain.",
    "SEEKING": "The client has no working path and tries others.",
    "CONNECTING": "The client has sent a handshake.",
}


@cache
def meanings() -> Mapping[str, str]:
    """Return what each reason means, in the words of the registry."""
    with (SCHEMAS / "registry.toml").open("rb") as file:
        return {reason["name"]: reason["meaning"] for reason in tomllib.load(file)["reason"]}


def of(what: str, rows: Sequence[object], total: int) -> str:
    """Return a caption that says how much of the whole is shown."""
    return what if len(rows) == total else f"{what}: the first {len(rows)} of {total}"


def words(name: str) -> str:
    """Return a name of the registry as words; what is words already stays."""
    return name if " " in name else plain(name)


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def clock(when: datetime | None) -> str:
    """Return a time to the millisecond, UTC."""
    return f"{when:{TIME}}"[:-3] if when else "not in this log"


def duration(span: timedelta) -> str:
    """Return how long something took, roughly."""
    seconds = int(span.total_seconds())
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def mega(value: int) -> str:
    """Return bytes as megabytes."""
    return f"{value / MEGA:.1f}"


def us(value: int, among: Distribution | None = None) -> str:
    """Return microseconds; "none" where the distribution that they are of is empty."""
    if among is not None and not among.values:
        return "none"
    return f"{value / MEGA:.2f} s" if value >= MEGA else f"{value / 1_000:.1f} ms"
