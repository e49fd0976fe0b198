"""Which bounds are searched to the last world: in the tests `MODELS`, by `make proofs` `LARGER` too. And which rows are followed."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lab.coupled import device, process
from lab.coupled.world import Bounds

ONE: Final = Bounds(gateways=1)
QUIET: Final = Bounds(attacker=0)  # nothing comes from another address than its own
MODELS: Final = (
    QUIET._replace(moves=2, says=1),
    QUIET._replace(moves=1, timers=2),
    QUIET._replace(moves=2, quality=1, asks=1),
    QUIET._replace(moves=1, clocks=1, faults=1),
    QUIET._replace(attempts=1, clocks=1, timers=1, crashes=1, asks=1),
    Bounds(asks=1),
    ONE._replace(clocks=2, faults=1),
    ONE._replace(born=0, moves=0, clocks=1, timers=1, orders=1),
    ONE._replace(born=0, clocks=1, orders=1, unordered=1),
    ONE._replace(born=0, hands=2, live=1, attempts=1, clocks=1, timers=2),
    ONE._replace(born=0, moves=0, timers=1, closes=1),
    ONE._replace(hands=2, timers=2, attacker=0),
    ONE._replace(others=2, timers=1, closes=1),
    ONE._replace(quality=2, clocks=1, faults=1, says=1),
    ONE._replace(quality=1, clocks=2, orders=1, closes=1, moves=0),
    ONE._replace(hands=3, live=2, attempts=1, client_crashes=1, faults=1, attacker=0),
    ONE._replace(hands=2, live=1, moves=0, clocks=1, timers=3, attacker=0),
    ONE._replace(hands=2, live=1, attempts=1, client_crashes=1, clocks=2, moves=0, attacker=0),
)
"""Small enough to be searched to the end in half a minute together."""
LARGER: Final = (
    QUIET._replace(moves=1, timers=2, clocks=1, worlds=2_000_000),
    QUIET._replace(born=0, moves=0, attempts=1, timers=1, clocks=1, faults=1, crashes=1, worlds=2_000_000),
    QUIET._replace(gateways=3, moves=2, asks=1, worlds=2_000_000),
    ONE._replace(attacker=0, timers=2, clocks=2, faults=1, quality=1, orders=1, worlds=2_000_000),
    ONE._replace(attacker=0, hands=3, timers=2, clocks=1, client_crashes=1, worlds=2_000_000),
)
"""Some minutes each at most."""

FENCED: Final = (
    "who lost to another is fenced, and who lost to a late write of its own has read its row since: a store that performs in order tells it"
)
HOLDS: Final = "a claim of the tables would have to be broken first, and none is"
NEVER: Final[Mapping[tuple[str, str, str], str]] = MappingProxyType({
    **{("gateway", state, "INVARIANT_BROKEN"): HOLDS for state in ("PENDING", "ATTACHED", "VOLATILE", "RECOVERING", "DEGRADED")},
    **{("client", state, "INVARIANT_BROKEN"): HOLDS for state in ("CONNECTING", "ATTACHED", "SEEKING")},
    **{("gateway", state, "COMMIT_LOST"): FENCED for state in ("ATTACHED", "VOLATILE", "DEGRADED")},
    **{("gateway", state, "SUPERSEDED"): "a birth ends only what is not bound [H-50]" for state in ("ATTACHED", "VOLATILE")},
    ("gateway", "PENDING", "PEER_CLOSED"): "what comes under a handshake's keys is held until the store has answered [R-20]",
})  # fmt: skip
"""Cells of the shipped tables that no search here follows, each with the reason."""


def unfollowed(took: Counter[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Return the cells of both shipped tables that no search has followed."""
    tables = (("gateway", process.SHIPPED), ("client", device.SHIPPED))
    return {(side, state.name, heard.name) for side, machine in tables for state, heard in machine.cells} - took.keys()
