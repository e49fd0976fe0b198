"""Whether the events of a log fit the tables (clause A-55; what they tell of keys, A-56, is judged in `lives`).

Judged is only what follows from the events that are there: telemetry may be lost, and it may stand before evidence that is older, because
evidence comes through the store. So a break is reported only where no lost or late event could explain it.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from audit.chain import genesis
from audit.lives import Lives
from core.client.table import ROWS as CLIENT_ROWS
from core.reasons import CAUSE_REASON
from core.session.states import State as SessionState
from core.session.table import ROWS as SESSION_ROWS

VERSIONS_REMEMBERED: Final = 32  # of each session: more than can be between an event and one that overtook it
COMMITS: Final = frozenset(("SESSION_BORN", "SESSION_MOVED"))
ENDS: Final = "SESSION_ENDED"
TRANSITIONS: Final = COMMITS | {ENDS, "SESSION_CHANGED", "CLIENT_ATTACHED", "CLIENT_MOVED", "CLIENT_CHANGED", "CLIENT_ENDED"}
FORGET: Final = frozenset(("LOG_OPENED", "LOG_RESUMED", "TELEMETRY_LOST", "RECORD_REFUSED"))
ENTRIES: Final = {
    "HANDSHAKE_PROVEN": SessionState.PENDING.name,
    "TAKEN_OVER": SessionState.RECOVERING.name,
}  # where one begins
ENDED_WITHOUT_BINDING: Final = -1
OF_KEYS: Final[Mapping[str, Callable[[Lives, Mapping[str, Any]], str | None]]] = MappingProxyType(
    {"KEY_CHANGED": Lives.key, "DOCUMENT_JUDGED": Lives.document}
)

JUDGED: Final = FORGET | TRANSITIONS | OF_KEYS.keys()


def allowed(rows: Iterable[Any]) -> frozenset[tuple[str, str, str]]:
    """Return (from, to, reason) of every transition of a table."""
    return frozenset(
        (state.name, (row.goes_to or state).name, reason.name)
        for row in rows
        for state in row.states
        for reason in ((row.reason,) if row.reason is not None else CAUSE_REASON.values())
    )


class Machines:
    """The sessions of a log as its events tell them; feed it every event in order."""

    def __init__(self) -> None:
        """Know nothing yet."""
        entries = frozenset((state, state, reason) for reason, state in ENTRIES.items())
        self._allowed: Mapping[str, frozenset[tuple[str, str, str]]] = {
            "gateway": allowed(SESSION_ROWS) | entries,
            "client": allowed(CLIENT_ROWS),
        }
        self._bindings: dict[str, int] = {}  # session -> version of its last committed binding
        self._versions: dict[tuple[str, str], dict[int, list[str] | None]] = {}  # (boot, session) -> state version -> states gone to
        self._lives = Lives()
        self._ours = False
        self.tables_differ = False

    def judge(self, event: Mapping[str, Any]) -> str | None:
        """Return what contradicts the machine, or None; of an event that is none of `JUDGED` there is nothing to say."""
        kind = event["event_type"]
        if kind in FORGET:
            self._versions.clear()
            self._lives.forget()
            if "genesis" in event:
                self._ours = event["genesis"] == genesis()
                self.tables_differ |= not self._ours
            return None
        if kind in OF_KEYS:
            return OF_KEYS[kind](self._lives, event) if self._ours else None
        if kind not in TRANSITIONS:
            return None
        found = self._transition(event) if self._ours and "state" in event else None
        return found or (self._binding(event) if event["event_class"] == "evidence" else None)

    def _transition(self, event: Mapping[str, Any]) -> str | None:
        state, reason = event["state"], event["reason_code"]
        before, after = state.get("from"), state.get("to")
        if before is None or after is None:
            return None
        if (before, after, reason) not in self._allowed[event["role"]]:
            return f"no row of the table leads from {before} to {after} because of {reason}"
        if event["role"] == "gateway":
            return self._follows(event, before, after, state["version"])
        return None

    def _follows(self, event: Mapping[str, Any], before: str, after: str, version: int) -> str | None:
        """Compare with the session's transitions just before and just after this one, where they are known.

        None in place of the states means that a commit was made under this version: the store may have made it while the process went
        another way, so nothing follows for the next version.
        """
        session = event["boot_id"], event["session"]["pseudonym"]
        known = self._versions.setdefault(session, {})
        if event["reason_code"] in ENTRIES:
            known.clear()
        reached = known.get(version - 1)
        if reached and before not in reached:
            return f"state version {version} leaves {before}, but version {version - 1} went to {' or '.join(reached)}"
        if event["event_type"] in COMMITS:
            known[version] = None
        elif version not in known:
            known[version] = [after]
        elif (states := known[version]) is not None:
            states.append(after)
        if len(known) > VERSIONS_REMEMBERED:
            del known[min(known)]
        if after == SessionState.TERMINATED.name:
            del self._versions[session]
        return None

    def _binding(self, event: Mapping[str, Any]) -> str | None:
        """Check that evidence of one session goes on: born once, each binding newer than the one before, nothing after the end."""
        session, kind = event["session"]["pseudonym"], event["event_type"]
        known = self._bindings.get(session)
        if kind == ENDS:
            self._bindings[session] = ENDED_WITHOUT_BINDING
            return None
        version = event["binding"]["version"]
        if known == ENDED_WITHOUT_BINDING:
            return f"session {session} has ended before"
        if known is not None and (kind == "SESSION_BORN" or version <= known):
            return f"session {session} has binding {known} already"
        self._bindings[session] = version
        return None
