"""What a session carries and what it does not; what becomes of its quality; and that records of refusals stay few."""

from random import Random

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, CloseCode, Event, Reason
from core.session.desk import Policy
from core.session.states import State
from core.values import Instant
from core.wire.inner import Ack, encode
from core.wire.layout import Kind
from core.wire.records import Close, Confirm, Hint, Probe, pack
from lab.sim.device import arrive, confirm, here, inner_ip, judged, knock, payloads, proven, says
from lab.sim.frames import packet, there
from lab.sim.ways import leave, lossy
from lab.sim.world import INNER_GATEWAY, MS, STRAIGHT, World

PROBE_BYTES = 48  # without probes the client would leave such a path
REFUSED, UNPROVEN = Event.SESSION_REFUSED, Event.TRAFFIC_REFUSED


def six(source: bytes, destination: bytes, payload: bytes) -> bytes:
    """Return an IPv6 packet."""
    return b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + b"\x11\x40" + source + destination + payload


def test_a_device_speaks_from_its_own_addresses_alone() -> None:
    """A device could pretend inside to be another."""
    world = World().connected()
    host, epoch, other = world.host, world.client.committed, world.new_host()
    assert epoch
    other.connect()
    outside = bytes(15) + b"\x63"
    good = (packet(host.device.inner4, INNER_GATEWAY), six(host.device.inner6, outside, b"six"))
    bad: tuple[bytes, ...] = (
        packet(bytes((10, 77, 0, 99)), INNER_GATEWAY),
        packet(host.device.inner4[::-1], INNER_GATEWAY),
        six(outside, outside, b"six"),
    )
    bad += (packet(other.device.inner4, INNER_GATEWAY), six(other.device.inner6, outside, b"six"))
    for inner in (*good, *bad):
        says(world, epoch, encode(Kind.IP, inner))
    assert [inner for _, inner in world.delivered] == list(good)
    assert world.reasons(REFUSED) == [Reason.INNER_SOURCE_SPOOFED] * 5


@pytest.mark.parametrize("allowed", [False, True])
def test_devices_reach_each_other_only_where_that_is_allowed(allowed: bool) -> None:
    """One stolen laptop could attack all others."""
    world = World(policy=Policy(device_to_device=allowed)).connected()
    other = world.new_host()
    other.connect()
    world.host.say(b"hello", destination=other.device.inner4)
    world.run(10)
    assert payloads(world) == ([b"hello"] if allowed else [])
    assert world.reasons(REFUSED) == ([] if allowed else [Reason.INNER_DESTINATION_FORBIDDEN])


def test_packets_that_do_not_fit_are_not_sealed() -> None:
    """A packet above M would break the path's promise, at either end."""
    world = World().connected()
    before = len(world.sent)
    world.host.say(bytes(limits.MTU_DEFAULT - 19))
    world.host.tell(bytes(limits.MTU_DEFAULT - 19))
    assert len(world.sent) == before
    world.host.say(bytes(limits.MTU_DEFAULT - 20))
    world.host.tell(bytes(limits.MTU_DEFAULT - 20))
    world.run(10)
    assert (len(world.delivered), len(world.host.down)) == (1, 1)


def test_a_packet_counts_once() -> None:
    """Who records packets could have them delivered again."""
    world = World().connected()
    epoch = world.client.committed
    assert epoch
    ((frame,),) = [run.frames for run in epoch.seal([inner_ip(world.host, b"once")])]
    arrive(world, frame, epoch.path)
    arrive(world, frame, epoch.path)
    garbled = frame[:-1] + bytes((frame[-1] ^ 1,))
    arrive(world, garbled[:8] + (99).to_bytes(8, "little") + garbled[16:], epoch.path)
    assert payloads(world) == [b"once"]
    assert world.reasons(UNPROVEN) == [Reason.COUNTER_REPLAYED, Reason.DATA_TAG_WRONG]
    epoch.counter += limits.WINDOW_PACKETS + 1
    says(world, epoch, inner_ip(world.host, b"far"))
    arrive(world, frame, epoch.path)
    assert world.reasons(UNPROVEN)[-1] is Reason.COUNTER_STALE


BAD_INNER = {
    "kind": bytes((99, 1, 0, 0)) + bytes(12),
    "padding": bytes((1, 20, 0, 0x45, 0, 0, 20)) + bytes(24) + b"\1",
    "ip length": bytes((1, 20, 0, 0x45, 0, 0, 21)) + bytes(25),
    "probe": bytes((5, 1, 0, 0)) + bytes(12),
    "confirm": bytes((3, 1, 0, 0)) + bytes(12),
    "close": bytes((7, 2, 0, 0)) + bytes(12),
    "empty close": bytes((7, 0, 0, 0)) + bytes(12),
    "health": bytes((9, 79, 0)) + bytes(93),
}


