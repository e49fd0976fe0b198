"""What an idle session costs in memory: a process of its own holds many and says by how much it grew.

    python -m lab.bench.memory SESSIONS      prints one line of JSON

The devices exist before the first reading, as an allow list does; what their side holds is dropped session by session. Each session is
put to rest before the next one is born, as time does it: else the ciphers of all would be there at once, and what they took would stay.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from core import limits
from core.session.session import Session
from core.values import Instant
from lab.bench.fleet import Fleet, Unexpected

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
REST_NS: Final = limits.HEALTH_NS + limits.SECOND  # before a silent path is given up
SHARED: Final = (type, ModuleType, FunctionType, Enum, bool)


def measured(sessions: int) -> dict[str, Any]:
    """Return the growth of a child process for each of so many idle sessions, in bytes, and what each session's objects measure."""
    done = subprocess.run([sys.executable, "-m", __name__, str(sessions)], capture_output=True, text=True, check=True, timeout=3_600)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def hold(sessions: int) -> dict[str, Any]:
    """Hold so many sessions in this process; return what they cost."""
    fleet = Fleet(sessions + 1)
    fleet.born(sessions)  # what the first one makes is not made again
    before = resident()
    for number in range(sessions):
        fleet.born(number)
        rest(newest(fleet))
    grown = resident() - before
    fleet.now = Instant(fleet.now + REST_NS)
    fleet.gateway.tick(fleet.now)  # a sample of health, at which time itself puts them to rest
    if fleet.attached() != sessions + 1:
        raise Unexpected("a session is not ATTACHED")
    return {
        "sessions": sessions, "bytes_at_rest": grown / sessions,
        "objects": objects(newest(fleet), shared(fleet)), "tables": tables(fleet),
    }  # fmt: skip


def newest(fleet: Fleet) -> Session:
    """Return the session born last."""
    return next(reversed(fleet.desk.sessions.values()))


def rest(session: Session) -> None:
    """Let a session carry nothing for a while."""
    if session.active is None:
        raise Unexpected("a session is not bound")
    session.active.rest()


def resident() -> int:
    """Return the resident bytes of this process, with what can be collected collected."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def shared(fleet: Fleet) -> list[object]:
    """Return what is not a session's own: the desk and what it holds, another session's row and states."""
    other = next(iter(fleet.desk.sessions.values()))
    statics = [held for static in fleet.desk.statics for held in (static, static.public)]
    return [fleet.desk, fleet.desk.identity, *statics, *vars(type(other)).values(), *fleet.devices.values(), fleet.gateway]


def tables(fleet: Fleet) -> dict[str, int]:
    """Return what each of the gateway's tables takes for one session, in bytes: its storage, and tuples and keys that it alone holds."""
    desk, gateway = fleet.desk, fleet.gateway
    front = gateway._front  # noqa: SLF001 - its memory is what is asked for
    each = {
        "sessions": desk.sessions, "sessions of a device": desk.by_device, "indices": desk.indices, "inner addresses": desk.routes,
        "clocks": gateway._heap, "accepted INITs": front._accepted, "births of a minute": front.counts._births,  # noqa: SLF001 - as above
    }  # fmt: skip
    return {name: round(_size(table) / len(desk.sessions)) for name, table in each.items()}


def _size(table: Any) -> int:  # noqa: ANN401 - a dictionary or a list
    values = table.values() if isinstance(table, dict) else table
    keys = sum(map(sys.getsizeof, table)) if all(isinstance(value, int) for value in values) else 0  # of INITs: nobody else holds them
    return sys.getsizeof(table) + keys + sum(sys.getsizeof(value) for value in values if isinstance(value, tuple | int))


def objects(session: Session, apart: Iterable[object]) -> dict[str, int]:
    """Return the bytes of the objects that only this session holds, by type, as Python counts them."""
    seen = {id(each) for one in apart for each in (one, *gc.get_referents(one))}
    sizes: dict[str, int] = {}
    todo: list[object] = [session]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, SHARED):
            continue
        seen.add(id(each))
        sizes[type(each).__name__] = sizes.get(type(each).__name__, 0) + sys.getsizeof(each)
        todo += gc.get_referents(each)
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    print(json.dumps(hold(int(sys.argv[1]))))
