"""How often a session may move, and what a refusal says: when to come back, and nothing that changes the session."""

import pytest

from core import limits
from core.client.attempts import Attempt
from core.client.states import State as ClientState
from core.crypto.chain import later
from core.crypto.primitives import PrivateKey
from core.reasons import CAUSE_REASON, Carrier, Cause, Event, Reason, Status
from core.session.desk import Policy
from core.values import Path
from core.wire.layout import Change
from lab.sim.device import arrive, confirm, here, judged, knock, says
from lab.sim.frames import minted
from lab.sim.world import MS, World
from tests.core.engine.flapping import Flapping
from tests.core.exposed import laid_open

REFUSED, UNPROVEN = Event.SESSION_REFUSED, Event.TRAFFIC_REFUSED


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


def test_a_refused_attempt_stays_burnt_when_its_answer_is_forgotten() -> None:
    """R-15: who copied an attempt that was refused could have it accepted once the limit has passed."""
    world = World().connected()
    taken = knock(world.host, here(world.host, 777), cause=Cause.BETTER)
    assert judged(world, taken, arrive(world, taken.frame, taken.path))[1] is Status.OK
    refused = knock(world.host, here(world.host, 778), cause=Cause.BETTER)
    assert judged(world, refused, arrive(world, refused.frame, refused.path))[1] is Status.COOLDOWN
    world.run(limits.CANDIDATE_NS // MS)
    assert world.session.exchange is None
    assert not arrive(world, refused.frame, refused.path)
    assert world.session.candidate is None
    assert world.reasons(UNPROVEN) == [Reason.ATTEMPT_BURNT]


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
            life.locators[life.next] = minted(world.desk.locators[0], 4711, life.next)
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


def test_another_carrier_than_stated_is_refused_in_silence() -> None:
    """R-18: a copy on another carrier would burn the genuine attempt, and bring forth a proven refusal to hand on."""
    world = World().connected()
    path, session = here(world.host, 777), world.session
    before = (session.facts(), session.next, laid_open(session.secrets))
    attempt = knock(world.host, path)
    for serial in (9, 10):
        assert not arrive(world, attempt.frame, here(world.host, 0, Carrier.TCP, serial))
    assert (session.facts(), session.next, laid_open(session.secrets)) == before
    assert not world.reasons(REFUSED)
    assert world.reasons(UNPROVEN) == [Reason.TRANSPORT_MISMATCH]
    assert judged(world, attempt, arrive(world, attempt.frame, path))[1] is Status.OK


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
    world.session.moves = ((world.now, "rekey"),) * limits.REKEYS_PER_MINUTE
    world.client.attempt(Carrier.UDP, Change.MOVE, Cause.HINTED, world.now)
    world.host.does(lambda: world.client.tick(world.now))
    world.run(20)
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.SWITCH_LIMIT]
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
    life.locators = {number: minted(world.desk.locators[0], session.handle, number) for number in (life.next, life.next + 1)}
    for last in (90, 91, 92):
        world.host.move(world.host.address[:-1] + bytes((last,)))
        world.run(6_000, world.host.chat, step_ms=100)
        assert world.client.state is ClientState.ATTACHED
    assert [fact.attempt for fact in world.store.outbox[1:3]] == [limits.ATTEMPT_MAX - 1, limits.ATTEMPT_MAX]
    assert world.client_reasons(Event.CLIENT_ATTACHED) == [Reason.HANDSHAKE_COMPLETED, Reason.SESSION_LOST]
