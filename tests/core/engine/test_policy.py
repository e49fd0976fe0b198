"""How often a session may move, and what a refusal says: when to come back, and nothing that changes the session."""

import pytest

from core import limits
from core.client.attempts import Attempt
from core.client.states import State as ClientState
from core.crypto.chain import later
from core.crypto.primitives import PrivateKey
from core.reasons import CAUSE_REASON, Carrier, Cause, Event, Reason, Status
from core.session.desk import Policy
from core.values import Instant, Path
from core.wire.layout import Change
from tests.core.checks import sound_worlds  # noqa: F401 - a fixture for all tests of this module
from tests.core.engine.device import arrive, confirm, here, judged, knock, says
from tests.core.exposed import laid_open
from tests.core.session.bringing import leave
from tests.core.world import MS, World

REFUSED, UNPROVEN = Event.SESSION_REFUSED, Event.TRAFFIC_REFUSED


class Flapping:
    """A device that moves from port to port as often as it may."""

    def __init__(self, world: World) -> None:
        """Take the place of the first host's client."""
        self.world = leave(world)
        self.port = 600

    def move(self, cause: Cause, change: Change = Change.MOVE) -> tuple[Status, int]:
        """Try to move to another port; return the gateway's status and when to come back."""
        self.port += 1
        path = here(self.world.host, self.port)
        attempt = knock(self.world.host, path, change=change, cause=cause)
        epoch, status, wait = judged(self.world, attempt, arrive(self.world, attempt.frame, path))
        if epoch:
            says(self.world, epoch, confirm(self.world))
            self.world.run(10)
        return status, wait

    def rekey(self) -> tuple[Status, int]:
        """Try to change the keys where the session is; return the gateway's status and when to come back."""
        path = here(self.world.host)
        attempt = knock(self.world.host, path, change=Change.REKEY, cause=Cause.REKEY)
        epoch, status, wait = judged(self.world, attempt, arrive(self.world, attempt.frame, path))
        if epoch:
            says(self.world, epoch, confirm(self.world))
            self.world.run(5)
        return status, wait

    def wait(self, ns: int) -> None:
        """Let exactly so many nanoseconds pass."""
        self.world.now = Instant(self.world.now + ns)
        self.world.gateway_does(lambda: self.world.gateway.tick(self.world.now))


def test_voluntary_moves_have_a_cooldown_and_a_limit() -> None:
    """A client that thinks two paths are each better than the other would move without end."""
    device = Flapping(World().connected())
    start = device.world.now
    for _ in range(limits.VOLUNTARY_PER_MINUTE):
        assert device.move(Cause.BETTER)[0] is Status.OK
        device.wait(123_457)
        status, wait = device.move(Cause.POLICY)
        assert status is Status.COOLDOWN
        assert 0 < wait <= limits.VOLUNTARY_COOLDOWN_NS
        device.wait(wait)
    status, wait = device.move(Cause.BETTER)
    assert status is Status.SWITCH_LIMIT
    assert device.world.now + wait >= start + 60 * limits.SECOND
    assert device.move(Cause.PATH_DEAD)[0] is Status.OK, "who must move may"
    device.wait(wait)
    assert device.move(Cause.BETTER)[0] is Status.OK, "once retry_after has passed the next attempt succeeds"
    assert set(device.world.reasons(REFUSED)) == {Reason.COOLDOWN, Reason.SWITCH_LIMIT}


def test_forced_moves_have_a_limit_of_their_own() -> None:
    """A client whose network flaps would keep the store writing."""
    device = Flapping(World().connected())
    for _ in range(limits.FORCED_PER_MINUTE):
        assert device.move(Cause.ADDRESS_CHANGED)[0] is Status.OK
        device.wait(1_000_003)
    status, wait = device.move(Cause.PATH_CLOSED)
    assert status is Status.SWITCH_LIMIT
    assert device.move(Cause.BETTER)[0] is Status.OK, "limits are apart"
    device.wait(wait)
    assert device.move(Cause.PATH_CLOSED)[0] is Status.OK


def test_a_configured_limit_holds_even_where_it_is_high() -> None:
    """A configuration would promise a bound that the program does not keep."""
    world = World(policy=Policy(forced_per_minute=250)).connected()
    device = Flapping(world)
    statuses = [device.move(Cause.PATH_DEAD)[0] for _ in range(255)]
    assert statuses == [Status.OK] * 250 + [Status.SWITCH_LIMIT] * 5


