"""One contract for both stores (docs/spec/store.md, O-1 to O-8, O-10 to O-12, O-16)."""

import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.limits import SESSIONS_PER_DEVICE
from core.reasons import Event
from core.values import ROW_TOMBSTONE, Answer, Ask, CompareAndSet, Create, Fact, Get, Live, Operation, Outcome, Row, Tombstone
from jvpn.shell.stores.base import OWNER_GRACE_S, PURGE_EVERY_S, SUPERSEDE_MAX, Store
from jvpn.shell.stores.memory import MemoryStore
from jvpn.shell.stores.sqlite import SqliteStore
from tests.jvpn.shell.storing import BOOT, DEVICE, LIFETIME, NODE, START, Clock, ask, create, end, fact, move, outbox, outcomes, row, take

OTHER = bytes(32)
WON, LOST, FOUND, ABSENT, FULL, FAILED = Outcome
FIVE = range(1, SESSIONS_PER_DEVICE + 2)


class Kept:
    """A store, its clock, and a look at its evidence."""

    def __init__(self, store: Store, clock: Clock, facts: Callable[[], list[Fact]]) -> None:
        self.store, self.clock, self.facts = store, clock, facts

    def ask(self, *operations: Operation) -> list[Answer]:
        """Ask and wait."""
        return ask(self.store, *operations)

    def row(self, handle: int) -> Row | None:
        """Return the stored row."""
        return self.ask(Get(handle))[0].row


