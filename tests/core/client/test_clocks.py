"""When a client does what it does: the first moment of a wait, its last, and what happens at exactly that moment."""

from itertools import pairwise

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.client.states import State
from core.reasons import Carrier, CloseCode, Event, Reason
from core.values import Connect, Dial, Instant, Output, PathEvent
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Close, Hint, ProbeAck, pack
from lab.sim.frames import Sent, v4
from lab.sim.ways import seeking, suspended
from lab.sim.world import STRAIGHT, World

UDP_ONLY = ClientPolicy(carriers=(Carrier.UDP,))


def sent(world: World, kind: str, carrier: int = 0) -> list[Sent]:
    """Return what the client sent of a kind, on one carrier or on all."""
    return [each for each in world.sent if (each.sender, each.kind) == ("client", kind) and carrier in {0, each.path.carrier}]


def ticked(world: World, name: str) -> list[Output]:
    """Let the first host's client judge its clocks at exactly the moment that a timer names; return what it puts out."""
    world.now = world.client.at[name]
    outputs: list[Output] = []

    def tick() -> list[Output]:
        outputs.extend(world.client.tick(world.now))
        return outputs

    world.host.does(tick)
    return outputs


def test_a_proven_attempt_is_confirmed_at_once() -> None:
    """R-54: each jump would wait for another turn of the loop."""
    world = World(client_policy=UDP_ONLY).connected()
    before = len(sent(world, "CONFIRM"))
    heard: list[int] = []

    def network(_sender: str, kind: str, _frame: bytes) -> tuple[int, ...]:
        if kind == "CONFIRM":
            heard.append(world.now)
        return STRAIGHT

    world.network = network
    world.host.move(v4(77))
    world.run_until(lambda: len(sent(world, "CONFIRM")) > before)
    (proven,) = [fact.at for fact in world.host.facts if fact.reason is Reason.ATTEMPT_PROVEN]
    assert heard[0] == proven


def test_a_better_carrier_that_refuses_is_asked_again_after_the_time_that_it_names() -> None:
    """R-16: a client on the fallback would knock at the better carrier all the time, or never again where it is."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(500)
    assert world.client.committed
    assert world.client.committed.path.carrier == Carrier.TCP
    world.session.moves = ((world.now, "voluntary"),) * limits.VOLUNTARY_PER_MINUTE
    world.cut = set()
    world.run(4_000)
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.SWITCH_LIMIT]
    assert "here" not in world.client.at
    assert world.client.at["better"] - world.now > 50 * limits.SECOND
    assert len(sent(world, "REATTACH", Carrier.UDP)) == 1
    world.run(40_000)
    assert len(sent(world, "REATTACH", Carrier.UDP)) == 1
    world.run(30_000)
    assert world.reasons(Event.SESSION_MOVED) == [Reason.MOVED_BETTER]


def test_refusals_of_one_kind_hide_no_others() -> None:
    """D-20: of an attack in two ways the record would name, at its time, only the louder one."""
    world = World(client_policy=UDP_ONLY).connected()
    path = world.host.paths[Carrier.UDP]
    for _ in range(limits.REFUSALS_PER_SECOND + 1):
        world.host.hears(b"\x04" + bytes(63), path)
    world.host.hears(next(each.frame for each in world.sent if each.kind == "RESP"), path)
    told = world.client_reasons(Event.TRAFFIC_REFUSED)
    assert told == [Reason.INDEX_UNKNOWN] * limits.REFUSALS_PER_SECOND + [Reason.UNEXPECTED_MESSAGE]


def test_a_carrier_that_is_open_already_is_used_beside() -> None:
    """H-31: a client whose connection is there would open another, or not know when its handshake began."""
    world = World()
    world.host.dial(Carrier.TCP)
    world.cut = {Carrier.UDP}
    world.run(20)
    world.host.connect(95)
    assert not sent(world, "INIT", Carrier.TCP)
    world.run(50)
    assert world.attached()
    (born,) = [fact for fact in world.host.facts if fact.event is Event.CLIENT_ATTACHED]
    assert 0 < born.measures[0] < 50_000, "microseconds since the INIT that was answered"


def test_keys_are_dropped_in_the_moment_in_which_the_gateway_forgets_them() -> None:
    """H-34: a client would keep keys for a moment that is the gateway's no more, and be due again at once."""
    world = World(client_policy=UDP_ONLY)
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else STRAIGHT
    world.host.connect(3_000)
    newborn = world.client.newborn
    assert newborn
    assert world.client.at["handshake"] == newborn.epoch.born + limits.PENDING_NS
    ticked(world, "handshake")
    assert world.client.newborn is None
    assert world.client.at["handshake"] > world.now


