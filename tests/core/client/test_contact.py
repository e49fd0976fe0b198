"""How a client reaches the gateway, and how it knows that it no longer does: what is not a row of its table."""

from itertools import pairwise

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.client.states import PRIORITY, Input, State
from core.reasons import Carrier, Event, Reason
from core.values import Connect, Endpoint, Instant, Path
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Hint, pack
from lab.sim.frames import Sent, v4
from lab.sim.world import GATEWAY_AT, World

UDP_ONLY = ClientPolicy(carriers=(Carrier.UDP,))


def frames(world: World, kind: str) -> list[Sent]:
    """Return what the client sent of a kind."""
    return [sent for sent in world.sent if (sent.sender, sent.kind) == ("client", kind)]


def connecting(policy: ClientPolicy = UDP_ONLY, *lost: str) -> World:
    """Return a world whose client was told to connect; frames of these kinds are lost."""
    world = World(client_policy=policy)
    world.network = lambda _sender, kind, _frame: () if kind in lost else (0,)
    world.host.does(lambda: world.client.command(Connect(), world.now))
    return world


def test_each_init_is_fresh() -> None:
    """H-30, H-32: a gateway drops an INIT that it knows; or a network that is away would be asked for ever."""
    world = connecting(UDP_ONLY, "RESP")
    at: list[int] = []
    while world.client.state is State.CONNECTING:
        before = len(frames(world, "INIT"))
        world.run(1)
        at += [world.now // limits.MILLISECOND] * (len(frames(world, "INIT")) - before)
    inits = frames(world, "INIT")
    assert len({sent.frame[8:40] for sent in inits}) == len(inits) == limits.HANDSHAKE_TRIES
    assert [after - before for before, after in pairwise(at)] == pytest.approx([1_000, 2_000, 4_000], abs=3)
    assert world.client_reasons(Event.CLIENT_ENDED) == [Reason.HANDSHAKE_UNANSWERED]


def test_the_next_carrier_is_tried_beside() -> None:
    """H-31: where UDP is swallowed, connecting would take until UDP is given up."""
    world = connecting(ClientPolicy())
    world.cut = {Carrier.UDP}
    world.run(300)
    assert {sent.path.carrier for sent in frames(world, "INIT")} == {Carrier.UDP, Carrier.TCP}
    assert world.attached()


def test_confirm_is_repeated_until_an_ack() -> None:
    """H-33: one lost datagram would cost a whole handshake; or a client would believe in a session that has no locators."""
    world = connecting(UDP_ONLY, "ACK")
    world.run(400)
    assert world.client.state is State.CONNECTING
    assert len(frames(world, "CONFIRM")) >= 3
    assert len({sent.frame for sent in frames(world, "CONFIRM")}) == len(frames(world, "CONFIRM"))
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(1_000)
    assert world.attached()
    assert world.client.life
    assert world.client.life.locators


def test_keys_that_the_gateway_forgot_are_dropped() -> None:
    """H-34: a network that fails for six seconds in the middle of a handshake would leave a client that confirms for ever."""
    world = connecting(UDP_ONLY, "CONFIRM")
    world.run(limits.PENDING_NS / limits.MILLISECOND + 100)
    assert len(frames(world, "INIT")) >= 2
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(2_000)
    assert world.attached()


@pytest.mark.parametrize("carriers", [(Carrier.UDP, Carrier.TCP), (Carrier.UDP,)])
def test_a_lost_session_is_sought_everywhere(carriers: tuple[Carrier, ...]) -> None:
    """R-50, R-51: a client would wait on one carrier, or use up an attempt for each packet."""
    world = World(client_policy=ClientPolicy(carriers=carriers)).connected()
    world.network = lambda sender, _kind, _frame: () if sender == "gateway" else (0,)
    world.host.move(v4(77))
    world.run(2_000)
    attempts = frames(world, "REATTACH")
    assert {sent.path.carrier for sent in attempts} == set(carriers)
    first = {carrier: {sent.frame for sent in attempts if sent.path.carrier == carrier} for carrier in carriers}
    assert [len(each) for each in first.values()] == [1] * len(carriers)
    assert len(attempts) >= 5 * len(carriers)


def test_without_a_locator_only_a_handshake_is_left() -> None:
    """R-52: a client that used up its attempts would be silent until its transport is lost."""
    world = World(client_policy=UDP_ONLY).connected()
    assert world.client.life
    world.client.life.locators.clear()
    world.host.move(v4(77))
    world.run(2_000)
    assert not frames(world, "REATTACH")
    assert world.client_reasons(Event.CLIENT_ATTACHED) == [Reason.HANDSHAKE_COMPLETED, Reason.SESSION_LOST]


def test_the_first_packet_of_the_new_epoch_commits() -> None:
    """R-53, R-54: the two ends would disagree about where the session is; CONFIRMs under one nonce would show their keys."""
    world = World(client_policy=UDP_ONLY).connected()
    before = len(frames(world, "CONFIRM"))
    world.network = lambda sender, kind, _frame: () if kind == "ACK" else (0,)
    world.host.move(v4(77))
    world.run_until(lambda: world.session.binding_version == 2)
    assert world.client.state is State.SEEKING
    world.host.tell(b"first of the new epoch")
    world.run(10)
    assert world.attached()
    assert world.client.committed
    assert (world.client.committed.attempt, len(world.client.confirming), world.client.attempts) == (1, 1, {})
    world.run(500)
    confirms = [sent.frame for sent in frames(world, "CONFIRM")[before:]]
    assert len(set(confirms)) == len(confirms) >= 3


def test_a_path_that_does_not_carry_l_is_given_up() -> None:
    """R-54: a session would be bound to a path on which large packets vanish."""
    world = World().connected()
    world.network = lambda _sender, kind, _frame: () if kind in {"CONFIRM", "ACK"} else (0,)
    world.host.move(v4(77))
    world.run(5_000)
    assert Reason.PATH_MTU_TOO_SMALL in world.client_reasons(Event.CLIENT_CHANGED)
    assert world.reasons(Event.SESSION_MOVED) == []


@pytest.mark.parametrize("outage_s", [2, 8, 40])
@pytest.mark.parametrize("latency_ms", [2, 100, 300])
def test_answers_that_were_lost_for_a_while_cost_no_session(outage_s: int, latency_ms: int) -> None:
    """R-55: a one-way outage, or a slow path, would replace the session; or leave two that share one address, and the device deaf."""
    world = World(client_policy=UDP_ONLY, latency_ms=latency_ms)
    world.host.connect(3_000)
    life = world.client.life
    assert life
    world.network = lambda sender, _kind, _frame: () if sender == "gateway" else (0,)
    world.run(outage_s * 1_000, world.host.say, step_ms=100)
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(30_000, world.host.chat, step_ms=50)
    assert world.client.life is life
    assert world.attached()
    down = len(world.host.down)
    world.run(5_000, world.host.chat, step_ms=50)
    assert len(world.host.down) - down > 80


def test_a_chance_that_was_taken_is_not_withdrawn() -> None:
    """R-55: a few lost CONFIRMs behind a proven attempt would replace the session after all."""
    world = World(client_policy=UDP_ONLY).connected()
    life = world.client.life

    def moves() -> set[bytes]:
        return {each.epoch.peer_index.to_bytes(4, "little") for each in world.client.confirming}

    world.network = lambda sender, _kind, _frame: () if sender == "gateway" else (0,)
    world.run(8_000, world.host.say, step_ms=100)
    world.network = lambda _sender, kind, frame: () if kind == "CONFIRM" and frame[4:8] in moves() else (0,)
    world.run_until(lambda: bool(world.client.confirming))
    world.run(2 * limits.LAST_CHANCE_NS / limits.MILLISECOND)
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(2_000, world.host.chat)
    assert world.attached()
    assert world.client.life is life


def test_a_busy_path_is_probed_often() -> None:
    """C-40: a dead path would be noticed late, or an idle phone be kept awake."""
    world = World().connected()
    world.run(2_000)
    idle = len(frames(world, "DATA"))
    world.run(10_000)
    assert len(frames(world, "DATA")) - idle <= 3
    world.host.say()
    busy = len(frames(world, "DATA"))
    world.run(500)
    assert len(frames(world, "DATA")) - busy >= 8
    world.cut = {Carrier.UDP, Carrier.TCP}
    world.host.say()
    world.run(100 + limits.DEAD_MIN_NS / limits.MILLISECOND)
    assert world.client_reasons(Event.CLIENT_CHANGED)[-1] is Reason.PATH_SILENT


def test_the_order_of_what_is_due() -> None:
    """C-41: a client that slept too long would seek a session that is over."""
    world = World().connected()
    assert set(PRIORITY) == set(Input)
    world.now = Instant(world.now + (limits.LIFETIME_S + 10) * limits.SECOND)
    world.host.does(lambda: world.client.tick(world.now))
    assert world.client_reasons(Event.CLIENT_ENDED) == [Reason.LIFETIME_OVER]
    world.run(10)


def test_a_process_that_stood_still_blames_no_path() -> None:
    """C-42: each pause of the machine would make every client move at once."""
    world = World().connected()
    world.network = lambda _sender, _kind, _frame: ()
    world.host.say()
    world.run_until(lambda: world.client.waiting_since is not None)
    world.network = lambda _sender, _kind, _frame: (0,)
    world.now = Instant(world.now + limits.SECOND)
    world.host.does(lambda: world.client.tick(world.now))
    assert world.attached()
    world.run(200)
    assert Reason.PATH_SILENT not in world.client_reasons(Event.CLIENT_CHANGED)


@pytest.mark.parametrize(("kind", "born"), [("RESP", False), ("REATTACH_RESP", True)])
def test_an_answer_counts_only_where_it_was_asked_for(kind: str, born: bool) -> None:
    """R-51, D-20: who carries an answer to another of the client's networks would bring the session where it did not ask."""
    world = World(client_policy=UDP_ONLY)
    if born:
        world.connected()
    world.network = lambda sender, _kind, _frame: () if sender == "gateway" else (0,)
    if born:
        world.host.move(v4(77))
        world.run(20)
    else:
        world.host.connect(20)
    frame = next(sent.frame for sent in reversed(world.sent) if sent.kind == kind)
    path = world.host.paths[Carrier.UDP]
    before = world.client.facts(), list(world.client.confirming)
    world.host.hears(frame, path._replace(local=path.local._replace(port=1)))
    assert (world.client.facts(), world.client.confirming) == before
    assert Reason.UNEXPECTED_MESSAGE in world.client_reasons(Event.TRAFFIC_REFUSED)
    world.host.hears(frame, path)
    assert world.client.newborn or world.client.confirming


def test_hints_are_obeyed_once_a_second() -> None:
    """C-43: a gateway that hints without end would make a client use up its attempts."""
    world = World().connected()
    epoch = world.session.active
    assert epoch
    for _ in range(20):
        (run,) = epoch.seal([encode(Kind.HINT, pack(Hint(Change.MOVE)))])
        world.host.hears(run.frames[0], world.host.paths[Carrier.UDP])
    assert world.client_reasons(Event.CLIENT_CHANGED).count(Reason.HINT_OBEYED) == 1
    world.run(200)
    assert world.attached()


def test_no_hint_is_obeyed_while_a_refusal_says_to_wait() -> None:
    """C-43: whoever relays hints would make a client use up its locators, and with them its session."""
    world = World(client_policy=UDP_ONLY).connected()
    world.session.moves = ((world.now, "rekey"),) * limits.REKEYS_PER_MINUTE
    life = world.client.life
    assert life

    def hint() -> None:
        epoch = world.session.active
        assert epoch
        (run,) = epoch.seal([encode(Kind.HINT, pack(Hint(Change.MOVE)))])
        world.host.hears(run.frames[0], world.host.paths[Carrier.UDP])

    world.run(55_000, hint, step_ms=1_001)
    assert life.next == 2
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.SWITCH_LIMIT]
    world.run(10_000, hint, step_ms=1_001)
    assert world.session.active
    assert world.session.active.attempt > 1, "what was refused is tried again after its time"