@pytest.mark.parametrize("inner", BAD_INNER.values(), ids=BAD_INNER)
def test_an_inner_frame_that_is_not_one_changes_nothing(inner: bytes) -> None:
    """I-2: a device with its keys could stop the gateway, or end a session by an accident of bytes; and the other way round."""
    world = World().connected()
    mine, theirs = world.client.committed, world.session.active
    assert mine
    assert theirs
    before = world.session.facts(), world.client.facts()
    says(world, mine, inner)
    ((frame,),) = [run.frames for run in theirs.seal([inner])]
    world.host.hears(frame, world.host.paths[1])
    assert (world.session.facts(), world.client.facts()) == before
    assert world.reasons(REFUSED) == [Reason.INNER_MALFORMED]
    if inner not in {BAD_INNER["probe"], BAD_INNER["confirm"]}:  # which are not for a client, whatever their form
        assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.INNER_MALFORMED]
    assert not world.delivered
    assert not world.host.down


def test_what_only_the_other_end_may_say_is_refused() -> None:
    """A device could hint the gateway, or the gateway confirm the client."""
    world = World().connected()
    mine, theirs = world.client.committed, world.session.active
    assert mine
    assert theirs
    says(world, mine, encode(Kind.HINT, pack(Hint(1))))
    assert world.reasons(REFUSED) == [Reason.UNEXPECTED_MESSAGE]
    for inner in (encode(Kind.CONFIRM, pack(Confirm(world.policy.mtu))), encode(Kind.PROBE, pack(Probe(1, 2)))):
        ((frame,),) = [run.frames for run in theirs.seal([inner])]
        world.host.hears(frame, world.host.paths[1])
    assert Reason.UNEXPECTED_MESSAGE in world.client_reasons(UNPROVEN)
    resp = next(sent.frame for sent in world.sent if sent.kind == "RESP")
    arrive(world, resp, here(world.host))
    init = next(sent.frame for sent in world.sent if sent.kind == "INIT")
    world.host.hears(init, world.host.paths[1])
    world.host.hears(resp, world.host.paths[1])
    assert Reason.UNEXPECTED_MESSAGE in world.reasons(UNPROVEN)


@pytest.mark.parametrize(("mine", "other"), [(1_280, 1_380), (1_380, 1_280)])
def test_a_wrong_mtu_is_never_confirmed(mine: int, other: int) -> None:
    """R-20: a session would be born with two ideas of what fits; a CONFIRM of a smaller M shows only that a smaller frame is carried."""
    world = World(policy=Policy(mtu=mine), client_policy=ClientPolicy(mtu=mine)).connected()
    epoch = proven(world, here(world.host, 777))
    says(world, epoch, encode(Kind.CONFIRM, pack(Confirm(other))))
    assert not world.session.commit_ticket
    assert world.reasons(REFUSED) == [Reason.INNER_MALFORMED]
    says(world, epoch, confirm(world))
    assert world.session.commit_ticket


def test_quality_goes_down_with_loss_and_up_without() -> None:
    """Nobody would know that a session suffers, or one bad minute would mark it for ever."""
    world = World().connected()
    dice = Random(7)
    world.network = lambda who, _kind, frame: () if who == "client" and len(frame) > PROBE_BYTES and dice.random() < 0.3 else STRAIGHT
    seen: list[State] = []

    def watch() -> None:
        world.host.say()
        if not seen or seen[-1] is not world.session.state:
            seen.append(world.session.state)

    world.run(9_000, watch, step_ms=10)
    world.network = lambda _who, _kind, _frame: STRAIGHT
    world.run(9_000, watch, step_ms=10)
    assert seen == [State.ATTACHED, State.VOLATILE, State.DEGRADED, State.ATTACHED]
    quality = [Reason.QUALITY_LOW, Reason.QUALITY_DEGRADED, Reason.QUALITY_STABLE]
    assert [reason for reason in world.reasons(Event.SESSION_CHANGED) if reason.name.startswith("QUALITY")] == quality
    assert world.reasons(Event.SESSION_MOVED) == []


def test_a_little_loss_is_no_matter() -> None:
    """Every radio link would be called bad."""
    world = World().connected()
    lossy(world, 10)
    world.run(10_000, world.host.say, step_ms=10)
    assert Reason.QUALITY_LOW not in world.reasons(Event.SESSION_CHANGED)


def test_few_packets_say_nothing_about_quality() -> None:
    """Two lost probes of an idle session would make it VOLATILE."""
    world = World().connected()
    lossy(world, 60)
    world.run(20_000, world.host.say, step_ms=250)
    assert Reason.QUALITY_LOW not in world.reasons(Event.SESSION_CHANGED)


def test_traffic_is_sampled_and_silence_is_not() -> None:
    """An idle session would fill the log; a busy one would leave no trace of how much it carried."""
    world = World().connected()
    world.run(9_000, world.host.chat, step_ms=100)
    world.host.off = True
    world.run(30_000)
    samples = [fact for fact in world.facts if fact.event is Event.SESSION_HEALTH]
    assert 1 <= len(samples) <= 2
    received, sent, packets, replies = (sum(column) for column in zip(*(fact.measures for fact in samples), strict=True))
    assert packets >= 90
    assert replies >= 90
    assert received > 32 * 90
    assert sent > 32 * 90


