"""The life of a key: every cell of its table, every claim and its contradiction, and what documents and clock make of it."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from core.errors import Invariant
from core.keys.states import Effect, Input, Kind, State
from core.keys.table import MACHINE, ROWS, TABLE, Facts, Row
from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.keys.documents import Revoked
from jvpn.keys.life import Key, Times, Validity
from tests.jvpn.keys.making import NOW, static

P, A, R, D, C, X = State
WAYS: Final[dict[State, tuple[Input, ...]]] = {
    P: (),
    A: (Input.VALID_FROM,),
    R: (Input.VALID_FROM, Input.SUCCEEDED),
    D: (Input.WITHDRAWN,),
    C: (Input.REVOKED,),
    X: (Input.DESTROY_ORDERED,),
}
LOST, GONE = Revoked("device", NOW - 1, "lost"), Revoked("device", NOW - 1, "retired")


class Held:
    """A key and what it recorded."""

    def __init__(self, state: State = P) -> None:
        self.told: list[Fact] = []
        self.key = Key(Kind.DEVICE, static("a"), lambda: len(self.told) + 1, self.told.append, held=True)
        for heard in WAYS[state]:
            assert self.key.hear(heard, Instant(0))
        assert self.key.state is state
        self.told.clear()


@pytest.mark.parametrize(("state", "heard"), TABLE, ids=lambda each: each.name)
def test_a_filled_cell_does_what_it_says(state: State, heard: Input) -> None:
    """[K-60] to [K-67] A key goes elsewhere than the table says, or its change leaves no record."""
    held, row = Held(state), TABLE[state, heard]
    before = held.key.facts()
    assert held.key.hear(heard, Instant(5))
    assert held.key.facts() == MACHINE.apply(before, row)
    (fact,) = held.told
    assert (fact.event, fact.reason, fact.state_from, fact.state_to) == (Event.KEY_CHANGED, row.reason, state, held.key.state)
    assert (fact.state_version, fact.device, fact.carrier_to) == (held.key.version, static("a"), Kind.DEVICE)
    assert (fact.at, fact.serial) == (Instant(5), 1)


@pytest.mark.parametrize("state", State)
def test_an_empty_cell_changes_nothing(state: State) -> None:
    """A destroyed or compromised key comes back by an input that its state does not hear."""
    held = Held(state)
    before = held.key.facts()
    for heard in (heard for heard in Input if (state, heard) not in TABLE):
        assert not held.key.hear(heard, Instant(1))
    assert held.key.facts() == before
    assert held.told == []


SOUND: Final = {state: Held(state).key.facts() for state in State}


@pytest.mark.parametrize(
    ("claim", "of", "change"),
    [
        ("KI-1", D, {"accepted": True}),
        ("KI-1", R, {"accepted": False}),
        ("KI-1", C, {"accepted": True}),
        ("KI-2", R, {"offered": True}),
        ("KI-2", A, {"offered": False}),
        ("KI-3", X, {"held": True}),
    ],
)
def test_a_contradiction_is_named(claim: str, of: State, change: dict[str, Any]) -> None:
    """A key that was given up would still be accepted, and no claim would say so."""
    facts = SOUND[of]._replace(**change)
    assert [(each.__doc__ or "")[:4] for each in MACHINE.always if not each(facts)] == [claim]
    with pytest.raises(Invariant, match=claim):
        MACHINE.check(facts._replace(version=facts.version - 1), facts)


@pytest.mark.parametrize(("before", "after"), [(C, A), (D, A), (X, D), (R, A)])
def test_nothing_leads_back(before: State, after: State) -> None:
    """KI-4: A revoked key is in use again."""
    was, now = SOUND[before], SOUND[after]
    with pytest.raises(Invariant, match="KI-4"):
        MACHINE.check(was, now._replace(version=was.version + 1))
    with pytest.raises(Invariant, match="KI-4"):
        MACHINE.check(was, was)


def test_every_claim_holds_in_every_state() -> None:
    """Healthy keys would be given up."""
    for facts in SOUND.values():
        assert all(claim(facts) for claim in MACHINE.always)


@pytest.mark.parametrize("state", [P, A, R])
def test_a_broken_claim_gives_the_key_up(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-67] A key whose state and use contradict each other stays in use."""
    held = Held(state)
    real = Key.take

    def taking(key: Key, row: Row, now: Instant, _offer: None = None) -> None:
        real(key, row, now)
        if row.heard is not Input.INVARIANT_BROKEN:
            key.accepted = not key.accepted

    monkeypatch.setattr(Key, "take", taking)
    assert not held.key.hear(Input.EXPORTED, Instant(1))
    assert (held.key.state, held.key.accepted, held.key.offered) == (D, False, False)
    assert held.told[-1].reason is Reason.INVARIANT_BROKEN


