"""Claims about a session's facts: each holds where it should and is seen to fail on a contradiction."""

from typing import Final

import pytest

from core.errors import Invariant
from core.reasons import Event, Reason
from core.session.desk import Policy
from core.session.session import Session
from core.session.states import Effect, State
from core.session.table import CHANGES, MACHINE, ROWS, Facts
from core.values import CloseSession
from lab.sim.ways import attached
from lab.sim.world import World

P, A, V, R, D, T = State
PLAIN: Final = Facts(A, 3, bound=False, candidate=False, commit=False, suspended=False, recovery=False, volatile=False, chain=True)
SOUND: Final = {
    "pending": PLAIN._replace(state=P, candidate=True),
    "birth asked": PLAIN._replace(state=P, candidate=True, commit=True),
    "attached": PLAIN._replace(bound=True),
    "with candidate": PLAIN._replace(bound=True, candidate=True),
    "move asked": PLAIN._replace(bound=True, candidate=True, commit=True),
    "volatile": PLAIN._replace(state=V, bound=True, volatile=True),
    "recovering": PLAIN._replace(state=R, recovery=True),
    "degraded": PLAIN._replace(state=D, bound=True),
    "unbound": PLAIN._replace(state=D),
    "suspended": PLAIN._replace(state=D, suspended=True),
    "terminated": PLAIN._replace(state=T, chain=False),
}
# fmt: off
CONTRADICTIONS: Final = (
    ("GI-1", "attached",   {"bound": False}),
    ("GI-1", "volatile",   {"bound": False}),
    ("GI-1", "recovering", {"bound": True}),
    ("GI-1", "pending",    {"bound": True}),
    ("GI-1", "terminated", {"bound": True}),
    ("GI-2", "terminated", {"chain": True}),
    ("GI-2", "pending",    {"chain": False}),
    ("GI-2", "suspended",  {"chain": False}),
    ("GI-3", "attached",   {"commit": True}),
    ("GI-3", "pending",    {"candidate": False}),
    ("GI-4", "attached",   {"recovery": True}),
    ("GI-4", "recovering", {"recovery": False}),
    ("GI-4", "volatile",   {"volatile": False}),
    ("GI-4", "degraded",   {"volatile": True}),
    ("GI-5", "suspended",  {"bound": True}),
    ("GI-5", "suspended",  {"candidate": True}),
    ("GI-5", "attached",   {"suspended": True}),
)
# fmt: on


def broken(facts: Facts) -> list[str]:
    """Return the numbers of the claims that these facts break."""
    return [(claim.__doc__ or "")[:4] for claim in MACHINE.always if not claim(facts)]


@pytest.mark.parametrize("facts", SOUND.values(), ids=SOUND)
def test_a_sound_session_breaks_no_claim(facts: Facts) -> None:
    """Healthy sessions would be terminated."""
    assert not broken(facts)
    MACHINE.check(facts._replace(version=2, state=P if facts.state is T else facts.state), facts)


@pytest.mark.parametrize(("claim", "of", "change"), CONTRADICTIONS)
def test_a_contradiction_is_named(claim: str, of: str, change: dict[str, bool]) -> None:
    """A session with keys that it should not have, or without a deadline that ends it, would go on."""
    facts = SOUND[of]._replace(**change)  # type: ignore[arg-type]  # the changes are of boolean facts
    assert broken(facts) == [claim]
    with pytest.raises(Invariant, match=claim):
        MACHINE.check(SOUND[of]._replace(version=2), facts)


def test_every_claim_has_its_contradiction() -> None:
    """A claim could be one that nothing can break."""
    assert {claim for claim, _, _ in CONTRADICTIONS} == {(claim.__doc__ or "")[:4] for claim in MACHINE.always}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SOUND["terminated"], SOUND["attached"]._replace(version=4)),
        (SOUND["attached"], SOUND["attached"]),
        (SOUND["attached"], SOUND["attached"]._replace(version=5)),
    ],
    ids=["back from the dead", "no step", "two steps"],
)
def test_steps_that_no_session_makes(before: Facts, after: Facts) -> None:
    """A terminated session would come back, or a transition would go uncounted."""
    with pytest.raises(Invariant, match="GI-6"):
        MACHINE.check(before, after)


@pytest.mark.parametrize("effect", CHANGES, ids=lambda effect: effect.name)
def test_an_effect_changes_only_its_facts(effect: Effect) -> None:
    """A row would do something that its effects do not say."""
    row = ROWS[0]._replace(effects=(effect,), goes_to=None)
    after = MACHINE.apply(PLAIN, row)
    assert after == PLAIN._replace(version=4, **CHANGES[effect])  # type: ignore[arg-type]  # facts by name, each of its own type


def forget_the_keys(patch: pytest.MonkeyPatch) -> None:
    """Leave the epoch when the path is given up."""
    patch.setattr(Session, "_unbind", lambda _self, _now: None)


def test_a_session_whose_effects_fail_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose keys and table disagree would go on as if nothing were."""
    world = attached()
    world.broken = True
    world.run(10)
    forget_the_keys(monkeypatch)
    world.run(16_000)  # PATH_SILENT: the table says unbound, the keys are still there
    assert not world.desk.sessions or world.session.state is T
    assert world.reasons(Event.SESSION_ENDED) == [Reason.INVARIANT_BROKEN]


def test_the_end_of_a_broken_session_is_recorded_without_a_store_too() -> None:
    """A fault of the program would leave no trace where the store is away as well."""
    world = World(policy=Policy(lifetime_s=60)).connected()
    world.broken = world.host.off = world.store.failing = True
    world.session.suspended = True
    world.run(80_000)
    assert world.ends() == [Reason.INVARIANT_BROKEN]


def test_a_session_that_cannot_even_end_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the ending itself would leave a session alive or raise into the driver's loop."""
    world = attached()
    world.broken = True
    session = world.session
    monkeypatch.setattr(Session, "_say_close", lambda _self, _reason: setattr(_self, "suspended", True))
    monkeypatch.setattr(Session, "_wipe", lambda _self, _now: None)
    world.gateway_does(lambda: world.gateway.command(CloseSession(session.handle), world.now))
    assert session.state is T