def test_both_ends_sample() -> None:
    """What the client saw could not be compared with what the gateway saw; or a sample would count what the one before it had counted."""
    world = World().connected()
    world.run(21_000, world.host.chat, step_ms=100)
    (ours, ours_later), (theirs, theirs_later) = (
        [fact.measures for fact in facts if fact.event is Event.SESSION_HEALTH] for facts in (world.facts, world.host.facts)
    )
    assert abs(ours[2] - theirs[3]) <= 3
    assert abs(ours[3] - theirs[2]) <= 3
    for first, later in [*zip(ours, ours_later, strict=True), *zip(theirs, theirs_later, strict=True)]:
        assert abs(first - later) < first // 4


def test_nothing_that_was_held_comes_after_the_end() -> None:
    """R-20: packets of a session that its device has closed would be delivered in its name."""
    world = leave(World().connected())
    session, path = world.session, here(world.host, 777)
    attempt = knock(world.host, path)
    epoch, _, _ = judged(world, attempt, arrive(world, attempt.frame, path))
    assert epoch
    world.store.mute = True
    says(world, epoch, confirm(world))
    for inner in (inner_ip(world.host, b"before"), encode(Kind.CLOSE, pack(Close(CloseCode.GOING))), inner_ip(world.host, b"after")):
        says(world, epoch, inner)
    world.release()
    world.run(20)
    assert session.state is State.TERMINATED
    assert payloads(world) == [b"before"]


def test_an_ack_for_another_mtu_is_refused() -> None:
    """A client would take addresses from a binding that was made for frames that it cannot carry."""
    world = World().connected()
    theirs, life = world.session.active, world.client.life
    assert theirs
    assert life
    before = dict(life.locators)
    ack = Ack(7, 1_380, bytes(4), bytes(16), bytes(16), ())
    ((frame,),) = [run.frames for run in theirs.seal([encode(Kind.ACK, ack.pack())])]
    world.host.hears(frame, world.host.paths[1])
    assert life.locators == before
    assert life.binding_version == 1


def test_refusals_of_a_session_are_ten_records_a_second_and_a_sum() -> None:
    """A device could fill the log, or hide how often it tried."""
    world = World().connected()
    epoch = world.client.committed
    assert epoch
    for _ in range(500):
        says(world, epoch, encode(Kind.IP, packet(bytes((10, 77, 0, 99)), INNER_GATEWAY)))
    world.run(1_100)
    facts = [fact for fact in world.facts if fact.reason is Reason.INNER_SOURCE_SPOOFED]
    assert len(facts) == limits.REFUSALS_PER_SECOND + 1
    assert sum(fact.times for fact in facts) == 500


def test_refusals_of_strangers_are_one_record_a_reason_in_ten_seconds() -> None:
    """Anyone on the internet could fill the log."""
    world = World().connected()
    for number in range(3_000):
        arrive(world, bytes((4, 0, 0, 0)) + number.to_bytes(4, "little") + bytes(40), here(world.host, 1 + number))
        arrive(world, bytes(9), here(world.host, 1 + number))
    world.run(10_100)
    for reason in (Reason.INDEX_UNKNOWN, Reason.TYPE_UNKNOWN):
        facts = [fact for fact in world.facts if fact.reason is reason]
        assert len(facts) == 2
        assert sum(fact.times for fact in facts) == 3_000


def test_a_close_of_the_gateway_ends_the_client_only_under_its_keys() -> None:
    """Anyone could end a session."""
    world = World().connected()
    theirs = world.session.active
    assert theirs
    ((frame,),) = [run.frames for run in theirs.seal([encode(Kind.CLOSE, pack(Close(1)))])]
    world.host.hears(frame[:-1] + bytes((frame[-1] ^ 1,)), world.host.paths[1])
    assert world.attached()
    world.host.hears(frame, here(world.host, 4_000))
    assert world.attached()
    assert {Reason.DATA_TAG_WRONG, Reason.UNBOUND_PATH} <= set(world.client_reasons(UNPROVEN))
    world.host.hears(frame, world.host.paths[1])
    assert not world.attached()


def test_a_client_that_slept_does_not_blame_the_path() -> None:
    """Each time a laptop wakes up, or a process was stopped, the session would move for nothing."""
    world = World().connected()
    world.run(300, world.host.chat, step_ms=20)
    world.host.say()
    world.run(30)
    world.now = Instant(world.now + 400 * MS)
    world.run(500, world.host.chat, step_ms=20)
    assert world.attached()
    assert Reason.PATH_SILENT not in world.client_reasons(Event.CLIENT_CHANGED)


def test_a_gateway_that_answers_only_on_tcp_knows_which_streams_matter() -> None:
    """The listener would close streams that carry sessions, or keep those of strangers."""
    world = World()
    world.cut = {Carrier.UDP}
    world.host.connect(500)
    (path,) = world.host.streams
    assert world.gateway.knows(there(path))
    assert world.client.needs(path)
    assert not world.gateway.knows(there(path)._replace(serial=99))
    world.cut = set()
    world.run_until(lambda: bool(world.session.active and world.session.active.path.carrier == Carrier.UDP))
    assert not world.gateway.knows(there(path)), "the session has left it"
    assert not world.client.needs(path._replace(serial=99))