def test_rekeys_have_a_limit_of_their_own() -> None:
    """A device could make the store write without end from where it is; or a session could not move because it had changed its keys."""
    world = World(policy=Policy(forced_per_minute=2, voluntary_per_minute=2)).connected()
    device = Flapping(world)
    for _ in range(limits.REKEYS_PER_MINUTE):
        assert device.rekey()[0] is Status.OK
    asked = len(world.store.asked)
    status, wait = device.rekey()
    assert status is Status.SWITCH_LIMIT
    assert 0 < wait <= 60 * limits.SECOND
    assert len(world.store.asked) == asked, "a refusal costs no write"
    assert world.reasons(REFUSED) == [Reason.SWITCH_LIMIT]
    device.wait(wait)
    assert device.rekey()[0] is Status.OK, "once retry_after has passed the next attempt succeeds"
    assert device.move(Cause.PATH_DEAD)[0] is Status.OK
    assert device.move(Cause.BETTER)[0] is Status.OK


def test_a_rekey_that_is_a_move_counts_as_one() -> None:
    """A device would call its moves rekeys, and move as often as it likes."""
    device = Flapping(World().connected())
    statuses = {device.move(Cause.REKEY, Change.REKEY)[0] for _ in range(limits.FORCED_PER_MINUTE + 1)}
    assert statuses == {Status.OK, Status.SWITCH_LIMIT}


def refusals() -> list[tuple[Reason, bool]]:
    """Return what a gateway refuses at R1 without an answer, and whether the record names the session."""
    return [
        (Reason.LOCATOR_WRONG, False),
        (Reason.ATTEMPT_BURNT, False),
        (Reason.ATTEMPT_TOO_FAR, False),
        (Reason.REATTACH_MAC_WRONG, False),
        (Reason.REATTACH_BAD_PROOF, True),
        (Reason.REATTACH_REPLAYED, True),
        (Reason.SESSION_UNKNOWN, False),
    ]


def spoilt(world: World, reason: Reason) -> tuple[bytes, Path]:
    """Return a REATTACH that is to be refused for this reason, and the path on which it comes."""
    host, path = world.host, here(world.host, 777)
    life = host.client.life
    assert life
    match reason:
        case Reason.LOCATOR_WRONG:
            life.locators[life.next] = bytes(16)
        case Reason.SESSION_UNKNOWN:
            life.locators[life.next] = world.desk.locators[0].mint(4711, life.next)
        case Reason.ATTEMPT_BURNT:
            knock(host, path)
            world.session.next, world.session.secrets = life.next + 1, (life.session_id, later(life.chain, 1))
        case Reason.ATTEMPT_TOO_FAR:
            return knock(host, path, skip=limits.LOOKAHEAD_ATTEMPTS).frame, path
        case Reason.REATTACH_MAC_WRONG:
            frame = knock(host, path).frame
            return frame[:-1] + bytes((frame[-1] ^ 1,)), path
        case Reason.REATTACH_BAD_PROOF:
            return knock(host, path, key=PrivateKey(bytes(31) + b"\x40")).frame, path
        case _:
            frame = knock(host, path).frame
            arrive(world, frame, path)
            return frame, here(host, 778)
    return knock(host, path).frame, path


@pytest.mark.parametrize(("reason", "named"), refusals(), ids=lambda each: getattr(each, "name", ""))
def test_what_is_refused_at_the_door_gets_no_answer_and_changes_nothing(reason: Reason, named: bool) -> None:
    """A refused attempt would tear a session down, burn its attempts, or tell a stranger what was wrong."""
    world = World().connected()
    frame, path = spoilt(world, reason)
    session = world.session
    before = (session.facts(), session.next, laid_open(session.secrets), session.active, session.candidate)
    assert not arrive(world, frame, path)
    world.run(10)
    assert (session.facts(), session.next, laid_open(session.secrets), session.active, session.candidate) == before
    assert reason in world.reasons(REFUSED if named else UNPROVEN)
    world.host.chat()
    world.run(10)
    assert world.host.down


def test_the_farthest_attempt_is_accepted_and_burns_those_before_it() -> None:
    """A client that lost many answers could never come back; or an older attempt could be used after a newer one."""
    world = World().connected()
    path = here(world.host, 777)
    early = knock(world.host, path)
    far = knock(world.host, path, skip=limits.LOOKAHEAD_ATTEMPTS - 2)
    assert judged(world, far, arrive(world, far.frame, path))[1] is Status.OK
    assert not arrive(world, early.frame, path)
    assert Reason.ATTEMPT_BURNT in world.reasons(UNPROVEN)


def test_another_carrier_than_stated_is_refused_with_proof() -> None:
    """Someone in the middle could lift an attempt from one carrier to another."""
    world = World().connected()
    before = world.session.facts()
    attempt = knock(world.host, here(world.host, 0, Carrier.TCP, 9))
    _, status, _ = judged(world, attempt, arrive(world, attempt.frame, here(world.host)))
    assert status is Status.TRANSPORT_MISMATCH
    assert world.session.facts() == before
    assert world.reasons(REFUSED) == [Reason.TRANSPORT_MISMATCH]


