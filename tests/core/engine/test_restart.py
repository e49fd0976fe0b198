"""A gateway dies at any moment and starts again on the same store: the sessions go on, and nothing that was committed happens twice."""

from collections.abc import Callable
from typing import Final

import pytest

from core import limits
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Carrier, Event, Reason
from core.session.desk import Policy
from core.session.states import State
from core.values import ROW_LIVE, ROW_TOMBSTONE, CloseSession, Device, Get, Path
from lab.sim.device import arrive, here, knock, payloads
from lab.sim.frames import v4
from lab.sim.world import MS, World

UNKNOWN: Final = Event.TRAFFIC_REFUSED


def resumed(world: World, correlation: bytes, milliseconds: int = 12_000) -> None:
    """Let the client find its session again, and check that it is the same and works."""
    world.run(milliseconds, world.host.chat, step_ms=50)
    assert world.attached()
    assert world.session.correlation == correlation
    before = len(world.delivered)
    world.host.say(b"again")
    world.run(10)
    assert payloads(world)[before:] == [b"again"]


def test_a_session_is_taken_up_again() -> None:
    """An update of the gateway would end all sessions."""
    world = World().connected()
    correlation = world.session.correlation
    world.start_gateway()
    resumed(world, correlation, 1_000)
    assert Reason.TAKEN_OVER in world.reasons(Event.SESSION_CHANGED)
    assert world.reasons(Event.SESSION_BORN) == [Reason.HANDSHAKE_COMPLETED]


def seen(kind: str, count: int = 1) -> Callable[[World], bool]:
    """Return whether this many frames of a kind were sent after the birth."""
    return lambda world: [sent.kind for sent in world.sent[4:]].count(kind) >= count


STEPS: Final[dict[str, Callable[[World], bool]]] = {
    "before R1": seen("REATTACH"),
    "after R1": seen("REATTACH_RESP"),
    "CONFIRM under way": seen("CONFIRM"),
    "commit asked": lambda world: len(world.store.asked) > 1,
    "commit done, not answered": lambda world: len(world.store.outbox) > 1,
    "ACK under way": seen("ACK"),
}


@pytest.mark.parametrize("late", [False, True], ids=["writes die with the process", "writes come late"])
@pytest.mark.parametrize("step", STEPS)
def test_a_restart_in_the_middle_of_a_move(step: str, late: bool) -> None:
    """A crash at one unlucky moment would lose the session, or accept a committed attempt again."""
    world = World().connected()
    correlation = world.session.correlation
    world.store.silent = step == "commit asked"
    world.store.mute = step == "commit done, not answered"
    world.host.move(v4(99))
    while not STEPS[step](world):
        world.run(0.5)
    kept, world.store.kept = world.store.kept, []
    world.store.silent = world.store.mute = False
    world.start_gateway()
    if late:
        world.run(3_000, world.host.chat, step_ms=50)
        world.store.kept = kept
        world.release()
    resumed(world, correlation)
    nothing_old_is_accepted(world)


def nothing_old_is_accepted(world: World) -> None:
    """Send every REATTACH of the past once more, from its own path: none may change anything but counters."""
    world.host.off = True
    world.run(50)
    old = [sent for sent in world.sent if sent.kind == "REATTACH"]
    facts, active, answers = world.session.facts(), world.session.active, len(world.sent)
    for sent in old:
        arrive(world, sent.frame, sent.path)
    assert old
    assert world.session.facts() == facts
    assert world.session.active is active
    assert not [sent for sent in world.sent[answers:] if sent.kind == "REATTACH_RESP"]
    world.host.off = False


@pytest.mark.parametrize("step", ["RESP", "CONFIRM", "ACK"])
def test_a_restart_in_the_middle_of_a_birth(step: str) -> None:
    """A client would wait for ever for a gateway that has forgotten it."""
    world = World()
    world.drop(step, 1)
    world.host.connect(0)
    while step not in [sent.kind for sent in world.sent]:
        world.run(0.5)
    world.start_gateway()
    world.run(15_000)
    assert world.attached()


def test_three_restarts_in_a_row() -> None:
    """Versions and attempts of one process would collide with those of the next."""
    world = World().connected()
    correlation = world.session.correlation
    for _ in range(3):
        world.start_gateway()
        resumed(world, correlation, 1_000)
    versions = [fact.binding_version for fact in world.store.outbox]
    assert versions == sorted(set(versions))