def test_the_last_resort_gives_the_key_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-67] When even giving up breaks a claim, the key stays in use."""
    held = Held(A)

    def taking(key: Key, row: Row, now: Instant, _offer: None = None) -> None:
        raise Invariant(row.clause)

    monkeypatch.setattr(Key, "take", taking)
    assert not held.key.hear(Input.WITHDRAWN, Instant(1))
    assert (held.key.state, held.key.accepted, held.key.version) == (D, False, 2)
    (fact,) = held.told
    assert (fact.reason, fact.at, fact.state_from, fact.state_to) == (Reason.INVARIANT_BROKEN, Instant(1), A, D)


@pytest.mark.parametrize(("state", "ends"), [(P, D), (A, D), (R, D), (D, None), (C, None), (X, None)])
def test_what_is_given_up_goes_forward_and_is_told_once(state: State, ends: State | None) -> None:
    """[K-67] KI-4: A key that waits for its time would survive the last resort, or one that is destroyed come back as merely given up."""
    held = Held(state)
    held.key.abandon(Instant(9))
    held.key.abandon(Instant(9))
    assert held.key.state is (ends or state)
    assert [(fact.state_from, fact.state_to, fact.at) for fact in held.told] == ([(state, ends, Instant(9))] if ends else [])


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (Validity(), [A]),
        (Validity(not_before=NOW), [A]),
        (Validity(not_before=NOW + 1), []),
        (Validity(not_after=NOW + 1), [A]),
        (Validity(not_after=NOW), [D]),
        (Validity(succeeded=True), [A, R]),
        (Validity(listed=False), [D]),
        (Validity(revoked=GONE), [D]),
        (Validity(revoked=LOST), [C]),
        (Validity(listed=False, not_after=NOW, revoked=LOST), [C]),
        (Validity(not_after=NOW, succeeded=True), [D]),
    ],
)
def test_documents_and_clock_are_heard_in_order(found: Validity, path: list[State]) -> None:
    """[K-32] A revoked key that is also over counts as merely over, or a key is used before its time."""
    held = Held()
    held.key.judge(found, NOW, Instant(1))
    assert [State(fact.state_to) for fact in held.told] == path
    assert {fact.at for fact in held.told} <= {Instant(1)}
    held.key.judge(found, NOW, Instant(2))
    assert len(held.told) == len(path)


def test_births_are_recorded_once_and_lead_the_chain() -> None:
    """A key is there and nobody recorded where it came from; or its changes do not name what they follow from."""
    held = Held()
    held.key.born(Reason.KEY_LISTED, Instant(1))
    held.key.judge(Validity(), NOW, Instant(2))
    first, second = held.told
    assert (first.reason, first.state_from, first.state_to, first.at, first.caused_by) == (Reason.KEY_LISTED, 0, P, Instant(1), 0)
    assert second.caused_by == first.serial != 0


def test_rows_and_effects_are_all_used() -> None:
    """A row would be dead, or an effect be named that nothing has."""
    assert {effect for row in ROWS for effect in row.effects} == set(Effect)
    assert {row.heard for row in ROWS} == set(Input)
    check: Callable[[Facts], bool] = MACHINE.always[0]
    assert check(SOUND[A])


@pytest.mark.parametrize(
    ("times", "holds"),
    [
        (Times(), True),
        (Times(NOW), True),
        (Times(NOW + 1), False),
        (Times(0, NOW + 1), True),
        (Times(0, NOW), False),
    ],
)
def test_a_time_has_its_first_second_and_not_its_last(times: Times, holds: bool) -> None:
    """[K-41] A device would come in a second before its time or after it."""
    assert times.hold(NOW) is holds
