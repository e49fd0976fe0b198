"""The explorer: it reaches what can happen, sees what is broken, says how to get there, and stops where it says that it stops."""

import json
from collections import Counter, deque
from contextlib import ExitStack
from typing import Any

import pytest

from core.session.states import Effect, Input, State
from core.session.table import MACHINE
from lab.explore import __main__ as command
from lab.explore import alone, expected, faults, harmless, model, mutants
from lab.explore.claims import sessions
from lab.explore.copying import copied, digest, watched
from lab.explore.search import Search, search
from lab.explore.stuck import stuck
from lab.explore.world import Bounds, Stage
from lab.proofs.suites import EXPLORED
from lab.sim.world import World


@pytest.mark.parametrize("bounds", EXPLORED, ids=lambda bounds: ",".join(f"{key}={value}" for key, value in bounds._asdict().items()))
def test_every_claim_holds_within_small_bounds(bounds: Bounds) -> None:
    """An adversary would bring running engines where a claim of the protocol does not hold."""
    report = search(bounds, recover=10)
    assert report.found is None
    assert report.complete
    assert report.worlds > 10


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_planted_fault_is_caught_by_the_claim_that_names_it(name: str) -> None:
    """The search would find nothing because it can find nothing."""
    fault = faults.FAULTS[name]
    found, steps, _, playbook = faults.caught(fault)
    assert found in fault.claims
    assert playbook.count("settle()") >= steps - playbook.count("    perform(") > 0


@pytest.mark.parametrize("claim", alone.ALONE)
def test_each_claim_alone_is_seen_to_fail(claim: str) -> None:
    """A claim that nothing can break would show nothing."""
    assert faults.caught(alone.ALONE[claim], alone=True)[0] == claim


def test_no_claim_is_without_a_fault() -> None:
    """A claim could be added that cannot fail."""
    assert set(alone.every_claim()) == alone.ALONE.keys()


def play(text: str) -> World:
    """Run a playbook as a person would, and return its world."""
    namespace: dict[str, Any] = {}
    exec(compile(text, "playbook", "exec"), namespace)  # noqa: S102 - printed by the explorer itself
    world: World = namespace["found"]()
    return world


def test_a_printed_playbook_shows_the_fault() -> None:
    """A person would paste a playbook that does something else than what was found."""
    fault = faults.FAULTS["believe the answer"]
    playbook = faults.caught(fault)[3]
    with faults.planted(fault.put):
        world = play(playbook)
    assert world.client.committed
    assert world.client.committed.attempt not in {fact.attempt for fact in world.store.outbox}
    sound = play(playbook)
    assert sound.client.committed
    assert sound.client.committed.attempt in {fact.attempt for fact in sound.store.outbox}


def test_a_playbook_of_the_store_shows_the_fault() -> None:
    """What the store was asked, and in which order it answered, would be lost between search and playbook."""
    fault = faults.FAULTS["no suspension"]
    playbook = faults.caught(fault)[3]
    with faults.planted(fault.put):
        world = play(playbook)
        (row,) = world.store.rows.values()
        assert (world.session.active is not None, world.session.binding_version < row.binding_version) == (True, True)
    assert play(playbook).session.suspended


def test_one_step_leaves_other_worlds_alone() -> None:
    """Two worlds would share a window or a table, and what happens in one would have happened in the other."""
    with watched():
        stage = Stage(Bounds())
        before = [digest(part.engine, part.now) for part in stage.parts.known]
        for action in stage.actions(stage.start):
            stage.after(stage.start, action)
        assert [digest(part.engine, part.now) for part in stage.parts.known][: len(before)] == before


def test_a_copy_keeps_the_kind_of_what_it_copies() -> None:
    """A count of nobody would be an error in a copy, and none in the engine."""
    twin = copied([Counter("a"), deque([1], maxlen=2)], {})
    assert (twin[0], twin[0]["b"], twin[1].maxlen) == ({"a": 1}, 0, 2)


@pytest.mark.parametrize("change", ["next", "binding_version", "bitmap", "heard_at", "retired"])
def test_a_digest_tells_states_apart(change: str) -> None:
    """Two worlds would be called one, and what follows from the second would never be seen."""
    with watched():
        part = Stage(Bounds()).parts.known[0]
        twin = copied(part.engine, {})
        assert digest(twin, part.now) == digest(part.engine, part.now)
        (session,) = twin.desk.sessions.values()
        owner = twin.desk if change == "retired" else session.active if change == "bitmap" else session
        setattr(owner, change, {7: None} if change == "retired" else getattr(owner, change) + 1)
        assert digest(twin, part.now) != digest(part.engine, part.now)


def test_a_bound_that_is_hit_is_said() -> None:
    """A search that was cut off would be called complete."""
    report = search(Bounds(worlds=20))
    assert not report.complete
    assert report.found is None


