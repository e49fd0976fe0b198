"""A client's bounds at their very instant: one nanosecond, one byte or one round trip before and after each."""

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.client.states import Input, State
from core.reasons import Carrier, Cause, Event, Reason
from core.values import Instant
from core.wire.epoch import Epoch
from core.wire.inner import encode, encode_ip
from core.wire.layout import Change, Kind
from core.wire.records import Hint, pack
from lab.sim.frames import packet
from lab.sim.world import INNER_GATEWAY, World
from tests.core.client.test_client import says

UDP_ONLY = ClientPolicy(carriers=(Carrier.UDP,))


def down(world: World, payload: bytes) -> bytes:
    """Return the inner frame of an IP packet to the first host."""
    return encode_ip(packet(INNER_GATEWAY, world.host.device.inner4, payload))


def committed(world: World) -> Epoch:
    """Return the epoch that the first host's client speaks under."""
    epoch = world.client.committed
    assert epoch
    return epoch


def tick(world: World, now: int) -> None:
    """Let the client judge its clocks at this instant, and not before."""
    world.now = Instant(now)
    world.host.does(lambda: world.client.tick(world.now))


def test_keys_are_too_old_at_the_instant_of_their_limit() -> None:
    """D-8: packets would be opened for longer than the other end may seal them, or refused while it still may."""
    world = World(client_policy=UDP_ONLY).connected()
    limit = committed(world).born + limits.REJECT_AFTER_NS
    for now, payload in ((limit - 1, b"the last"), (limit, b"too old")):
        world.now = Instant(now)
        says(world, world.session.active, down(world, payload))
    assert [inner[20:] for inner in world.host.down] == [b"the last"]
    assert world.client_reasons(Event.TRAFFIC_REFUSED) == [Reason.KEY_EXPIRED]


def test_a_packet_is_as_long_as_the_inner_network_takes_and_not_longer() -> None:
    """I-3: a client whose M is the smaller one would hand its TUN a packet that does not fit into it."""
    world = World(client_policy=UDP_ONLY).connected()
    for size in (world.client.policy.mtu, world.client.policy.mtu + 1):
        says(world, world.session.active, down(world, bytes(size - 20)))
    assert [len(inner) for inner in world.host.down] == [world.client.policy.mtu]
    assert world.client_reasons(Event.CLIENT_REFUSED) == [Reason.INNER_MALFORMED]


@pytest.mark.parametrize(("late", "state"), [(limits.STALL_NS, State.SEEKING), (limits.STALL_NS + 1, State.ATTACHED)])
def test_a_clock_may_be_late_by_its_allowance_and_not_more(late: int, state: State) -> None:
    """C-42: a busy machine would stay on a dead path for longer than the bound says, or leave a sound one."""
    world = World(client_policy=UDP_ONLY).connected()
    world.network = lambda _sender, _kind, _frame: ()
    world.host.say()
    world.run_until(lambda: world.client.waiting_since is not None)
    since = world.client.waiting_since
    assert since is not None
    due = Instant(since + limits.DEAD_MIN_NS - limits.STALL_NS // 2)
    world.client.at = {"probe": due}
    assert world.client.deadline() == due
    tick(world, due + late)
    assert world.client.state is state


def test_a_path_is_dead_after_four_of_its_round_trips_and_not_later() -> None:
    """C-40: on a slow path each outage would last one round trip more than it must."""
    world = World(client_policy=UDP_ONLY).connected()
    world.client.round_trip_ns, world.client.waiting_since = limits.SECOND, world.now
    silent = [at for heard, at in world.client.deadlines() if heard is Input.PATH_SILENT]
    assert silent == [world.now + 4 * limits.SECOND]


def test_an_attempt_is_given_up_at_the_instant_of_its_limit() -> None:
    """R-56: a client would repeat an attempt that the gateway holds no more, and wait for it before it makes another."""
    world = World(client_policy=UDP_ONLY).connected()
    client = world.client
    world.network = lambda _sender, _kind, _frame: ()
    client.attempt(Carrier.UDP, Change.REKEY, Cause.REKEY, world.now)
    attempt = client.attempts[Carrier.UDP]
    over = attempt.started + limits.CANDIDATE_NS
    client.repeat(Instant(over - 1))
    assert client.attempts == {Carrier.UDP: attempt}
    client.repeat(Instant(over))
    assert client.attempts == {}


def test_what_was_sent_before_the_new_keys_does_not_wear_them() -> None:
    """C-15: a packet that went out under the old keys in the instant of the new ones would have an idle client renew those."""
    world, answers = World(client_policy=UDP_ONLY).connected(), list[bytes]()

    def network(_sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if kind == "REATTACH_RESP":
            answers.append(frame)
            return ()
        return (0,)

    world.network = network
    says(world, world.session.active, encode(Kind.HINT, pack(Hint(Change.REKEY))))
    world.run_until(lambda: bool(answers), 1_000)
    world.host.say()
    world.host.hears(answers[0], world.host.paths[Carrier.UDP])
    world.run(20)
    epoch = committed(world)
    assert (epoch.attempt, epoch.born) == (1, world.client.sent_at)
    assert Input.KEY_DUE not in dict(world.client.deadlines())
    world.host.say()
    assert dict(world.client.deadlines())[Input.KEY_DUE] == epoch.born + limits.REKEY_AFTER_NS