def test_while_a_commit_is_asked_an_attempt_waits() -> None:
    """Two moves would be asked of the store at once."""
    world = World().connected()
    path = here(world.host, 777)
    first = knock(world.host, path)
    epoch, _, _ = judged(world, first, arrive(world, first.frame, path))
    world.store.mute = True
    assert epoch
    says(world, epoch, confirm(world))
    second = knock(world.host, here(world.host, 778))
    assert not arrive(world, second.frame, second.path)
    assert world.reasons(REFUSED) == [Reason.NO_TRANSITION]
    world.release()
    world.run(10)
    assert judged(world, second, arrive(world, second.frame, second.path))[1] is Status.OK, "the client repeats it"


def test_while_a_commit_is_asked_a_stranger_is_still_a_stranger() -> None:
    """R-12, D-20: forged frames would be recorded as the session's own refusals, and fill its ten a second."""
    world = World().connected()
    first = knock(world.host, here(world.host, 777))
    epoch, _, _ = judged(world, first, arrive(world, first.frame, first.path))
    world.store.mute = True
    assert epoch
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket
    second = knock(world.host, here(world.host, 778))
    assert not arrive(world, second.frame[:-1] + bytes((second.frame[-1] ^ 1,)), second.path)
    assert not arrive(world, first.frame, here(world.host, 779))
    assert Reason.REATTACH_MAC_WRONG in world.reasons(UNPROVEN)
    assert world.reasons(REFUSED) == [Reason.REATTACH_REPLAYED]


def test_a_client_waits_as_long_as_it_is_told() -> None:
    """A refused client would use up its attempts within a second."""
    world = World().connected()
    told: list[int] = []
    real = Attempt.answer

    def answer(attempt: Attempt, *arguments: object) -> object:
        result = real(attempt, *arguments)  # type: ignore[arg-type]  # passed through as they come
        told.append(result[2])
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attempt, "answer", answer)
        for _ in range(12):
            world.cut = {Carrier.UDP}
            world.run(1_000, world.host.say, step_ms=20)
            world.cut = set()
            world.run(4_000, world.host.say, step_ms=20)
    assert max(told) > 1_000 * MS
    world.run(120_000, world.host.say, step_ms=200)
    assert world.attached()
    assert world.client.committed
    assert world.client.committed.path.carrier == Carrier.UDP
    assert Reason.SWITCH_LIMIT in world.client_reasons(Event.CLIENT_REFUSED)
    assert Reason.SESSION_LOST not in world.client_reasons(Event.CLIENT_ATTACHED)


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.name)
def test_a_move_is_recorded_under_the_cause_that_the_device_states(cause: Cause) -> None:
    """The record would say another cause than the client did."""
    device = Flapping(World().connected())
    assert device.move(cause)[0] is Status.OK
    assert device.world.reasons(Event.SESSION_MOVED) == [CAUSE_REASON[cause]]


def test_a_client_that_is_refused_with_proof_says_why() -> None:
    """A user would see that a session does not come, or does not move, and not why."""
    world = World().connected()
    world.client.attempt(Carrier.UDP, Change.MOVE, Cause.BETTER, world.now)
    frame, path = world.client.attempts[Carrier.UDP].frame, world.host.paths[1]
    (answer,) = arrive(world, frame, path._replace(carrier=Carrier.TCP, serial=5))  # as a relay between carriers would
    world.host.hears(answer, path)
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.TRANSPORT_MISMATCH]
    assert world.attached()


def test_a_client_that_is_told_to_cool_down_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client would knock again at once."""
    monkeypatch.setattr(limits, "VOLUNTARY_COOLDOWN_NS", 20_000 * MS)
    world = World().connected()
    for _ in range(2):
        world.cut = {Carrier.UDP}
        world.run(1_000, world.host.say, step_ms=20)
        world.cut = set()
        world.run(5_000, world.host.say, step_ms=20)
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.COOLDOWN]
    world.run(20_000, world.host.say, step_ms=100)
    assert world.client_reasons(Event.CLIENT_MOVED)[-1] is Reason.MOVED_BETTER


def test_when_the_numbers_are_used_up_a_new_session_begins() -> None:
    """A session that has moved 65,534 times would be stuck."""
    world = World().connected()
    life, session = world.client.life, world.session
    assert life
    life.next = session.next = limits.ATTEMPT_MAX - 1
    life.locators = {number: world.desk.locators[0].mint(session.handle, number) for number in (life.next, life.next + 1)}
    for last in (90, 91, 92):
        world.host.move(world.host.address[:-1] + bytes((last,)))
        world.run(6_000, world.host.chat, step_ms=100)
        assert world.client.state is ClientState.ATTACHED
    assert [fact.attempt for fact in world.store.outbox[1:3]] == [limits.ATTEMPT_MAX - 1, limits.ATTEMPT_MAX]
    assert world.client_reasons(Event.CLIENT_ATTACHED) == [Reason.HANDSHAKE_COMPLETED, Reason.SESSION_LOST]
