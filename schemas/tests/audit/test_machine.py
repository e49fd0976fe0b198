"""Which histories the tables allow, and that lost or late records are not taken for impossible ones."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import genesis
from audit.machine import VERSIONS_REMEMBERED, Machines, allowed
from audit.record import Stamped
from audit.vocabulary import vocabulary
from core.client.table import ROWS as CLIENT_ROWS
from core.reasons import Event, Reason
from core.session.states import State
from core.session.table import ROWS
from core.values import Fact
from tests.audit.made import BEFORE, BOOT, WALL, A, P, R, T, V, builder, step, story

GENESIS: dict[str, Any] = {"event_type": "LOG_OPENED", "genesis": genesis()}
LOST: dict[str, Any] = {"event_type": "TELEMETRY_LOST"}
CHANGED, MOVED, ENDED = Event.SESSION_CHANGED, Event.SESSION_MOVED, Event.SESSION_ENDED


def judged(*facts: Fact | dict[str, Any], boot: bytes = BOOT, role: str = "gateway") -> list[str | None]:
    """What the machines say to each of these, after a genesis of our own tables."""
    machines = Machines()
    machines.judge(GENESIS)
    build = builder(role).of_record
    return [machines.judge(fact if isinstance(fact, dict) else build(Stamped(fact, WALL, boot), BEFORE)) for fact in facts]


def of(handle: int, *facts: Fact) -> list[Fact]:
    """Facts of one session."""
    return [fact._replace(handle=handle, serial=number) for number, fact in enumerate(facts)]


@pytest.mark.parametrize(("rows", "role"), [(ROWS, "gateway"), (CLIENT_ROWS, "client")], ids=["session", "client"])
def test_every_row_of_a_table_is_allowed(rows: tuple[Any, ...], role: str) -> None:
    """A-55: what the machine does by its table would be called impossible."""
    for row in rows:
        for state in row.states:
            reason = row.reason or Reason.MOVED_BETTER
            assert (state.name, (row.goes_to or state).name, reason.name) in allowed(rows)
            if reason.name in vocabulary().kinds[row.event.name].reasons:
                fact = step(row.event, reason, 3, (state, row.goes_to or state), handle=5, binding_version=4)
                assert judged(fact, role=role) == [None], row.clause


@given(st.sampled_from(list(State)), st.sampled_from(list(State)), st.sampled_from(sorted(vocabulary().kinds["SESSION_CHANGED"].reasons)))
def test_what_no_row_of_the_table_does_is_a_contradiction(before: State, after: State, reason: str) -> None:
    """A-55: a forged or mistaken transition would pass."""
    found = any(before in row.states and (row.goes_to or before) is after and row.reason is Reason[reason] for row in ROWS)
    entry = (before, after, reason) in {(P, P, "HANDSHAKE_PROVEN"), (R, R, "TAKEN_OVER")}
    (verdict,) = judged(step(CHANGED, Reason[reason], 3, (before, after), handle=5))
    assert (verdict is None) == (found or entry)


def test_a_session_goes_on_where_it_was() -> None:
    """A-55: a history with a piece exchanged would pass when each piece is possible."""
    good = story(1)
    assert judged(*good) == [None] * len(good)
    jump = step(CHANGED, Reason.RECOVERY_OVER, 4, (R, State.DEGRADED), handle=1)
    verdicts = judged(*good[:4], jump)
    assert verdicts[:4] == [None] * 4
    assert verdicts[4] == "state version 4 leaves RECOVERING, but version 3 went to VOLATILE"


@pytest.mark.parametrize("change", [{"handle": 2}, {"state_version": 5}])
def test_only_neighbours_of_one_session_are_compared(change: dict[str, int]) -> None:
    """A-55: lost telemetry, or another session, would be taken for a contradiction."""
    jump = step(CHANGED, Reason.RECOVERY_OVER, 4, (R, State.DEGRADED), handle=1)
    assert judged(*story(1)[:4], jump._replace(**change))[-1] is None  # type: ignore[arg-type]  # integers both


def test_after_a_loss_nothing_is_concluded() -> None:
    """A-55: after a loss, versions of two lives of a session would be compared with each other."""
    jump = step(CHANGED, Reason.RECOVERY_OVER, 4, (R, State.DEGRADED), handle=1)
    for event in (LOST, {"event_type": "RECORD_REFUSED"}, GENESIS | {"event_type": "LOG_RESUMED"}):
        assert judged(*story(1)[:4], event, jump)[-1] is None


@given(st.permutations(range(9)))
def test_evidence_may_come_late(order: list[int]) -> None:
    """A-55: evidence comes through the store, and telemetry overtakes it: no order of arrival may be called impossible."""
    facts = story(1)[1:]
    evidence = [fact for fact in facts if fact.event in {Event.SESSION_BORN, MOVED, ENDED}]
    shuffled = [facts[place] for place in order]
    places = [place for place, fact in enumerate(shuffled) if fact in evidence]
    for place, fact in zip(places, evidence, strict=True):  # among themselves they keep their order
        shuffled[place] = fact
    assert judged(*shuffled) == [None] * len(shuffled)


def test_a_commit_that_the_process_did_not_see_is_no_contradiction() -> None:
    """A-55: the store commits a move while the process, which waits for the answer, gives the session up: both have the next version."""
    asked = [*story(1)[:4], step(CHANGED, Reason.MOVE_ASKED, 4, (V, V))]
    lost = step(CHANGED, Reason.STORE_LOST, 5, (V, State.DEGRADED))
    certain = step(CHANGED, Reason.OWNERSHIP_CERTAIN, 6, (State.DEGRADED, R))
    commit = step(MOVED, Reason.MOVED_BETTER, 5, (V, A), binding_version=2)
    for late in ([commit, lost, certain], [lost, commit, certain], [lost, certain, commit], [commit, certain, lost]):
        assert set(judged(*of(1, *asked, *late))) == {None}


def test_a_session_that_is_taken_over_again_begins_anew() -> None:
    """A-55: a session that came back from another gateway counts its versions from 0 again."""
    again = [step(CHANGED, Reason.TAKEN_OVER, 0, (R, R)), step(CHANGED, Reason.REATTACH_ACCEPTED, 1, (R, R))]
    before = step(CHANGED, Reason.QUALITY_LOW, 1, (A, V))
    assert set(judged(*of(1, before, *again))) == {None}
    of_the_old_life = step(CHANGED, Reason.QUALITY_STABLE, 2, (V, A))
    assert judged(*of(1, before, *again, of_the_old_life))[-1] == "state version 2 leaves VOLATILE, but version 1 went to RECOVERING"


def test_two_process_starts_are_not_compared() -> None:
    """A-55: after a restart versions begin anew."""
    machines = Machines()
    machines.judge(GENESIS)
    first, second = story(1)[3], step(CHANGED, Reason.RECOVERY_OVER, 4, (R, State.DEGRADED), handle=1)
    build = builder().of_record
    assert machines.judge(build(Stamped(first, WALL, BOOT), BEFORE)) is None
    assert machines.judge(build(Stamped(second, WALL, b"2nd boot"), BEFORE)) is None
    assert machines.judge(build(Stamped(second, WALL, BOOT), BEFORE)) is not None


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((story(1)[2], story(1)[2]), "has binding 1 already"),
        ((story(1)[6], story(1)[6]), "has binding 2 already"),
        ((story(1)[6], story(1)[2]), "has binding 2 already"),
        ((story(1)[9], story(1)[6]), "has ended before"),
        ((story(1)[9], story(1)[2]), "has ended before"),
    ],
)
def test_evidence_of_one_session_goes_on(facts: tuple[Fact, Fact], why: str) -> None:
    """A-55: a session would be born twice, move back to an old binding, or live after its end."""
    first, second = judged(*facts)
    assert first is None
    assert second is not None
    assert why in second


def test_an_end_may_be_said_twice() -> None:
    """A-55: a tombstone that is repeated to the store would be called impossible."""
    assert judged(story(1)[9], step(ENDED, Reason.LATE_COMMIT, 9, (T, T), handle=1)) == [None, None]


def test_another_programs_transitions_are_not_judged_by_our_table() -> None:
    """A-55: the log of an older release would be called impossible by a newer one."""
    machines = Machines()
    impossible = builder().of_record(Stamped(step(CHANGED, Reason.QUALITY_LOW, 3, (R, V), handle=5), WALL, BOOT), BEFORE)
    assert machines.judge({"event_type": "LOG_OPENED", "genesis": genesis() | {"session_table": "0" * 64}}) is None
    assert machines.judge(impossible) is None
    assert machines.tables_differ
    assert machines.judge(GENESIS | {"event_type": "LOG_RESUMED"}) is None
    assert machines.judge(impossible) is not None


def test_the_memory_of_a_long_session_is_bounded() -> None:
    """A-55: the verifier's memory would grow with the age of a session."""
    machines = Machines()
    machines.judge(GENESIS)
    build = builder().of_record
    for version, (before, after) in enumerate(pairwise([A, V] * 100)):
        reason = Reason.QUALITY_LOW if after is V else Reason.QUALITY_STABLE
        assert machines.judge(build(Stamped(step(CHANGED, reason, version, (before, after), handle=1), WALL, BOOT), BEFORE)) is None
    ((versions),) = machines._versions.values()
    assert len(versions) == VERSIONS_REMEMBERED
