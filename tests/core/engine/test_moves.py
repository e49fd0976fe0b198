"""A session goes where its client goes: other carrier, other address, unnoticed address; and never where only a stranger says."""

from functools import partial

from core import limits
from core.client.states import State
from core.reasons import Carrier, Event, Reason, Status
from core.session.states import State as SessionState
from core.values import CompareAndSet, Endpoint, PathEvent
from core.wire.messages import data_header
from lab.sim.device import arrive, confirm, here, inner_ip, judged, knock, payloads, proven, says
from lab.sim.frames import there, v4
from lab.sim.ways import leave
from lab.sim.world import GATEWAY_AT, MS, World

HINT_EVERY_MS = limits.HINT_INTERVAL_NS // MS


def moves(world: World) -> int:
    """Count the durable writes of moves."""
    return sum(isinstance(ask.operation, CompareAndSet) for ask in world.store.asked)


def test_from_a_black_hole_to_tcp_and_back() -> None:
    """Where UDP dies in the middle of work the session would die with it, or stay on the fallback for ever."""
    world = World().connected()
    host, correlation = world.host, world.session.correlation
    world.cut = {Carrier.UDP}
    world.run(1_000, host.chat)
    assert world.session.active
    assert world.session.active.path.carrier == Carrier.TCP
    assert world.client_reasons(Event.CLIENT_MOVED) == [Reason.MOVED_PATH_DEAD]
    world.cut = set()
    world.run(6_000, host.chat, step_ms=50)
    assert world.session.active.path.carrier == Carrier.UDP
    assert world.client_reasons(Event.CLIENT_MOVED) == [Reason.MOVED_PATH_DEAD, Reason.MOVED_BETTER]
    assert world.session.correlation == correlation
    assert moves(world) == 2, "one durable write a move"
    carriers = [(fact.carrier_from, fact.carrier_to) for fact in world.store.outbox]
    assert carriers == [(0, Carrier.UDP), (Carrier.UDP, Carrier.TCP), (Carrier.TCP, Carrier.UDP)]


def test_an_address_that_changes_with_notice() -> None:
    """A client on the move would wait for a time-out although it knows."""
    world = World().connected()
    world.host.move(v4(99))
    world.run(20)
    assert world.attached()
    assert world.reasons(Event.SESSION_MOVED) == [Reason.MOVED_ADDRESS_CHANGED]


def test_an_address_that_changes_without_notice_is_hinted() -> None:
    """Behind a router that forgets, a session would be dead until the client's patience ends, or roam to whoever sends a copy."""
    world = World().connected()
    world.host.nat = Endpoint(v4(250), 4_444)
    world.host.say(b"from elsewhere")
    world.run(30)
    assert world.reasons(Event.SESSION_MOVED) == [Reason.MOVED_HINTED]
    assert world.session.active
    assert world.session.active.path.remote == world.host.nat
    assert b"from elsewhere" not in payloads(world), "what came from an unproven path is not delivered"


def test_from_an_unbound_path_nothing_counts() -> None:
    """Who copies packets to another address would use up the window, deliver, or move the session."""
    world = World().connected()
    session, epoch = world.session, world.client.committed
    assert session.active
    assert epoch
    elsewhere = here(world.host, 999)
    before = (session.active.top, session.active.bitmap, session.facts())
    hints = [says(world, epoch, inner_ip(world.host, b"copy"), elsewhere) for _ in range(20)]
    assert [len(each) for each in hints] == [1] + [0] * 19
    assert (session.active.top, session.active.bitmap, session.facts()) == before
    assert not world.delivered
    assert world.reasons(Event.SESSION_REFUSED) == [Reason.UNBOUND_PATH]
    world.run(HINT_EVERY_MS - 0.001)
    assert len(says(world, epoch, inner_ip(world.host, b"copy"), elsewhere)) == 0
    world.run(0.001)
    assert len(says(world, epoch, inner_ip(world.host, b"copy"), elsewhere)) == 1


def test_garbage_and_copies_from_elsewhere_get_no_hint() -> None:
    """A stranger could make the gateway send, or the client move."""
    world = World().connected()
    world.host.say()
    world.run(10)
    recorded = next(sent.frame for sent in reversed(world.sent) if sent.sender == "client")
    elsewhere = here(world.host, 999)
    assert not arrive(world, recorded, elsewhere)
    assert world.session.active
    newer = recorded[:8] + (world.session.active.top + 5).to_bytes(8, "little") + bytes(32)
    assert not arrive(world, newer, elsewhere)
    assert not world.reasons(Event.SESSION_REFUSED)


def test_a_forged_packet_does_not_use_up_the_hint() -> None:
    """R-40: a stranger's newer counter, once a second, would keep a client behind a router that forgot it without a hint for ever."""
    world = World().connected()
    epoch, elsewhere = world.client.committed, here(world.host, 999)
    assert epoch
    assert not arrive(world, data_header(epoch.peer_index, 5_000) + bytes(32), elsewhere)
    assert len(says(world, epoch, inner_ip(world.host, b"genuine"), elsewhere)) == 1
    assert Reason.DATA_TAG_WRONG in world.reasons(Event.TRAFFIC_REFUSED)