@pytest.mark.parametrize("burnt", [True, False], ids=["a copy was first", "answers were lost"])
def test_an_attempt_that_is_never_answered_is_given_up_while_attached(burnt: bool) -> None:
    """R-56: one lost exchange would keep a client from renewing its keys, until they are too old and the session has no path."""
    world = World(client_policy=UDP_ONLY).connected()
    host, lost_until = world.host, [0]

    def network(_sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if kind == "REATTACH" and not lost_until[0]:
            lost_until[0] = world.now + 6 * limits.SECOND
            if burnt:
                world.inject(frame, Path(Carrier.UDP, 0, GATEWAY_AT, Endpoint(v4(66), 6)))
        return () if kind == "REATTACH_RESP" and not burnt and world.now < lost_until[0] else (0,)

    world.network = network
    world.run(limits.REJECT_AFTER_NS // limits.MILLISECOND + 5_000, host.chat, step_ms=50)
    assert world.client_reasons(Event.CLIENT_MOVED) == [Reason.REKEYED]
    assert Reason.KEY_EXPIRED not in world.client_reasons(Event.CLIENT_CHANGED)
    assert world.client.committed
    assert world.client.committed.attempt == 2


def test_a_long_outage_does_not_use_up_the_locators() -> None:
    """R-56: a client that comes back after ten minutes in a tunnel would have lost its session."""
    world = World().connected()
    life = world.client.life
    assert life
    world.network = lambda _sender, _kind, _frame: ()
    world.host.say()
    world.run(600_000, step_ms=100)
    assert world.client.state is State.SEEKING
    assert life.next <= 4
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(limits.REATTACH_RETRY_CAP_NS // limits.MILLISECOND + 50)
    assert world.attached(), "what is pending was repeated all the time"
    assert world.client.life is life


def test_a_path_that_does_not_carry_l_costs_few_locators() -> None:
    """R-54: a client that cannot confirm its new keys where it is would try without a pause until no locator is left to jump with."""
    world = World(client_policy=UDP_ONLY).connected()
    life = world.client.life
    assert life
    world.network = lambda _sender, kind, _frame: () if kind == "CONFIRM" else (0,)
    world.run(limits.REJECT_AFTER_NS // limits.MILLISECOND - 2_000, world.host.chat, step_ms=50)
    assert Reason.PATH_MTU_TOO_SMALL in world.client_reasons(Event.CLIENT_CHANGED)
    assert world.attached()
    assert life.next <= 4


def test_a_new_index_names_no_other_epoch() -> None:
    """D-3: packets of one epoch would be opened under the keys of another."""
    world = World(client_policy=UDP_ONLY).connected()
    committed, real = world.client.committed, world.client._entropy
    assert committed
    draws = [committed.index] * 3

    def entropy(length: int) -> bytes:
        return draws.pop().to_bytes(4, "little") if length == 4 and draws else real(length)

    world.client._entropy = entropy
    world.host.move(v4(77))
    world.run(100)
    assert not draws
    assert world.attached()
    assert world.client.committed
    assert world.client.committed.index != committed.index
