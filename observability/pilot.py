"""A pilot's manifest: what was promised before, as a TOML file, so that a report can say of each promise whether it was kept.

name = "trams, spring"
environment = "mobile"            # mobile, fintech, edge

[failure_model]                   # what the network was expected to do; told in the report, not judged
loss_percent = 3
jitter_ms = 40
churn_per_hour = 30

[criteria]                        # each may be left out, and is not judged then
recovery_window_ms = 3000         # no jump interrupts traffic for longer
recovery_p99_ms = 1500            # nor 99 % of them
switches_per_minute = 6           # of one session, within any 60 s
sessions_lost = 0                 # that ended with a failure
measured_percent = 100            # of the jumps, for which the log has the interruption
both_ends_percent = 100           # of the sessions, which a gateway's and a client's log tell
telemetry_lost = 0                # records
detections_from = "high"          # none from this level on
signed = "log"                    # all events, by the log's key; "witnesses": a quorum has cosigned
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ENVIRONMENTS: Final = ("mobile", "fintech", "edge")
LEVELS: Final = ("low", "medium", "high", "critical")
SIGNERS: Final = ("log", "witnesses")
NAME_MAX: Final = 100  # characters
MANIFEST_BYTES_MAX: Final = 65_536
NUMBER_MAX: Final = 10**9
FAILURE_MODEL: Final = {"loss_percent": "packets lost, %", "jitter_ms": "jitter, ms", "churn_per_hour": "changes of address an hour"}
NUMBERS: Final = (
    "recovery_window_ms", "recovery_p99_ms", "switches_per_minute", "sessions_lost", "measured_percent", "both_ends_percent",
    "telemetry_lost",
)  # fmt: skip
CHOICES: Final = {"detections_from": LEVELS, "signed": SIGNERS}


class ManifestMalformed(Exception):
    """A manifest that cannot be used; the message names the key. Its author's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a pilot has promised. ``criteria``: name to limit, a number or a word of `CHOICES`, in the order of the file."""

    name: str
    environment: str
    failure_model: dict[str, float]
    criteria: dict[str, float | str]


def load(path: Path) -> Manifest:
    """Return the manifest in a file. ManifestMalformed; OSError."""
    with path.open("rb") as file:
        raw = file.read(MANIFEST_BYTES_MAX + 1)
    if len(raw) > MANIFEST_BYTES_MAX:
        raise ManifestMalformed(f"more than {MANIFEST_BYTES_MAX} bytes")
    return parse(raw)


def parse(raw: bytes) -> Manifest:
    """Return the manifest in a file's bytes; ManifestMalformed."""
    try:
        told = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestMalformed(f"not TOML: {error}") from None
    _only(told, ("name", "environment", "failure_model", "criteria"), "")
    name = told.get("name", "")
    if not isinstance(name, str) or len(name) > NAME_MAX or not name.isprintable():
        raise ManifestMalformed(f"name: allowed are up to {NAME_MAX} printable characters")
    model, criteria = _table(told, "failure_model"), _table(told, "criteria")
    _only(model, tuple(FAILURE_MODEL), "failure_model.")
    _only(criteria, (*NUMBERS, *CHOICES), "criteria.")
    if not criteria:
        raise ManifestMalformed("criteria: there is none, so nothing could be judged")
    return Manifest(
        name=name,
        environment=_word(told.get("environment"), ENVIRONMENTS, "environment"),
        failure_model={key: _number(value, f"failure_model.{key}") for key, value in model.items()},
        criteria={
            key: _word(value, CHOICES[key], f"criteria.{key}") if key in CHOICES else _number(value, f"criteria.{key}")
            for key, value in criteria.items()
        },
    )


def _only(told: dict[str, Any], known: tuple[str, ...], at: str) -> None:
    for key in told:
        if key not in known:
            raise ManifestMalformed(f"{at}{key} is not known; allowed are {', '.join(known)}")


def _table(told: dict[str, Any], key: str) -> dict[str, Any]:
    found = told.get(key, {})
    if not isinstance(found, dict):
        raise ManifestMalformed(f"{key} is no table")
    return found


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= NUMBER_MAX:
        raise ManifestMalformed(f"{key}: found {value!r}, allowed is a number from 0 to {NUMBER_MAX}")
    if key.endswith("_percent") and value > 100:  # noqa: PLR2004 - that is what percent means
        raise ManifestMalformed(f"{key}: found {value!r}, allowed is a number from 0 to 100")
    return value


def _word(value: object, allowed: tuple[str, ...], key: str) -> str:
    if value not in allowed or not isinstance(value, str):
        raise ManifestMalformed(f"{key}: found {value!r}, allowed are {', '.join(allowed)}")
    return value
