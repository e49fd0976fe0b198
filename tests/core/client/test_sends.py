"""What a client sends, when, under which keys and on which paths; and what it waits for before it tries again."""

from core import limits
from core.client.contact import ClientPolicy
from core.client.states import State
from core.reasons import Carrier, CloseCode, Event, Reason
from core.values import Instant
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Close, Hint, pack
from lab.sim.frames import Sent, v4
from lab.sim.world import STRAIGHT, World
from tests.core.client.test_client import says

UDP_ONLY = ClientPolicy(carriers=(Carrier.UDP,))


def last(world: World) -> Sent:
    """Return what the client sent last."""
    return [sent for sent in world.sent if sent.sender == "client"][-1]


def tick(world: World, now: int) -> None:
    """Let the client judge its clocks at this instant."""
    world.now = Instant(now)
    world.host.does(lambda: world.client.tick(world.now))


def test_packets_go_where_the_newest_keys_are() -> None:
    """R-53: from the proof of a new path to the gateway's word, traffic would go out on the path that is dead."""
    world = World(client_policy=UDP_ONLY).connected()
    world.network = lambda _sender, kind, _frame: () if kind == "ACK" else STRAIGHT
    world.host.move(v4(77))
    world.run_until(lambda: bool(world.client.confirming), 1_000)
    assert world.client.state is State.SEEKING
    world.host.say(b"already here")
    offer = world.client.confirming[-1].epoch
    sent = last(world)
    assert (sent.kind, sent.path, sent.frame[4:8]) == ("DATA", world.host.paths[Carrier.UDP], offer.peer_index.to_bytes(4, "little"))
    world.run(20)
    assert [inner[20:] for _, inner in world.delivered] == [b"already here"]


def test_the_first_packet_after_a_pause_is_probed_after_a_moment() -> None:
    """C-40: each packet would bring a probe of its own, or each put off the one that is under way."""
    world = World(client_policy=UDP_ONLY).connected()
    world.run(6_000)
    first = world.now
    world.host.say()
    assert world.client.at["probe"] == first + limits.PROBE_NS
    world.now = Instant(first + limits.PROBE_NS // 2)
    world.host.say()
    assert world.client.at["probe"] == first + limits.PROBE_NS


def test_a_lost_client_shakes_hands_on_every_open_path() -> None:
    """R-55: a client whose first carrier is dead would not find its gateway over the one that works."""
    world = World().connected()
    world.network = lambda _sender, _kind, _frame: ()
    world.host.move(v4(77))
    world.run(limits.HEAD_START_NS // limits.MILLISECOND + 20)
    assert set(world.client.paths) == {Carrier.UDP, Carrier.TCP}
    before = len(world.sent)
    tick(world, world.client.at["fresh"])
    assert [sent.path.carrier for sent in world.sent[before:] if sent.kind == "INIT"] == [Carrier.UDP, Carrier.TCP]


def test_a_path_on_which_nothing_is_confirmed_is_left_alone_for_a_while() -> None:
    """R-54: a client that cannot confirm its new keys where it is would try again at once, until no locator is left."""
    world = World(client_policy=UDP_ONLY).connected()
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else STRAIGHT
    says(world, world.session.active, encode(Kind.HINT, pack(Hint(Change.REKEY))))
    world.run_until(lambda: world.client_reasons(Event.CLIENT_CHANGED)[-1] is Reason.PATH_MTU_TOO_SMALL, 5_000)
    (over,) = [fact.at for fact in world.host.facts if fact.reason is Reason.PATH_MTU_TOO_SMALL]
    assert world.attached()
    assert world.client.at["here"] == over + limits.PATIENCE_NS


def test_a_new_session_that_the_gateway_closes_is_asked_for_again() -> None:
    """H-34: a client that lost its session, and whose next one the store did not take, would be silent until its transport is lost."""
    world = World(client_policy=UDP_ONLY).connected()
    world.store.rows.clear()
    world.start_gateway()
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else STRAIGHT
    world.host.move(v4(77))
    tick(world, world.client.at["fresh"])
    world.run_until(lambda: world.client.newborn is not None, 1_000)
    candidate = world.session.candidate
    assert candidate
    says(world, candidate.epoch, encode(Kind.CLOSE, pack(Close(CloseCode.FAULT))))
    assert (world.client.newborn, world.client.state) == (None, State.SEEKING)
    assert world.client.at["fresh"] == world.now + limits.FRESH_AFTER_NS


def test_a_client_whose_session_is_half_gone_lives_until_it_says_so() -> None:
    """C-34: a fault of the program would stop it at the next look at its clocks, without a record of why."""
    world = World(client_policy=UDP_ONLY).connected()
    world.broken = True
    world.client.life = None
    world.run(100, world.host.say, step_ms=10)
    world.host.move(v4(99))
    assert world.client_reasons(Event.CLIENT_ENDED) == [Reason.INVARIANT_BROKEN]