def test_a_client_obeys_one_hint_a_second() -> None:
    """A gateway, or a client's own reordered packets, could make it move in a loop."""
    world = World().connected()
    session = world.session
    assert session.active
    hint = bytes((8, 1, 0, 1)) + bytes(12)
    path = world.host.paths[1]
    for _ in range(5):
        ((frame,),) = [run.frames for run in session.active.seal([hint])]
        world.host.hears(frame, path)
    assert world.client_reasons(Event.CLIENT_CHANGED).count(Reason.HINT_OBEYED) == 1


def test_the_same_request_gets_the_same_answer() -> None:
    """A lost answer would cost an attempt, or a second answer would have other keys than the first."""
    world = World().connected()
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    first = arrive(world, attempt.frame, path)
    candidate = world.session.candidate
    assert arrive(world, attempt.frame, path) == first
    assert world.session.candidate is candidate
    assert judged(world, attempt, first)[1] is Status.OK


def test_the_same_request_from_elsewhere_is_a_replay() -> None:
    """Who copies a REATTACH could draw the session to himself."""
    world = World().connected()
    path = here(world.host, 777)
    attempt = knock(world.host, path)
    arrive(world, attempt.frame, path)
    candidate = world.session.candidate
    assert not arrive(world, attempt.frame, here(world.host, 778))
    assert world.session.candidate is candidate
    assert world.reasons(Event.SESSION_REFUSED) == [Reason.REATTACH_REPLAYED]


def test_a_candidate_is_confirmed_from_its_own_path_alone() -> None:
    """A CONFIRM that someone carries elsewhere would bind the session there."""
    world = World().connected()
    epoch = proven(world, here(world.host, 777))
    assert not says(world, epoch, confirm(world), here(world.host, 778))
    assert not world.session.commit_ticket
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket


def test_the_binding_does_not_move_before_the_commit() -> None:
    """Whoever provokes attempts would cut a healthy session off."""
    world = World().connected()
    old = world.session.active
    epoch = proven(world, here(world.host, 777))
    assert world.session.active is old
    world.store.mute = True
    says(world, epoch, confirm(world))
    world.run(10)
    assert world.session.active is old
    world.host.say(b"on the old path")
    world.run(10)
    assert payloads(world) == [b"on the old path"]


def test_the_higher_attempt_wins() -> None:
    """Of two paths tried at once the older one could win, and the ends would disagree."""
    world = World().connected()
    older, newer = proven(world, here(world.host, 777)), proven(world, here(world.host, 778))
    assert not says(world, older, confirm(world))
    assert not world.session.commit_ticket
    assert Reason.CONFIRM_STALE in world.reasons(Event.TRAFFIC_REFUSED)
    says(world, newer, confirm(world))
    world.run(10)
    assert world.session.active
    assert world.session.active.path == there(newer.path)


