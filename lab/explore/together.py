"""What is claimed of a whole world: both ends, all gateways and the store together, and of what follows it."""

from collections.abc import Callable
from typing import Final

from core.client.client import Client
from core.reasons import Event
from core.values import ROW_LIVE, ROW_TOMBSTONE
from core.wire.epoch import Epoch
from core.wire.layout import DATA_HEADER
from lab.explore.claims import BINDS, DATA, NOT_OWNERS, REATTACH, sessions
from lab.explore.parts import Did
from lab.explore.world import Scene, Stage, Stored

# --- of a world ----------------------------------------------------------------------------------------------------------------


def the_client_believes_only_the_store(stage: Stage, scene: Scene) -> bool:
    """The binding that the client believes in has been in the store: a birth or move of its session with its attempt."""
    client: Client = stage.part(scene.client).engine
    if client.life is None or client.committed is None:
        return True
    of, attempt = client.life.correlation, client.committed.attempt
    return any((fact.correlation, fact.attempt) == (of, attempt) and fact.event in BINDS for fact in scene.store.outbox)


def one_binding_over_all_gateways(stage: Stage, scene: Scene) -> bool:
    """No two processes are bound under one version of a session, and none under a version that the store has not reached."""
    rows = {row.handle: row for row in scene.store.rows}
    bound = [(handle, each.binding_version) for at in scene.gateways for handle, each in sessions(stage.part(at)).items() if each.active]
    return len(set(bound)) == len(bound) and all(handle in rows and rows[handle].binding_version >= version for handle, version in bound)


def chain_is_not_behind_the_row(stage: Stage, scene: Scene) -> bool:
    """A live session that goes by its row knows all attempts that the row knows; bound, it is what the row names."""
    rows = {row.handle: row for row in scene.store.rows}
    for at in scene.gateways:
        desk = stage.part(at).engine.desk
        for handle, session in sessions(stage.part(at)).items():
            row = rows.get(handle)
            if row is None or row.state != ROW_LIVE or session.secrets is None or session.stored != row.binding_version:
                continue
            if session.next < row.next or (session.active and not (desk.owns(row) and row.attempt == session.active.attempt)):
                return False
    return True


def both_ends_have_the_same_keys(stage: Stage, scene: Scene) -> bool:
    """Where the client speaks to an active epoch of a gateway, each end's sending key is the other's receiving key, in one session."""
    client: Client = stage.part(scene.client).engine
    mine = client.committed
    if mine is None or client.life is None:
        return True
    for at in scene.gateways:
        for session in sessions(stage.part(at)).values():
            theirs = session.active
            if theirs and theirs.index == mine.peer_index and theirs.peer_index == mine.index:
                keys = key(theirs, 0) == key(mine, 1), key(theirs, 1) == key(mine, 0)
                if not all(keys) or session.correlation != client.life.correlation or session.device.public != client.keys.static.public:
                    return False
    return True


def uncertainty_suspends(stage: Stage, scene: Scene) -> bool:
    """A bound session that has asked nothing knows the version of its row, as long as the row is its own."""
    rows = {row.handle: row for row in scene.store.rows}
    for at, queue in zip(scene.gateways, scene.queues, strict=True):
        identity = stage.part(at).engine.desk.identity
        for handle, session in sessions(stage.part(at)).items():
            row = rows.get(handle)
            mine = row is not None and row.state == ROW_LIVE and (row.node, row.boot) == (identity.node, identity.boot)
            quiet = not (session.commit_ticket or queue.asks or queue.answers)
            if session.active and mine and row and quiet and row.binding_version != session.binding_version:
                return False
    return True


def an_end_reaches_the_store(stage: Stage, scene: Scene) -> bool:
    """When a process that ended a session has nothing more to ask, the row is ended too, or another's [G-55]."""
    rows = {row.handle: row for row in scene.store.rows}
    for at, handle in scene.ended:
        waiting = handle in sessions(stage.part(scene.gateways[at])) or scene.queues[at].asks or scene.queues[at].answers
        mine = handle in rows and stage.part(scene.gateways[at]).engine.desk.owns(rows[handle])
        if not waiting and mine and rows[handle].state != ROW_TOMBSTONE:
            return False
    return True


def evidence_is_one_story(stage: Stage, scene: Scene) -> bool:  # noqa: ARG001 - the signature of a claim
    """A session's evidence is a birth, moves with growing attempts, and at most one end, which is last; versions grow by one."""
    for row in scene.store.rows:
        story = [fact for fact in scene.store.outbox if fact.handle == row.handle]
        binds = [fact for fact in story if fact.event in BINDS]
        if [fact.binding_version for fact in binds] != list(range(1, len(binds) + 1)):
            return False
        if [fact.event for fact in binds][1:] != [Event.SESSION_MOVED] * (len(binds) - 1) or binds[0].event is not Event.SESSION_BORN:
            return False
        attempts = [fact.attempt for fact in binds]
        if attempts != sorted(set(attempts)) or Event.SESSION_ENDED in [fact.event for fact in story[:-1]]:
            return False
        if row.binding_version != len(story) or (row.state == ROW_TOMBSTONE) != (story[-1].event is Event.SESSION_ENDED):
            return False
        if any(fact.reason in NOT_OWNERS for fact in story):
            return False
    return True


# --- of what follows a world ---------------------------------------------------------------------------------------------------


def a_nonce_is_used_once(stage: Stage, scene: Scene, did: Did) -> bool:
    """Two different frames never have one index and one counter; two different requests never have one locator."""
    for frame, _ in did.sent:
        for number in scene.up | scene.down:
            other = stage.frames[number][0]
            if other != frame and other[0] == frame[0] and frame[0] in {DATA, REATTACH} and other[4:] != frame[4:]:
                head = slice(4, DATA_HEADER) if frame[0] == DATA else slice(8, 24)
                if other[head] == frame[head]:
                    return False
    return True


def the_store_only_grows(before: Stored, after: Stored) -> bool:
    """A tombstone stays, a row's version grows by one with one piece of evidence, and its attempt never gets smaller."""
    rows = {row.handle: row for row in after.rows}
    for row in before.rows:
        now = rows.get(row.handle)
        if now is None or (row.state == ROW_TOMBSTONE and now != row) or now.attempt < row.attempt:
            return False
        if now.binding_version - row.binding_version not in {0, 1} or (now != row) != (now.binding_version > row.binding_version):
            return False
    return len(after.outbox) - len(before.outbox) <= 2  # noqa: PLR2004 - a birth may end another session


def key(epoch: Epoch, place: int) -> bytes:
    """Return a traffic key of an epoch: 0 for sending, 1 for receiving."""
    keys = epoch._keys  # noqa: SLF001 - the laboratory compares what no program may
    return keys[place].expose() if keys else b""


OF_WORLD: Final[tuple[Callable[[Stage, Scene], bool], ...]] = (
    the_client_believes_only_the_store, one_binding_over_all_gateways, chain_is_not_behind_the_row, both_ends_have_the_same_keys,
    uncertainty_suspends, an_end_reaches_the_store, evidence_is_one_story,
)  # fmt: skip
