"""Whether what a log tells of keys and of documents about them can be true (clause A-56): replayed through the table of a key's life.

Both kinds of events are telemetry of one process each, in its order, and a loss is recorded before what comes after it. So in one process,
and until something is known to be missing, each step of a key follows the one before; a document's version does not go down.
"""

from collections.abc import Mapping
from typing import Any, Final

from core.keys.states import State
from core.keys.table import ROWS
from core.reasons import Reason

BIRTHS: Final = frozenset(reason.name for reason in (Reason.KEY_GENERATED, Reason.KEY_IMPORTED, Reason.KEY_LISTED))
FIRST: Final = State.PRE_ACTIVE.name
GIVEN_UP: Final = (State.DEACTIVATED, State.COMPROMISED, State.DESTROYED)
KEY_STEPS: Final = frozenset(
    (state.name, (row.goes_to or state).name, row.reason.name) for row in ROWS for state in row.states if row.reason is not None
) | {(state.name, state.name, Reason.INVARIANT_BROKEN.name) for state in GIVEN_UP}  # the last resort, where nothing is left to give up
ROOT: Final = "root"


class Lives:
    """The keys and documents of a log as its events tell them; feed it every event of their kinds in order."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._keys: dict[tuple[str, str, str], tuple[int, str]] = {}  # (boot, kind, pseudonym) -> version, state
        self._accepted: dict[tuple[str, str], int] = {}  # (boot, role) -> version

    def forget(self) -> None:
        """Conclude nothing across what may be missing."""
        self._keys.clear()
        self._accepted.clear()

    def key(self, event: Mapping[str, Any]) -> str | None:
        """Return what contradicts the life of this key, or None."""
        name = event["boot_id"], event["key"]["kind"], event["key"]["pseudonym"]
        before, after, version = event["state"].get("from"), event["state"].get("to"), event["state"]["version"]
        reason, known = event["reason_code"], self._keys.get(name)
        self._keys[name] = version, str(after)
        if before is None or reason in BIRTHS:
            born = (before, after, version, reason in BIRTHS) == (None, FIRST, 0, True)
            return None if born else f"a key begins in {FIRST} with version 0, not in {after} with version {version} because of {reason}"
        if (before, after, reason) not in KEY_STEPS:
            return f"no row of the table of keys leads from {before} to {after} because of {reason}"
        if known is not None and known != (version - 1, before):
            return f"version {version} of the key leaves {before}, but it was in {known[1]} with version {known[0]}"
        return None

    def document(self, event: Mapping[str, Any]) -> str | None:
        """Return what contradicts the versions of this document, or None [K-29]."""
        if event["reason_code"] != Reason.DOCUMENT_ACCEPTED.name:
            return None
        boot, role, version = event["boot_id"], event["document"]["role"], event["document"]["version"]
        known = self._accepted.get((boot, role), 0)
        if version < max(known, 1):
            return f"{role} {version} was accepted after {known}" if known else f"{role} was accepted with version {version}"
        if role == ROOT and known and version > known + 1:
            return f"root {version} was accepted after {known}: versions go one by one"
        if role == ROOT and version > known:  # it may have given the other roles other keys, and so forgotten their versions
            self._accepted = {name: at for name, at in self._accepted.items() if name[0] != boot}
        self._accepted[boot, role] = version
        return None
