"""The client's table: every row is taken by something that can happen, an empty cell changes nothing, a broken claim ends the session."""

from typing import Any, Final

import pytest

from core.client.attempts import Attempt, Confirming, Newborn
from core.client.client import Client
from core.client.states import PRIORITY, Input, State
from core.client.table import MACHINE, ROWS, TABLE, Facts, Row
from core.crypto.secret import Secret
from core.errors import Invariant
from core.machine import index
from core.reasons import Cause
from core.values import Record
from core.wire.epoch import Epoch
from core.wire.layout import Change
from lab.sim.ways import CLIENT_WAYS
from lab.sim.world import World
from tests.core.client.playbooks import PLAYBOOKS
from tests.core.taking import clauses_taken

NEEDS_NEWBORN: Final = {Input.ANSWER_PROVEN, Input.LAST_CHANCE_OVER, Input.BORN}
NEEDS_OFFER: Final = {Input.ATTEMPT_PROVEN, Input.COMMITTED}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the clauses of the rows that clients take from now on."""
    return clauses_taken(monkeypatch, Client, TABLE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.clause)
def test_the_row_is_taken(row: Row, taken: list[str]) -> None:
    """A row of the table would be dead, or its input would never be heard."""
    PLAYBOOKS[row.clause]()
    assert row.clause in taken


def everything(client: Client) -> dict[str, Any]:
    """Return all that a client is, objects by identity."""
    return {name: repr(value) for name, value in vars(client).items()}


@pytest.mark.parametrize("state", CLIENT_WAYS, ids=lambda state: state.name)
def test_an_empty_cell_changes_nothing(state: State) -> None:
    """What a state does not hear would change a key, a clock or a version, or leave a record."""
    world = CLIENT_WAYS[state]()
    client = world.client
    assert client.state is state
    for heard in (heard for heard in Input if (state, heard) not in TABLE):
        before = everything(client)
        assert not client.hear(heard, world.now), heard
        assert everything(client) == before, heard


def prepared(world: World, heard: Input) -> Confirming | None:
    """Give the client what `heard` comes with."""
    client, now = world.client, world.now
    epoch = Epoch(77, 1, (Secret(bytes(32)), Secret(bytes(32))), world.host.paths[1], 0, now)
    if heard in NEEDS_NEWBORN:
        donor = CLIENT_WAYS[State.ATTACHED]().client.life
        assert donor
        client.newborn = Newborn(donor, epoch, now)
    if heard in NEEDS_OFFER and client.life:
        attempt = Attempt(client.keys, world.entropy, client.life, epoch.path, Change.MOVE, Cause.PATH_DEAD, 0, now)
        return Confirming(epoch, attempt, now)
    return None


@pytest.mark.parametrize(("state", "heard"), TABLE, ids=lambda each: each.name)
def test_a_filled_cell_does_what_it_says(state: State, heard: Input) -> None:
    """A transition would end in another state, change facts that its row does not name, or leave no record or two."""
    world = CLIENT_WAYS[state]()
    client, row = world.client, TABLE[state, heard]
    world.broken = heard is Input.INVARIANT_BROKEN
    if heard is Input.CONNECT:
        world.host.dial(1)
    offer = prepared(world, heard)
    before = client.facts()
    assert client.hear(heard, world.now, offer)
    assert client.facts() == MACHINE.apply(before, row)
    told = [output.fact for output in client.out if isinstance(output, Record) and output.fact.event is row.event]
    assert [(fact.state_from, fact.state_to, fact.state_version) for fact in told] == [(state, client.state, client.version)]
    assert row.reason is None or told[0].reason is row.reason
    world.host.does(lambda: client.tick(world.now))


SOUND: Final = {
    "idle": Facts(State.IDLE, 3, session=False, committed=False, newborn=False),
    "connecting": Facts(State.CONNECTING, 3, session=False, committed=False, newborn=True),
    "attached": Facts(State.ATTACHED, 3, session=True, committed=True, newborn=False),
    "seeking": Facts(State.SEEKING, 3, session=True, committed=True, newborn=True),
    "closed": Facts(State.CLOSED, 3, session=False, committed=False, newborn=False),
}


@pytest.mark.parametrize(
    ("claim", "of", "change"),
    [
        ("CI-1", "attached", {"session": False}),
        ("CI-1", "attached", {"committed": False}),
        ("CI-1", "seeking", {"committed": False}),
        ("CI-1", "closed", {"session": True}),
        ("CI-1", "idle", {"committed": True}),
        ("CI-2", "attached", {"newborn": True}),
        ("CI-2", "closed", {"newborn": True}),
        ("CI-3", "attached", {"version": 5}),
    ],
)
def test_a_contradiction_is_named(claim: str, of: str, change: dict[str, Any]) -> None:
    """A client with keys that it should not have, or without those that it needs, would go on."""
    before = SOUND["connecting"]._replace(version=2)
    MACHINE.check(before, SOUND[of])
    with pytest.raises(Invariant, match=claim):
        MACHINE.check(before, SOUND[of]._replace(**change))


def test_nothing_leads_out_of_closed() -> None:
    """A wiped client would speak again."""
    assert all(State.CLOSED not in row.states for row in ROWS)
    with pytest.raises(Invariant, match="CI-3"):
        MACHINE.check(SOUND["closed"]._replace(version=2), SOUND["idle"])


def test_a_client_that_cannot_even_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the ending itself would raise into the driver's loop, or leave a client that thinks it is attached."""
    world = CLIENT_WAYS[State.ATTACHED]()
    world.broken = True
    monkeypatch.setattr(Client, "wipe", lambda _self: None)
    assert not world.client.hear(Input.PEER_CLOSED, world.now)
    assert world.client.state is State.CLOSED


def test_one_row_a_cell() -> None:
    """Two rows would claim one cell, and the order of the file would decide."""
    with pytest.raises(Invariant, match="one row a cell"):
        index((*ROWS, ROWS[0]._replace(clause="C-99")))


def test_every_input_is_heard_somewhere_and_has_its_place_in_the_order() -> None:
    """A verdict would never have an effect, or two at one instant would have no order."""
    assert {row.heard for row in ROWS} == set(Input) == set(PRIORITY)
    assert len({row.clause for row in ROWS}) == len(ROWS)