def test_late_packets_of_the_old_path_are_delivered_for_two_seconds() -> None:
    """A move would lose what is still on its way; or an old key would be good for ever."""
    world = World().connected()
    old, new = world.client.committed, proven(world, here(world.host, 777))
    assert old
    says(world, new, confirm(world))
    world.run(10)
    says(world, old, inner_ip(world.host, b"late"))
    says(world, old, inner_ip(world.host, b"late, elsewhere"), new.path)
    assert payloads(world) == [b"late"]
    facts = world.session.facts()
    says(world, old, bytes((7, 1, 0, 1)) + bytes(12))
    assert world.session.facts() == facts, "an old epoch changes no state"
    world.run(limits.DRAINING_NS // MS)
    says(world, old, inner_ip(world.host, b"too late"))
    assert payloads(world) == [b"late"]
    assert world.session.draining is None
    assert Reason.INDEX_UNKNOWN in world.reasons(Event.TRAFFIC_REFUSED)


def test_the_client_too_hears_the_old_path_for_two_seconds() -> None:
    """What the gateway had sent before a move would be lost."""
    world = World().connected()
    session = world.session
    old, old_path = session.active, world.host.paths[1]
    assert old
    world.host.move(v4(99))
    world.run(20)

    def late(payload: bytes) -> None:
        ((frame,),) = [run.frames for run in old.seal([inner_ip(world.host, payload)])]
        world.host.hears(frame, old_path)

    late(b"late")
    assert [inner[20:] for inner in world.host.down] == [b"late"]
    world.run(limits.DRAINING_NS // MS)
    late(b"too late")
    assert [inner[20:] for inner in world.host.down] == [b"late"]


def test_packets_before_the_commit_are_held_and_delivered_in_order() -> None:
    """A client that sends right behind its CONFIRM would lose packets, or deliver them before anyone else knows the move."""
    world = World().connected()
    world.store.silent = True
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    for number in range(limits.HELD_PACKETS + 3):
        says(world, epoch, inner_ip(world.host, bytes((number,))))
    assert not world.delivered
    world.release()
    world.run(10)
    assert payloads(world) == [bytes((number,)) for number in range(limits.HELD_PACKETS)]
    assert world.reasons(Event.SESSION_REFUSED) == [Reason.PENDING_FULL_DATA] * 3
    measured = next(fact for fact in world.facts if fact.event is Event.MOVE_MEASURED)
    assert measured.measures[2] == limits.HELD_PACKETS


def test_held_bytes_are_bounded_too() -> None:
    """Large packets would fill the gateway's memory before a commit."""
    world = World().connected()
    world.store.silent = True
    epoch = proven(world, here(world.host, 777))
    assert world.session.candidate
    world.session.candidate.held_bytes = limits.HELD_BYTES - 30
    says(world, epoch, inner_ip(world.host, bytes(11)))
    assert not world.session.candidate.held
    says(world, epoch, inner_ip(world.host, bytes(10)))
    assert len(world.session.candidate.held) == 1


def test_what_was_held_for_a_lost_commit_is_not_delivered() -> None:
    """Packets would come in on a path that was never bound."""
    world = World().connected()
    world.store.silent = True
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    says(world, epoch, inner_ip(world.host, b"held"))
    world.store.failing = True
    world.release()
    world.run(10)
    assert not world.delivered


def test_malformed_frames_that_were_held_are_refused_when_their_turn_comes() -> None:
    """A device could stop the whole gateway with one frame behind its CONFIRM."""
    world = World().connected()
    world.store.silent = True
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, confirm(world))
    says(world, epoch, bytes((5, 1, 0, 7)) + bytes(12))  # a PROBE of one byte
    says(world, epoch, bytes((2, 1, 0, 7)) + bytes(12))  # a SEGMENT of one byte
    says(world, epoch, inner_ip(world.host, b"after it"))
    world.release()
    world.run(10)
    assert world.session.state is SessionState.ATTACHED
    assert payloads(world) == [b"after it"]
    assert Reason.INNER_MALFORMED in world.reasons(Event.SESSION_REFUSED)


def test_a_stream_that_closes_while_its_birth_is_asked_leaves_no_bound_session() -> None:
    """A session would count as attached on a connection that is gone, for three minutes."""
    world = World()
    world.refused, world.store.silent = {Carrier.UDP}, True
    world.host.connect(700)
    assert world.session.commit_ticket
    leave(world)
    path = next(iter(world.host.streams))
    world.gateway_does(lambda: world.gateway.path_event(there(path), PathEvent.CLOSED, world.now))
    world.release()
    world.run(10)
    assert world.session.state is SessionState.RECOVERING
    assert not world.session.active


def test_a_stream_that_closes_while_its_move_is_asked_is_not_forgotten() -> None:
    """The same, for a session that was looking for a path when it closed, and whatever closes after it."""
    world = leave(World().connected())
    world.run_until(lambda: world.session.state is SessionState.RECOVERING)
    world.store.silent = True
    paths = [here(world.host, 700 + serial, Carrier.TCP, serial) for serial in (1, 2)]
    _, epoch = [proven(world, path) for path in paths]
    says(world, epoch, confirm(world))
    for path in reversed(paths):
        world.gateway_does(partial(world.gateway.path_event, there(path), PathEvent.CLOSED, world.now))
    world.release()
    world.run(10)
    assert world.session.state is SessionState.RECOVERING


def test_loss_on_the_old_path_is_not_held_against_the_new_one() -> None:
    """A session would be VOLATILE right after it left the path that made it so."""
    world = World().connected()
    session = world.session
    assert session.active
    session.active.top += 60  # as if sixty packets had been lost
    session.quality_at = world.now
    session.quality_from = (0, 0)
    world.store.silent = True
    says(world, proven(world, here(world.host, 777)), confirm(world))
    leave(world)
    world.run(5)
    world.release()
    world.run(20)
    assert session.state is SessionState.ATTACHED


def test_a_better_carrier_that_cannot_be_opened_is_not_asked_for_all_the_time() -> None:
    """A client on its fallback would spin, and its log would fill."""
    world = World().connected()
    world.cut, world.refused = {Carrier.UDP}, {Carrier.UDP}
    world.host.close(Carrier.UDP)
    world.run(60_000, world.host.chat, step_ms=500)
    assert world.attached()
    assert world.client_reasons(Event.CLIENT_CHANGED).count(Reason.ATTEMPT_STARTED) <= 4


def test_no_path_at_all_and_back() -> None:
    """A client that cannot even open a socket for a while would never try again."""
    world = World().connected()
    correlation = world.session.correlation
    world.refused = {Carrier.UDP, Carrier.TCP}
    world.host.close(Carrier.UDP)
    world.run(20_000)
    assert world.client.state is State.SEEKING
    world.refused = set()
    world.run(3_000)
    assert world.attached()
    assert world.session.correlation == correlation
    assert GATEWAY_AT.port