def test_a_lost_client_tries_handshakes_again_and_again() -> None:
    """R-55: a client would stop to look for its gateway after one round, or never pause between two."""
    world = seeking()
    world.run(100_000)
    rounds = [fact.at for fact in world.host.facts if fact.reason is Reason.ATTEMPT_UNANSWERED]
    tries = sum(limits.HANDSHAKE_RETRY_NS << number for number in range(limits.HANDSHAKE_TRIES))
    assert len(rounds) >= 4
    assert {(later - earlier) // limits.SECOND for earlier, later in pairwise(rounds)} == {(tries + limits.FRESH_AFTER_NS) // limits.SECOND}


def test_a_lost_client_shakes_hands_only_where_a_path_is_open() -> None:
    """H-30, R-50: what opens paths has its own pace; each repeated INIT would open a connection beside."""
    world = seeking()
    world.run_until(lambda: "handshake" in world.client.at)
    outputs = ticked(world, "handshake")
    assert not [output for output in outputs if isinstance(output, Dial)]
    assert world.client.hands.keys() == {Carrier.UDP}


@pytest.mark.parametrize("after_ms", [0, 40])
def test_a_path_that_opens_counts_from_then_on(after_ms: int) -> None:
    """H-30: a client that waits for its path would not begin when it opens."""
    world = World(client_policy=UDP_ONLY)
    world.refused = {Carrier.UDP}
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run(20)
    assert not sent(world, "INIT")
    world.refused = set()
    world.run(after_ms)
    world.host.dial(Carrier.UDP)
    (init,) = sent(world, "INIT")
    assert init.path.carrier == Carrier.UDP
    world.host.does(lambda: world.client.path_event(init.path, PathEvent.OPENED, Instant(world.now)))
    assert len(sent(world, "INIT")) == 1
    world.run(20)
    assert world.client.state is State.ATTACHED


def says(world: World, inner: bytes) -> None:
    """Let the gateway say one inner frame under the active keys."""
    epoch = world.session.active
    assert epoch
    (run,) = epoch.seal([inner])
    world.host.hears(run.frames[0], world.host.paths[Carrier.UDP])


def test_the_round_trip_is_smoothed() -> None:
    """C-40: one slow answer would make a client patient for ever, one fast one make it give up a slow path, a clock that jumps do both."""
    world = World(client_policy=UDP_ONLY).connected()
    measured: list[int] = []
    for sample in (80_000, 160_000, 80_000, -1):
        world.client.round_trip_ns = world.client.round_trip_ns if measured else 0
        says(world, encode(Kind.PROBE_ACK, pack(ProbeAck(1, world.now - sample, 0, 0, world.now))))
        measured.append(world.client.round_trip_ns)
    assert measured == [80_000, 90_000, 88_750, 77_656]
    assert all(isinstance(each, int) for each in measured)


def test_a_path_is_given_up_after_four_of_its_round_trips() -> None:
    """C-40: on a satellite link each probe would be taken for the last."""
    world = World(client_policy=UDP_ONLY, latency_ms=400)
    world.host.connect(8_000)
    assert world.attached()
    world.run(20_000, world.host.say, step_ms=500)
    assert Reason.PATH_SILENT not in world.client_reasons(Event.CLIENT_CHANGED)
    assert world.client.round_trip_ns // limits.MILLISECOND in range(700, 900)


def test_confirms_are_counted_and_their_waits_double() -> None:
    """R-54: a path would be given up too early, or a lost CONFIRM cost more than it must."""
    world = World(client_policy=UDP_ONLY).connected()
    at: list[int] = []

    def network(_sender: str, kind: str, _frame: bytes) -> tuple[int, ...]:
        if kind == "CONFIRM":
            at.append(world.now)
            return ()
        return STRAIGHT

    world.network = network
    world.host.move(v4(77))
    world.run_until(lambda: Reason.PATH_MTU_TOO_SMALL in world.client_reasons(Event.CLIENT_CHANGED))
    (over,) = [fact.at for fact in world.host.facts if fact.reason is Reason.PATH_MTU_TOO_SMALL]
    at = [each for each in at if each < over]
    assert len(at) == limits.CONFIRM_TRIES
    waits = [min(limits.REATTACH_RETRY_NS << number, limits.REATTACH_RETRY_CAP_NS) for number in range(1, limits.CONFIRM_TRIES)]
    assert [after - earlier for earlier, after in pairwise(at)] == waits


def test_a_client_that_is_told_to_wait_makes_no_new_session() -> None:
    """R-16, R-55: while a gateway's store is away each client would give its session up after three seconds, though it lives."""
    world = suspended()
    world.host.off = False
    inits, patience = len(sent(world, "INIT")), list[int]()

    def watch() -> None:
        if world.client.patience not in patience:
            patience.append(world.client.patience)

    world.run(90_000, watch, step_ms=50)
    assert Reason.SESSION_SUSPENDED in world.client_reasons(Event.CLIENT_REFUSED)
    assert len(sent(world, "INIT")) == inits
    assert patience == [number * limits.SECOND for number in (1, 2, 4, 8, 16, 30)]
    world.store.failing = False
    world.run(40_000)
    assert world.attached()
    assert world.client.patience == limits.REATTACH_RETRY_CAP_NS


def test_a_session_is_first_sought_where_it_was() -> None:
    """R-50: a client on its second carrier would leave it for a first one that does not work, whenever a packet is late."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(500)
    assert world.attached()
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.run_until(lambda: world.client.state is State.SEEKING, every=world.host.say)
    world.run(10)
    assert {each.path.carrier for each in sent(world, "REATTACH")} == {Carrier.TCP}
    world.run(limits.HEAD_START_NS / limits.MILLISECOND)
    assert {each.path.carrier for each in sent(world, "REATTACH")} == {Carrier.TCP, Carrier.UDP}


def test_an_attempt_belongs_to_its_path() -> None:
    """R-30, R-51: each event of a path would cost a locator, or bytes that were made for one path go out on another."""
    world = seeking()
    life = world.client.life
    assert life
    world.run(50)
    path, number = world.host.paths[Carrier.UDP], life.next
    pending = world.client.attempts[Carrier.UDP]
    before = len(sent(world, "REATTACH", Carrier.UDP))
    world.host.opened(path)
    assert [each.frame for each in sent(world, "REATTACH", Carrier.UDP)[before:]] == [pending.frame]
    assert life.next == number
    world.host.opened(path._replace(local=path.local._replace(port=1)))
    assert world.client.attempts[Carrier.UDP].path.local.port == 1
    assert life.next == number + 1
    assert sent(world, "REATTACH", Carrier.UDP)[-1].frame != pending.frame


def test_a_newborn_that_the_gateway_closes_is_tried_again_after_a_pause() -> None:
    """H-34: a client whose new session the store did not take would never ask for another, or ask without a pause."""
    world = World(client_policy=UDP_ONLY).connected()
    world.store.rows.clear()
    world.start_gateway()
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else STRAIGHT
    world.run_until(lambda: Reason.SESSION_LOST in world.client_reasons(Event.CLIENT_CHANGED), every=world.host.say)
    candidate = world.session.candidate
    assert candidate
    (run,) = candidate.epoch.seal([encode(Kind.CLOSE, pack(Close(CloseCode.FAULT)))])
    world.host.hears(run.frames[0], world.host.paths[Carrier.UDP])
    assert (world.client.newborn, world.client.state) == (None, State.SEEKING)
    assert world.client.at["fresh"] == world.now + limits.FRESH_AFTER_NS


@pytest.mark.parametrize(("change", "reason"), [(Change.MOVE, Reason.HINT_OBEYED), (Change.REKEY, Reason.KEY_AGED)])
def test_a_hint_is_obeyed_as_what_it_is(change: Change, reason: Reason) -> None:
    """C-43: a client that is asked for new keys would move, and its gateway count it as a jump."""
    world = World(client_policy=UDP_ONLY).connected()
    says(world, encode(Kind.HINT, pack(Hint(change))))
    assert world.client_reasons(Event.CLIENT_CHANGED)[-1] is reason
    assert world.client.attempts[Carrier.UDP].change is change


def test_what_is_due_in_one_moment_is_sent_in_one() -> None:
    """R-54: of two paths that answer in one moment one would never be confirmed."""
    world = World(client_policy=UDP_ONLY).connected()
    before, committed = len(sent(world, "CONFIRM")), world.client.committed
    assert committed
    world.client._confirm(committed)
    world.client._confirm(committed)
    world.host.does(lambda: world.client.tick(world.now))
    assert len(sent(world, "CONFIRM")) == before + 2


def test_a_new_session_is_probed_after_a_moment() -> None:
    """C-40: each session would begin with a packet that nobody needs, or a dead path be noticed late."""
    world = World(client_policy=UDP_ONLY)
    world.network = lambda _sender, _kind, _frame: STRAIGHT if world.client.state is State.CONNECTING else ()
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.host.dial(Carrier.UDP)
    world.run(20)
    (born,) = [fact.at for fact in world.host.facts if fact.event is Event.CLIENT_ATTACHED]
    assert world.client.at["probe"] == born + limits.PROBE_NS
    assert world.client.at["health"] == born + limits.HEALTH_NS


def test_an_epoch_that_has_drained_is_gone() -> None:
    """D-6: old keys would be kept, or a client stop at the first index that it looks for."""
    world = World(client_policy=UDP_ONLY).connected()
    world.host.move(v4(77))
    world.run(limits.DRAINING_NS / limits.MILLISECOND + 200)
    assert world.client.draining is None
    assert world.client.epochs() == [world.client.committed]
    assert world.client.needs(world.host.paths[Carrier.UDP])
