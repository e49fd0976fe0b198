"""What shipper and witness say to the metrics: the one by its files, the other in its own process."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from audit.tlog.witness import States
from observability.breaker import Circuit
from observability.metrics import SourceAway, sets

CLOSED: Final = Circuit.CLOSED.value
FILE_BYTES_MAX: Final = 1 << 16


def shipper(state: Path) -> dict[str, Any]:
    """Return the status of a shipper, when it was told (seconds since 1970), and the counters that it remembers across crashes.

    Raises:
        SourceAway: there is none yet, or a file of it cannot be read.
    """
    try:
        told_at = (state / "status.json").stat().st_mtime
        status = _json(state / "status.json")
    except OSError as error:
        raise SourceAway(f"{error.filename}: {error.strerror}") from error
    try:
        settled = _json(state / "cursor.json").get("counters", {})
    except FileNotFoundError:
        settled = {}
    except OSError as error:
        raise SourceAway(f"{error.filename}: {error.strerror}") from error
    remembered = {name: settled.get(name, 0) for name in sets()["result"]}
    circuit = status.get("circuit")
    return status | {"told_at": told_at, "settled": remembered, "repeated": settled.get("retried", 0), "open": circuit != CLOSED}


def witness(answered: Mapping[int, int], states: States) -> dict[str, Any]:
    """Return what a witness answered, by status, and of each log how much it cosigned and how many contradictions it keeps.

    Raises:
        SourceAway: the file of what was cosigned cannot be read.
    """
    try:
        cosigned = {each.origin: each.size for each in states.latest()}
        conflicts = Counter(each.origin for each in states.conflicts())
    except sqlite3.Error as error:
        raise SourceAway(str(error)) from error
    return {"answered": {str(status): times for status, times in dict(answered).items()}, "cosigned": cosigned, "conflicts": conflicts}


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a file. OSError; SourceAway for what is none."""
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise SourceAway(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise SourceAway(f"{path}: not an object")
    return found
