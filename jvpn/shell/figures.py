"""What a gateway counts, for who watches many: numbers by names of the registry and of the machines, and nobody's name [O-29].

Times are seconds since 1970. What the configuration does not have (documents, a reload that was not asked for) is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.files import CHECKPOINT
from audit.record import RECORD_BYTES
from core.reasons import Carrier
from core.session.desk import Desk
from core.session.states import State
from jvpn.shell.audit_link import PIPE_BYTES
from jvpn.shell.control import FIGURES
from jvpn.shell.driver import Driver
from jvpn.shell.stores.base import SECOND_NS, Health
from jvpn.shell.transports.base import Transport

Named = Mapping[str, int]


def answer(request: Mapping[str, Any], told: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Answer the one order that the socket of figures knows [O-29]."""
    return told() if request == FIGURES else {"error": "unknown order; known is figures"}


def sessions(desk: Desk) -> dict[str, Named]:
    """Return how many sessions are in which state, and how many are bound to which carrier."""
    paths = [each.active.path for each in desk.sessions.values() if each.active]
    return {
        "state": Counter(State(each.state).name for each in desk.sessions.values()),
        "carrier": Counter(Carrier(path.carrier).name for path in paths),
    }


def events(*counted: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return what happened since the start, by event and reason, a summary with all that it sums [O-28]."""
    told: dict[str, dict[str, int]] = {}
    for (event, reason), times in sum(counted, Counter[tuple[str, str]]()).items():
        told.setdefault(event, {})[reason] = times
    return told


def frames(transports: Iterable[Transport]) -> dict[str, Named]:
    """Return the counters of carriers: each what all of its addresses did, by what and carrier."""
    told: dict[str, Counter[str]] = {}
    for each in transports:
        for name in each.counters.__slots__:
            told.setdefault(name, Counter())[Carrier(each.carrier).name] += getattr(each.counters, name)
    return dict(told)


def inner(driver: Driver) -> dict[str, Named]:
    """Return the inner traffic: packets and bytes by direction, seen from the network behind the gateway, and packets for nobody."""
    counted = driver.counters
    packets = {"in": counted["inner_in"], "out": counted["inner_out"]}
    return {"packets": packets, "bytes": dict(driver.inner_bytes), "unrouted": {"in": counted["inner_unrouted"]}}


def store(health: Health) -> dict[str, int | bool]:
    """Return whether what is decided is kept, and what waits."""
    told: dict[str, int | bool] = {
        "well": health.failing_since is None,
        "failed": health.operations_failed,
        "waiting": health.operations_waiting,
        "evidence": health.evidence_waiting,
    }
    return told if health.failing_since is None else told | {"failing_since": health.failing_since // SECOND_NS}


def audit(link: Mapping[str, Any], directory: Path, wall_ns: int) -> dict[str, object]:
    """Return the counters of the way to the audit writer, how full it is, and how old the newest checkpoint is, in seconds."""
    told = dict(link) | {"writer": link["writer"] == "running", "fill": min(1.0, link["waiting"] * RECORD_BYTES / PIPE_BYTES)}
    with suppress(OSError):  # the log is not signed yet, or its directory is away
        told["checkpoint_age"] = max(0.0, wall_ns / SECOND_NS - (directory / CHECKPOINT).stat().st_mtime)
    return told


def reload(last: Mapping[str, str | None] | None) -> dict[str, int | bool]:
    """Return how the last reload ended, and when; that there was none is no failure."""
    if last is None:
        return {"well": True}
    return {"well": last["outcome"] == "done", "at": int(datetime.fromisoformat(last["at"] or "").timestamp())}


def states(own: Mapping[bytes, str], devices: Named, missing: Sequence[bytes | None]) -> dict[str, object]:
    """Return how many keys of gateway and devices are in which state, and whether an offered one is not loaded."""
    return {"gateway": Counter(own.values()), "devices": devices, "offered_not_loaded": any(missing)}