def test_the_start_is_judged_too() -> None:
    """A world that is broken from the beginning would pass, as nothing new is reached."""
    with watched():
        looked = Search(Bounds(moves=0, waits=0))
        (session,) = sessions(looked.stage.part(looked.stage.start.gateways[0])).values()
        session.suspended = True
        found = looked.run().found
    assert found is not None
    assert (found.claim, found.actions) == ("claims_of_the_table_hold", ())


@pytest.fixture(scope="module")
def judged() -> mutants.Judged:
    """Return what becomes of every mutant; made once."""
    return mutants.judge()


def test_the_tables_are_what_the_specification_says_and_every_mutant_is_judged(judged: mutants.Judged) -> None:
    """A cell could be changed, and no claim would notice."""
    assert not judged.broken
    kinds = harmless.sort_out(judged.mutants)
    assert (kinds.without, kinds.wrong) == ((), ())
    assert len(judged.mutants) > 7_000
    assert all(kind.__doc__ for kind in harmless.KINDS)


def test_each_claim_about_a_table_is_seen_to_fail(judged: mutants.Judged) -> None:
    """A claim that no change of a cell breaks would show nothing."""
    broken = {claim for claims in judged.mutants.values() for claim in claims}
    made = {str(claim.__doc__) for machine in mutants.TABLES.values() for claim in (*machine.always, *machine.step)}
    assert made | set(expected.CLAIMS.values()) == broken


def test_nothing_is_stuck_in_the_model() -> None:
    """A state would have no clock that ends it, or nothing would lead from it to a session or an end."""
    assert not stuck()


def test_a_state_without_a_way_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look for what is stuck would see nothing."""
    monkeypatch.setattr("lab.explore.stuck.CLOCKS", frozenset())
    assert len(stuck()) > 50


def test_a_dropped_row_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with the specification would compare the table with itself."""
    cells = {at: row for at, row in MACHINE.cells.items() if at != (State.RECOVERING, Input.RECOVERY_OVER)}
    monkeypatch.setitem(mutants.TABLES, "gateway", MACHINE._replace(cells=cells))
    assert any("RECOVERING RECOVERY_OVER" in each for each in mutants.judge().broken)


def test_a_mutant_of_no_kind_and_a_wrong_kind_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A survivor without a reason would pass, or a reason that excuses what breaks a claim, or one that excuses nothing."""
    first, second, *_ = mutants.mutants()
    told = mutants.Judged(1, 1, (), {first: frozenset(), second: frozenset(("a claim",))})
    monkeypatch.setattr(mutants, "judge", lambda: told)
    monkeypatch.setattr(harmless, "kind_of", lambda mutant: "lacks_what_is_idle_here" if mutant is second else "")
    assert command.main(["--mutants"]) == 1
    said = capsys.readouterr().out
    assert f"SURVIVES {first.name}" in said
    assert f"WRONG lacks_what_is_idle_here: {second.name}" in said
    assert "WRONG names_the_state_in_which_it_stays: nobody" in said


def test_an_idle_effect_and_a_row_that_nothing_leads_to_are_seen() -> None:
    """The tables would fill with what nobody needs, and a reader would look for its meaning."""
    row = MACHINE.cells[State.ATTACHED, Input.COMMIT_WON]
    cell = State.PENDING, Input.QUALITY_LOW
    added = mutants.Mutant("gateway", cell, "", row)
    assert mutants.judged(added, []) == {expected.CLAIMS["heard"]}
    cases = model.situations()["gateway", State.ATTACHED, Input.COMMIT_WON]
    idle = mutants.Mutant("gateway", (State.ATTACHED, Input.COMMIT_WON), "", row._replace(effects=(*row.effects, Effect.RESUME)))
    assert mutants.judged(idle, cases) == {expected.CLAIMS["idle"]}


def test_the_command_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the command's output would find no numbers, or a wrong bound would be taken in silence."""
    assert command.main(["--bounds", "moves=1,waits=0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["found"], told["playbook"]) == (True, None, "")
    assert told["bounds"]["waits"] == 0
    assert told["edges"] > told["worlds"] > 10
    with pytest.raises(SystemExit) as wrong:
        command.main(["--bounds", "wishes=3"])
    assert wrong.value.code == 2


def test_a_search_that_was_stopped_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """A script would take what was searched in part for what holds."""
    assert command.main(["--bounds", "worlds=20"]) == 3
    assert "NOT everything within the bounds" in capsys.readouterr().out


def test_the_command_prints_a_playbook(capsys: pytest.CaptureFixture[str]) -> None:
    """A counter-example would be found and not shown."""
    with ExitStack() as stack:
        faults.ignore_the_path(stack)
        assert command.main(["--bounds", "worlds=100"]) == 1
    said = capsys.readouterr().out
    assert "BROKEN" in said
    assert "def found() -> World:" in said