def test_a_restart_does_not_lengthen_a_life() -> None:
    """With each restart a session would live longer than its row says."""
    world = World(policy=Policy(lifetime_s=3_600)).connected()
    expires = world.session.expires
    world.policy = Policy(lifetime_s=limits.LIFETIME_S_MAX)
    world.start_gateway()
    world.run(1_000, world.host.chat, step_ms=50)
    assert world.session.expires == expires == next(iter(world.store.rows.values())).expires


def test_a_session_survives_the_hours() -> None:
    """The key that seals rows changes each hour; a session that is older would be lost with a restart."""
    world = World().connected()
    correlation = world.session.correlation
    world.run(2 * 3_600_000)
    assert next(iter(world.store.rows.values())).kek > 480_000 + 1
    world.start_gateway()
    resumed(world, correlation)


def row_gone(world: World) -> None:
    """Lose the row."""
    world.store.rows.clear()


def row_ended(world: World) -> None:
    """End the session elsewhere."""
    for handle, row in world.store.rows.items():
        world.store.rows[handle] = row._replace(state=ROW_TOMBSTONE, sealed=b"")


def row_expired(world: World) -> None:
    """Let the row be too old."""
    for handle, row in world.store.rows.items():
        world.store.rows[handle] = row._replace(expires=row.born)


def row_tampered(world: World) -> None:
    """Change what is sealed."""
    for handle, row in world.store.rows.items():
        world.store.rows[handle] = row._replace(sealed=row.sealed[:-1] + bytes((row.sealed[-1] ^ 1,)))


def row_rolled_back(world: World) -> None:
    """Put the sealed part of one version into another."""
    for handle, row in world.store.rows.items():
        world.store.rows[handle] = row._replace(binding_version=row.binding_version + 1)


def other_kek(world: World) -> None:
    """Start with another key."""
    world.kek = Secret(world.entropy(32))


def device_gone(world: World) -> None:
    """Take the device off the list."""
    world.devices = {}


def device_readdressed(world: World) -> None:
    """Give the device other inner addresses."""
    world.devices = {public: Device(public, bytes((10, 77, 9, 9)), device.inner6) for public, device in world.devices.items()}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (row_gone, Reason.SESSION_UNKNOWN),
        (row_ended, Reason.SESSION_UNKNOWN),
        (row_expired, Reason.SESSION_UNKNOWN),
        (row_tampered, Reason.SESSION_UNKNOWN),
        (row_rolled_back, Reason.SESSION_UNKNOWN),
        (other_kek, Reason.SESSION_UNKNOWN),
        (device_gone, Reason.DEVICE_UNKNOWN),
        (device_readdressed, Reason.DEVICE_UNKNOWN),
    ],
)
def test_a_row_that_cannot_be_trusted_is_no_session(spoil: Callable[[World], None], reason: Reason) -> None:
    """Who can write the store, or was revoked meanwhile, would get a session."""
    world = World().connected()
    attempt, before = knock(world.host, here(world.host)), len(world.sent)
    spoil(world)
    world.start_gateway()
    world.host.off = True
    assert not arrive(world, attempt.frame, attempt.path)
    world.run(10)
    assert world.reasons(UNKNOWN) == [reason]
    assert not world.desk.sessions
    assert not [sent for sent in world.sent[before:] if sent.sender == "gateway"]


def test_a_row_that_expired_meanwhile_is_no_session() -> None:
    """A gateway that was down while sessions ended would answer for them, and move them."""
    world = World(policy=Policy(lifetime_s=3_600)).connected()
    attempt, before = knock(world.host, here(world.host)), len(world.sent)
    world.start_gateway()
    world.host.off = True
    world.run(3_600_000)
    (row,) = world.store.rows.values()
    assert row.state == ROW_LIVE
    assert not arrive(world, attempt.frame, attempt.path)
    world.run(10)
    assert world.reasons(UNKNOWN) == [Reason.SESSION_UNKNOWN]
    assert not [sent for sent in world.sent[before:] if sent.sender == "gateway"]


