"""What a client's records say of before and after, and what becomes of paths and timers that a later event has overtaken."""

from core import limits
from core.client.attempts import Confirming
from core.client.contact import ClientPolicy
from core.client.states import Input, State
from core.crypto.secret import Secret
from core.reasons import Carrier, Cause, Event, Reason
from core.values import CloseSession, Connect, Fact, Instant, Output, PathEvent, Route
from core.wire.epoch import Epoch
from core.wire.layout import Change
from lab.sim.frames import v4
from lab.sim.ways import seeking
from lab.sim.world import STRAIGHT, World

UDP_ONLY = ClientPolicy(carriers=(Carrier.UDP,))
HEARD = {Event.CLIENT_CHANGED, Event.CLIENT_ATTACHED, Event.CLIENT_MOVED, Event.CLIENT_ENDED}


def of_client(world: World) -> list[Fact]:
    """Return the facts of what the client heard, in order."""
    return [fact for fact in world.host.facts if fact.event in HEARD]


def test_each_record_of_a_client_names_the_one_before() -> None:
    """C-1: the story of a client would fall into pieces, or tell of a carrier that it was not on."""
    world = World(client_policy=UDP_ONLY).connected()
    world.host.move(v4(77))
    world.run(100)
    world.host.does(lambda: world.client.command(CloseSession(), world.now))
    story = of_client(world)
    assert [fact.caused_by for fact in story] == [0, *(fact.serial for fact in story[:-1])]
    assert [fact.state_from for fact in story[1:]] == [fact.state_to for fact in story[:-1]]
    carriers = [fact.carrier_from for fact in story]
    born = [fact.event for fact in story].index(Event.CLIENT_ATTACHED)
    assert carriers == [0] * (born + 1) + [Carrier.UDP] * (len(story) - born - 1)


def test_a_refusal_says_in_which_state_and_where() -> None:
    """D-20: who reads of a refusal would not know whether the client had a session, and on which path."""
    world = World(client_policy=UDP_ONLY).connected()
    world.host.move(v4(77))
    world.run(100)
    world.host.hears(b"\x09", world.host.paths[Carrier.UDP])
    refused = world.host.facts[-1]
    assert refused.event is Event.TRAFFIC_REFUSED
    assert (refused.state_from, refused.state_to, refused.carrier_from, refused.carrier_to) == (State.ATTACHED,) * 2 + (Carrier.UDP,) * 2
    assert (refused.attempt, refused.binding_version, refused.state_version) == (1, 2, world.client.version)
    assert refused.caused_by == of_client(world)[-1].serial


def test_how_long_a_move_took_is_told() -> None:
    """R-53: the record of a jump would show a gap of days, or none."""
    world = World(client_policy=UDP_ONLY, latency_ms=10).connected()
    world.run(1_000)
    world.host.move(v4(77))
    world.run(200)
    (moved,) = [fact for fact in world.host.facts if fact.event is Event.CLIENT_MOVED]
    gap, since_attempt = moved.measures[:2]
    assert 40_000 <= since_attempt <= gap <= 2_000_000, "microseconds: two round trips, and the time since the gateway was heard"


def test_the_end_takes_the_routes_away() -> None:
    """D-4: packets for the inner network would go into a tunnel that is gone, or the address of the resolver be taken for one of them."""
    world = World(client_policy=UDP_ONLY).connected()
    outputs: list[Output] = []

    def close() -> list[Output]:
        outputs.extend(world.client.command(CloseSession(), world.now))
        return outputs

    world.host.does(close)
    device = world.host.device
    assert [output for output in outputs if isinstance(output, Route)] == [Route(0, (device.inner4, device.inner6), up=False)]


def test_the_end_of_a_path_that_was_left_is_no_end() -> None:
    """H-30: the late end of an old connection would close the new one."""
    world = World(client_policy=UDP_ONLY).connected()
    old = world.host.paths[Carrier.UDP]
    world.host.move(v4(77))
    world.run(100)
    new = world.host.paths[Carrier.UDP]
    world.host.does(lambda: world.client.path_event(old, PathEvent.CLOSED, world.now))
    assert world.client.paths == {Carrier.UDP: new}
    assert world.attached()


def test_a_path_that_opens_is_not_opened_again() -> None:
    """H-30: half a second after its path opened a client would send one INIT more, and have two handshakes."""
    world = World(client_policy=UDP_ONLY)
    world.refused = {Carrier.UDP}
    world.host.does(lambda: world.client.command(Connect(), world.now))
    world.run(20)
    assert f"dial {Carrier.UDP}" in world.client.at
    world.refused = set()
    world.network = lambda sender, _kind, _frame: () if sender == "gateway" else STRAIGHT
    world.host.dial(Carrier.UDP)
    assert f"dial {Carrier.UDP}" not in world.client.at


def test_a_better_carrier_is_tried_after_a_pause() -> None:
    """C-16: a client on the fallback would try the better carrier all the time, and use up its attempts."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(500)
    world.run_until(lambda: Reason.ATTEMPT_STARTED in world.client_reasons(Event.CLIENT_CHANGED))
    (started,) = [fact.at for fact in world.host.facts if fact.reason is Reason.ATTEMPT_STARTED]
    assert world.client.at["better"] == started + limits.PATIENCE_NS


def test_two_paths_are_confirmed_side_by_side() -> None:
    """R-54: of two paths that answered the first would be forgotten, though it may be the one that carries L; a chance is taken once."""
    world = seeking()
    world.client.at["last chance"] = Instant(world.now + 10**15)
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else STRAIGHT
    world.cut = set()
    world.run_until(lambda: len(world.client.confirming) == 2)
    assert {each.epoch.path.carrier for each in world.client.confirming} == {Carrier.UDP, Carrier.TCP}
    assert "last chance" not in world.client.at


def test_an_attempt_is_repeated_in_its_moment() -> None:
    """R-30: what is due would be passed over, and be due again at once."""
    world = seeking()
    world.run(50)
    attempt = world.client.attempts[Carrier.UDP]
    before, world.now = len(world.sent), attempt.retry.at
    world.host.does(lambda: world.client.tick(world.now))
    assert attempt.frame in [sent.frame for sent in world.sent[before:]]
    assert attempt.retry.at > world.now


def test_when_new_keys_are_due() -> None:
    """C-15: a client would ask for new keys while it is told to wait, while it moves, or with an attempt that it does not have."""
    world = World(client_policy=UDP_ONLY).connected()
    client, life, epoch = world.client, world.client.life, world.client.committed
    assert life
    assert epoch
    due = (Input.KEY_DUE, Instant(epoch.born + limits.REKEY_AFTER_NS))
    assert due not in client.deadlines(), "nothing was sent under these keys"
    world.host.say()
    assert due in client.deadlines()
    client.at["here"] = Instant(world.now + 1)
    assert due not in client.deadlines()
    del client.at["here"]
    world.network = lambda sender, kind, _frame: () if sender == "gateway" or kind == "CONFIRM" else STRAIGHT
    client.attempt(Carrier.UDP, Change.REKEY, Cause.REKEY, world.now)
    pending = client.attempts.pop(Carrier.UDP)
    assert due in client.deadlines()
    client.attempts[Carrier.UDP] = pending
    assert due not in client.deadlines()
    del client.attempts[Carrier.UDP]
    client.confirming = [Confirming(Epoch(1, 1, (Secret(bytes(32)), Secret(bytes(32))), epoch.path, 1, world.now), pending, world.now)]
    assert due not in client.deadlines()
    client.confirming, kept, life.locators = [], life.locators, {}
    assert due not in client.deadlines()
    life.locators = kept
    assert due in client.deadlines()