@pytest.fixture(params=["memory", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """Return each store in turn, empty."""
    clock = Clock()
    if request.param == "memory":
        memory = MemoryStore(clock)
        made = Kept(memory, clock, lambda: memory.evidence)
    else:
        path = tmp_path / "store"
        made = Kept(SqliteStore(path, NODE, BOOT, clock, clock), clock, lambda: [stamped.fact for stamped in outbox(path)])
    yield made
    made.store.close()


def test_live_names_a_device_s_sessions(kept: Kept) -> None:
    """O-25, O-8: rows of a revoked key would be overlooked, or rows named that are of another device, ended or expired."""
    kept.ask(create(7, 1), create(3, 2), create(4, 3, OTHER), create(5, 4, expires=START + 1), end(7, 5))
    before = kept.facts()
    kept.clock.seconds += 2
    assert kept.ask(Live(create(3, 2).row.device)) == [Answer(0, FOUND, None, (create(3, 2).row,))]
    assert kept.ask(Live(bytes([9]) * 32)) == [Answer(0, FOUND)]
    assert kept.ask(Live(b"short")) == [Answer(0, FAILED)]
    assert kept.facts() == before


def test_a_born_session_is_found(kept: Kept) -> None:
    """O-2, O-3, O-10: a session could not be taken over, because what the store gives back is not what was stored."""
    birth = create(7, 1)
    assert kept.ask(Get(7)) == [Answer(0, ABSENT)]
    assert kept.ask(birth) == [Answer(0, WON, birth.row)]
    assert kept.ask(Get(7)) == [Answer(0, FOUND, birth.row)]
    assert kept.facts() == [birth.fact]


@pytest.mark.parametrize("before", [[], [move(7, 1, 2)], [end(7, 2)]])
def test_a_handle_is_born_once(kept: Kept, before: list[Operation]) -> None:
    """O-3: a second session would take the place of the first, or of one that has ended."""
    kept.ask(create(7, 1), *before)
    stored, told = kept.row(7), kept.facts()
    assert kept.ask(create(7, 9, OTHER)) == [Answer(0, LOST, stored)]
    assert (kept.row(7), kept.facts()) == (stored, told)


def test_an_expired_handle_is_not_born_again_either(kept: Kept) -> None:
    """O-3: what an owner still believes alive would change its device under it."""
    kept.ask(create(7, 1, expires=START))
    kept.clock.seconds += 1
    assert outcomes(kept.ask(create(7, 2))) == [LOST]


def test_a_device_has_a_limit(kept: Kept) -> None:
    """O-5: one device could fill the gateway; or the core could not tell which of its sessions to end."""
    births = [create(handle, handle) for handle in FIVE]
    *won, full = kept.ask(*births)
    assert set(outcomes(won)) == {WON}
    assert full == Answer(SESSIONS_PER_DEVICE, FULL, None, tuple(birth.row for birth in births[:-1]))
    assert kept.row(FIVE[-1]) is None
    assert outcomes(kept.ask(create(90, 90, OTHER))) == [WON]
    assert [told.handle for told in kept.facts()] == [*FIVE[:-1], 90]


@pytest.mark.parametrize(("expires", "outcome"), [(START + 59, WON), (START + 60, FULL)])
def test_only_live_sessions_count(kept: Kept, expires: int, outcome: Outcome) -> None:
    """O-5: sessions that are over would keep their device out, or ones that are not would not count."""
    kept.ask(*(create(handle, handle, expires=expires) for handle in FIVE[:-1]))
    kept.clock.seconds += 60
    assert outcomes(kept.ask(create(FIVE[-1], 9))) == [outcome]


def test_an_ended_session_frees_its_place(kept: Kept) -> None:
    """O-5: a client that closes and comes back would be refused."""
    kept.ask(*(create(handle, handle) for handle in FIVE[:-1]))
    assert outcomes(kept.ask(end(2, 8), create(FIVE[-1], 9))) == [WON, WON]


def test_a_birth_ends_others_with_itself(kept: Kept) -> None:
    """O-4, O-5: the device's fifth session would be refused, or the session that gives way would go on beside it."""
    kept.ask(*(create(handle, handle) for handle in FIVE[:-1]))
    birth = create(FIVE[-1], 20, supersede=(end(2, 21), end(3, 22)))
    old = kept.row(2)
    assert kept.ask(birth) == [Answer(0, WON, birth.row)]
    assert old is not None
    assert kept.row(2) == old._replace(state=ROW_TOMBSTONE, binding_version=2, sealed=b"")
    assert [told.serial for told in kept.facts()][-3:] == [21, 22, 20]


def test_a_refused_birth_ends_nothing(kept: Kept) -> None:
    """O-5: a session would be ended for one that never came to be."""
    kept.ask(*(create(handle, handle) for handle in FIVE[:-1]), create(60, 8, OTHER))
    before = [kept.row(handle) for handle in (*FIVE, 60)]
    (full,) = kept.ask(create(FIVE[-1], 20, supersede=(end(60, 21), end(99, 22))))
    assert full == Answer(0, FULL, None, tuple(each for each in before if each and each.device == DEVICE))
    assert outcomes(kept.ask(create(1, 23, supersede=(end(2, 24),)))) == [LOST]
    assert [kept.row(handle) for handle in (*FIVE, 60)] == before
    assert len(kept.facts()) == SESSIONS_PER_DEVICE + 1


def test_a_birth_ends_no_session_that_moved_meanwhile(kept: Kept) -> None:
    """O-4, O-5: a session that has just been bound elsewhere would be ended as one that nobody uses."""
    kept.ask(*(create(handle, handle) for handle in FIVE[:-1]), move(2, 1, 8))
    before = [kept.row(handle) for handle in FIVE]
    (full,) = kept.ask(create(FIVE[-1], 20, supersede=(end(2, 21, expect=1),)))
    assert full == Answer(0, FULL, None, tuple(each for each in before if each and each.device == DEVICE))
    assert [kept.row(handle) for handle in FIVE] == before
    assert outcomes(kept.ask(create(FIVE[-1], 22, supersede=(end(1, 23, expect=9), end(2, 24, expect=2))))) == [WON]
    assert [told.serial for told in kept.facts()] == [1, 2, 3, 4, 8, 24, 22]


def test_a_birth_ends_only_sessions_of_its_device(kept: Kept) -> None:
    """O-4: one device could end the sessions of another."""
    foreign = create(60, 1, OTHER)
    kept.ask(foreign)
    assert outcomes(kept.ask(create(1, 2, supersede=(end(60, 3), end(99, 4), end(1, 5))))) == [WON]
    assert kept.row(60) == foreign.row
    assert [told.serial for told in kept.facts()] == [1, 2]


def test_a_move_wins_once(kept: Kept) -> None:
    """O-6: two gateways would both believe that they own a session."""
    kept.ask(create(7, 1))
    first, second = move(7, 1, 2, node=b"gateway1"), move(7, 1, 3, node=b"gateway2")
    assert kept.ask(first, second, Get(7)) == [Answer(0, WON, first.row), Answer(1, LOST, first.row), Answer(2, FOUND, first.row)]
    assert [told.serial for told in kept.facts()] == [1, 2]


@pytest.mark.parametrize("expect", [1, 3])
def test_a_move_needs_the_version_that_is_stored(kept: Kept, expect: int) -> None:
    """O-6: an owner that was overtaken, or that runs ahead of the store, would move the binding."""
    kept.ask(create(7, 1), move(7, 1, 2))
    stored = kept.row(7)
    assert kept.ask(move(7, expect, 3)) == [Answer(0, LOST, stored)]
    assert kept.row(7) == stored


def test_a_move_needs_a_row(kept: Kept) -> None:
    """O-6: a session could exist that was never born."""
    assert kept.ask(move(7, 1, 2), Get(7)) == [Answer(0, ABSENT), Answer(1, ABSENT)]
    assert kept.facts() == []


@pytest.mark.parametrize("change", [{"device": OTHER}, {"born": START + 1}, {"expires": START + LIFETIME + 1}])
def test_a_move_keeps_what_a_session_is_for_life(kept: Kept, change: dict[str, Any]) -> None:
    """O-6: moving could hand a session to another device, or make it live for ever."""
    birth = create(7, 1)
    kept.ask(birth)
    changed = move(7, 1, 2)._replace(row=row(7, version=2)._replace(**change))
    assert outcomes(kept.ask(changed, move(7, 5, 3)._replace(row=row(7, version=6)._replace(**change)))) == [FAILED, LOST]
    assert (kept.row(7), kept.facts()) == (birth.row, [birth.fact])


def test_a_tombstone_beats_any_version(kept: Kept) -> None:
    """O-7: an operator's order would be lost because the session moved meanwhile; or its secrets would outlive it."""
    kept.ask(create(7, 1), move(7, 1, 2))
    over = row(7, version=2)._replace(state=ROW_TOMBSTONE, binding_version=3, sealed=b"")
    assert kept.ask(end(7, 3), Get(7)) == [Answer(0, WON, over), Answer(1, FOUND, over)]
    assert kept.ask(move(7, 3, 4), move(7, 2, 5)) == [Answer(0, LOST, over), Answer(1, LOST, over)]
    assert over.expires == START + LIFETIME


@pytest.mark.parametrize("expect", [0, 1, 3])
def test_a_tombstone_that_expects_a_version_beats_no_other(kept: Kept, expect: int) -> None:
    """O-7: a gateway that lost a session would end it for the one that has it now, and leave evidence of an end that was none."""
    kept.ask(create(7, 1), move(7, 1, 2))
    stored = kept.row(7)
    assert kept.ask(end(7, 3, expect)) == [Answer(0, LOST, stored)]
    assert (kept.row(7), [told.serial for told in kept.facts()]) == (stored, [1, 2])
    over = row(7, version=2)._replace(state=ROW_TOMBSTONE, binding_version=3, sealed=b"")
    assert kept.ask(end(7, 4, 2), end(7, 5, 2), end(7, 6, expect), end(8, 7, 1)) == [
        Answer(0, WON, over),
        Answer(1, WON, over),  # asked again, because the answer was lost
        Answer(2, WON, over),
        Answer(3, ABSENT),
    ]
    assert [told.serial for told in kept.facts()] == [1, 2, 4]


def test_ending_twice_changes_nothing(kept: Kept) -> None:
    """O-7: a repeated order would be recorded as a second end."""
    kept.ask(create(7, 1), end(7, 2))
    stored = kept.row(7)
    assert kept.ask(end(7, 3), end(8, 4)) == [Answer(0, WON, stored), Answer(1, ABSENT)]
    assert [told.serial for told in kept.facts()] == [1, 2]


UNSOUND: list[Operation] = [
    Get(-1),
    Get(1 << 48),
    end(1 << 48, 5),
    end(7, 5, -1),
    end(7, 5, 1 << 63),
    create(8, 5, supersede=(end(7, 6, -1),)),
    create(1 << 48, 5),
    create(8, 5, node=b"x"),
    create(8, 5, boot=b"x"),
    create(8, 5, b"device"),
    create(8, 5, gateway_key=b"x"),
    create(8, 5, inner4=bytes(16)),
    create(8, 5, inner6=bytes(4)),
    create(8, 5, born=-1),
    create(8, 5, attempt=-1),
    create(8, 5, next=-1),
    create(8, 5, kek=-1),
    create(8, 5, expires=1 << 63),
    create(8, 5, state=ROW_TOMBSTONE),
    create(8, 5, sealed=bytes(2_000)),
    create(8, 5, supersede=(end(-2, 6),)),
    create(8, 5, supersede=tuple(end(handle, 6) for handle in range(SUPERSEDE_MAX + 1))),
    CompareAndSet(row(7, version=3), 1, fact(Event.SESSION_MOVED, move(7, 1, 5).fact.reason, 7, 5, 2)),
    move(7, 1, 5, state=ROW_TOMBSTONE),
]


@pytest.mark.parametrize("wrong", UNSOUND, ids=lambda operation: type(operation).__name__)
def test_nonsense_fails_alone(kept: Kept, wrong: Operation) -> None:
    """O-8, O-11: a mistake of the core would be stored, or take down the operations beside it."""
    birth, other = create(7, 1), create(70, 2, OTHER)
    assert outcomes(kept.ask(birth, wrong, other)) == [WON, FAILED, WON]
    assert (kept.row(7), kept.row(70), kept.row(8)) == (birth.row, other.row, None)
    assert kept.facts() == [birth.fact, other.fact]


def test_operations_keep_their_order(kept: Kept) -> None:
    """O-1: a move would be judged before the birth that it follows."""
    life: list[Create | CompareAndSet | Tombstone] = [
        create(7, 1),
        *(move(7, version, version + 1) for version in range(1, 100)),
        end(7, 101),
    ]
    assert set(outcomes(kept.ask(*life))) == {WON}
    assert kept.facts() == [operation.fact for operation in life]


def test_the_descriptor_says_when_answers_wait(kept: Kept) -> None:
    """O-1: the driver would sleep on answers, or spin without any."""
    poll = select.poll()
    poll.register(kept.store.fileno(), select.POLLIN)
    assert not poll.poll(0)
    kept.store.submit([Ask(3, Get(7)), Ask(4, Get(8))])
    kept.store.submit([Ask(5, Get(9))])
    assert [answer.ticket for answer in take(kept.store, 3)] == [3, 4, 5]
    assert not poll.poll(0)
    assert kept.store.answers() == []
    kept.store.submit([])
    assert not poll.poll(0)


def test_a_closed_store_answers_failed(kept: Kept) -> None:
    """O-16: what was submitted before would be forgotten, or what comes later would wait for ever."""
    births = [create(handle, handle, bytes([handle]) * 32) for handle in range(1, 100)]
    kept.store.submit([Ask(birth.row.handle, birth) for birth in births])
    kept.store.close()
    assert kept.store.answers() == [Answer(birth.row.handle, WON, birth.row) for birth in births]
    kept.store.submit([Ask(7, Get(1))])
    assert kept.store.answers() == [Answer(7, FAILED)]
    assert kept.store.fileno() == -1
    kept.store.close()


def test_expired_rows_go(kept: Kept) -> None:
    """O-12: rows would pile up; or a tombstone would vanish early and its session be born again; or an owner's end would find no row."""
    kept.ask(
        create(1, 1),
        end(1, 2),
        create(2, 3),
        create(3, 4, expires=START + 2 * LIFETIME),
        end(3, 5),
        create(4, 6, expires=START + 2 * LIFETIME),
    )
    kept.clock.seconds = START + LIFETIME
    assert all(kept.row(handle) for handle in (1, 2, 3, 4))
    kept.clock.seconds += PURGE_EVERY_S
    assert [handle for handle in (1, 2, 3, 4) if kept.row(handle)] == [3, 4]


def test_an_owner_can_end_what_expired(kept: Kept) -> None:
    """O-12: the end of a session's lifetime would leave no evidence, because the row went just before."""
    kept.ask(create(1, 1, expires=START + PURGE_EVERY_S - 1), create(2, 2, expires=START + PURGE_EVERY_S - OWNER_GRACE_S - 1))
    kept.ask(create(3, 3, expires=START + PURGE_EVERY_S - 1), end(3, 4))
    kept.clock.seconds += PURGE_EVERY_S
    assert outcomes(kept.ask(end(1, 5), end(2, 6), end(3, 7))) == [WON, ABSENT, ABSENT]
    assert [told.serial for told in kept.facts()] == [1, 2, 3, 4, 5]