def test_without_proof_nothing_is_taken_over() -> None:
    """Who copies a locator, or steals the chain but not the device's key, could make the gateway load sessions."""
    world = World().connected()
    life = world.client.life
    assert life
    stolen = knock(world.host, here(world.host), key=PrivateKey(world.entropy(32)))
    world.start_gateway()
    world.host.off = True
    arrive(world, stolen.frame, stolen.path)
    garbled = stolen.frame[:-1] + bytes((stolen.frame[-1] ^ 1,))
    arrive(world, garbled, stolen.path)
    world.run(10)
    assert not world.desk.sessions
    assert not world.desk.by_device


def test_a_session_that_is_taken_over_and_left_has_its_clocks() -> None:
    """A loaded session whose attempt nobody confirms would stay in memory for ever."""
    world = World(policy=Policy(transport_loss_ns=20_000 * MS)).connected()
    attempt = knock(world.host, here(world.host))
    world.start_gateway()
    world.host.off = True
    arrive(world, attempt.frame, here(world.host))
    world.run(10)
    assert world.session.state is State.RECOVERING
    world.run(30_000)
    assert world.desk.sessions, "its owner may still have it bound"
    world.run(limits.BOUND_NS // MS)
    assert not world.desk.sessions
    assert world.reasons(Event.SESSION_ENDED) == [Reason.TRANSPORT_LOST]


def test_a_copy_on_another_carrier_takes_nothing_over() -> None:
    """R-18: whoever relays a message to another carrier would decide which gateway holds a session, and get a proven refusal for it."""
    world = World().connected()
    attempt = knock(world.host, here(world.host, 0, Carrier.TCP, 5))
    world.start_gateway()
    world.host.off = True
    arrive(world, attempt.frame, here(world.host))
    world.run(10)
    assert not world.desk.sessions
    assert "REATTACH_RESP" not in world.kinds("gateway")
    assert world.reasons(Event.TRAFFIC_REFUSED) == [Reason.TRANSPORT_MISMATCH]


def test_reads_of_the_store_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied REATTACHs would fill the store's queue, and keep honest sessions from being taken up."""
    monkeypatch.setattr(limits, "LOADS_MAX", 3)
    world = World().connected()
    frames = [knock(world.host, here(world.host)).frame for _ in range(6)]
    world.start_gateway()
    world.host.off, world.store.silent = True, True
    asked = len(world.store.asked)
    for frame in frames:
        arrive(world, frame, here(world.host))
    gets = [ask for ask in world.store.asked[asked:] if isinstance(ask.operation, Get)]
    assert len(gets) == 3
    assert world.reasons(UNKNOWN) == [Reason.STORE_BUSY]


def test_reads_of_the_store_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, when the store answers fast."""
    monkeypatch.setattr(limits, "LOADS_PER_SECOND", 3)
    world = World().connected()
    attempt = knock(world.host, here(world.host))
    row_gone(world)
    world.start_gateway()
    world.host.off = True
    asked = len(world.store.asked)
    for _ in range(6):
        arrive(world, attempt.frame, attempt.path)
        world.run(5)
    assert len(world.store.asked) - asked == 3
    world.run(1_000)
    arrive(world, attempt.frame, attempt.path)
    assert len(world.store.asked) - asked == 4


def test_two_reads_for_one_session_make_one_session() -> None:
    """Two attempts that arrive together after a restart would become two sessions with one identity."""
    world = World().connected()
    paths: list[Path] = [here(world.host, 700 + number) for number in range(2)]
    attempts = [knock(world.host, path) for path in paths]
    world.start_gateway()
    world.host.off = True
    for attempt in attempts:
        arrive(world, attempt.frame, attempt.path)
    world.run(10)
    assert world.session.candidate
    assert world.session.candidate.epoch.attempt == attempts[1].number
    assert world.reasons(Event.SESSION_CHANGED).count(Reason.TAKEN_OVER) == 1


def test_a_session_that_an_operator_ended_is_not_taken_up() -> None:
    """A restart would bring back what an operator has ended."""
    world = World().connected()
    world.drop("DATA", 99, "gateway")
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))
    world.run(10)
    world.start_gateway()
    world.run(2_000, world.host.chat, step_ms=50)
    assert "REATTACH" in world.kinds("client")
    assert "REATTACH_RESP" not in world.kinds("gateway")
