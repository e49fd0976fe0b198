"""Every fact that a playbook's engines emit comes by here: it has to make a valid event, and its pair is remembered."""

from typing import Any, Final

from audit.chain import Head, genesis
from audit.event import Builder
from audit.machine import Machines
from audit.pseudonym import names_of
from audit.record import Stamped
from audit.schema import check
from core.reasons import Event, Reason
from core.values import Fact

EMITTED: Final[set[tuple[Event, Reason]]] = set()
BOOT: Final = b"one boot"
BEFORE: Final = Head("0f" * 16, 6, "ab" * 32)
BUILDERS: Final = {role: Builder(b"a node's", BOOT, role, names_of(bytes(32))) for role in ("gateway", "client")}


def event_of(fact: Fact, role: str) -> dict[str, Any]:
    """Return the event of a fact."""
    return BUILDERS[role].of_record(Stamped(fact, 1_795_000_000_000_000_000, BOOT), BEFORE)


def recorded(fact: Fact, role: str) -> None:
    """Remember the pair of a fact; fail when it is not registered, lacks what its event requires, or says more than its event may."""
    check(event_of(fact, role))
    EMITTED.add((fact.event, fact.reason))


def contradictions(facts: list[Fact], role: str) -> list[str]:
    """Return where facts, in the order of their making, contradict the machine's table, by the judgement of the log's verifier."""
    machines = Machines()
    machines.judge({"event_type": "LOG_OPENED", "genesis": genesis()})
    found = (machines.judge(event_of(fact, role)) for fact in facts)
    return [why for why in found if why]
