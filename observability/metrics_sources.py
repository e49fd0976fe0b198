"""What shipper, published tree and witness say to the metrics: two by their files, the witness in its own process."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from audit.errors import AuditError
from audit.files import CHECKPOINT, read_small
from audit.tlog.checkpoint import read_signed
from audit.tlog.note import cosigners
from audit.tlog.policy import POLICY_BYTES_MAX, parse
from audit.tlog.witness import States
from observability.breaker import Circuit
from observability.cursor import COMPARED
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
    settled = _if_there(state / "cursor.json").get("counters", {})
    remembered = {name: settled.get(name, 0) for name in sets()["result"]}
    circuit = status.get("circuit")
    return status | {
        "told_at": told_at,
        "settled": remembered,
        "repeated": settled.get("retried", 0),
        "open": circuit != CLOSED,
        "compared": _if_there(state / COMPARED),
    }


def tree(published: Path, policy_file: Path) -> dict[str, Any]:
    """Return how much of a log is published, and who of a policy's witnesses cosigned that, judged by their keys.

    Raises:
        SourceAway: the policy or the checkpoint cannot be read, or a cosignature of a known witness is wrong.
    """
    try:
        policy = parse(read_small(policy_file, POLICY_BYTES_MAX + 1))
        signed = read_signed(published / CHECKPOINT)
        if signed is None:
            raise SourceAway(f"{published}: nothing is published there")
        cosigned = {each.witness: each.time_s for each in cosigners(signed.note, policy.witnesses.values())}
    except (AuditError, OSError) as error:
        raise SourceAway(str(error)) from error
    earliest = min(cosigned.values(), default=None)
    return {"size": signed.says.size, "witnesses": len(cosigned), "quorum": policy.fewest, "cosigned_at": earliest}


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


def _if_there(path: Path) -> dict[str, Any]:
    """Return the object in a file, an empty one where there is no file. SourceAway."""
    try:
        return _json(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SourceAway(f"{error.filename}: {error.strerror}") from error


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
