"""A session ends by order, by its device, by time, by revocation, by a newer one; nothing of it is left, and nothing brings it back."""

from collections.abc import Callable
from typing import Final

import pytest

from core import limits
from core.client.attempts import Life
from core.client.states import State as ClientState
from core.reasons import Event, Reason
from core.session.desk import Policy
from core.session.session import Session
from core.session.states import State
from core.values import ROW_LIVE, ROW_TOMBSTONE, Admission, AllowList, CloseSession, Device, PathEvent, Settle
from lab.sim.device import here, payloads
from lab.sim.frames import there, v4
from lab.sim.ways import forgotten, leave, pending
from lab.sim.world import MS, World

ENDED = Event.SESSION_ENDED


def by_operator(world: World) -> None:
    """An operator's order."""
    world.gateway_does(lambda: world.gateway.command(CloseSession(world.session.handle), world.now))


def by_user(world: World) -> None:
    """The user's order."""
    world.host.does(lambda: world.client.command(CloseSession(), world.now))


def by_revocation(world: World) -> None:
    """The device is not allowed any more."""
    world.gateway_does(lambda: world.gateway.command(AllowList({}), world.now))


def by_other_addresses(world: World) -> None:
    """The device is given other inner addresses."""
    device = world.host.device
    changed = Device(device.public, bytes((10, 77, 3, 3)), device.inner6)
    world.gateway_does(lambda: world.gateway.command(AllowList({device.public: changed}), world.now))


def by_list_of_revocations(world: World) -> None:
    """A signed list revokes the device's key."""
    order = Admission(None, {world.host.device.public: Reason.KEY_REVOKED})
    world.gateway_does(lambda: world.gateway.command(order, world.now))


def by_key_s_time(world: World) -> None:
    """The time of the gateway's key is over."""
    order = Admission(Reason.KEY_OUTDATED, {world.static.public: Reason.KEY_OUTDATED})
    world.gateway_does(lambda: world.gateway.command(order, world.now))


def by_age(world: World) -> None:
    """The end of the lifetime."""
    world.run(60_000, world.host.chat, step_ms=1_000)


def by_absence(world: World) -> None:
    """The client does not come back."""
    leave(world).run(60_000)


WAYS: Final[dict[str, tuple[Callable[[World], None], Reason, Reason]]] = {
    "operator": (by_operator, Reason.CLOSED_BY_OPERATOR, Reason.CLOSED_BY_PEER),
    "user": (by_user, Reason.CLOSED_BY_PEER, Reason.CLOSED_BY_OPERATOR),
    "revocation": (by_revocation, Reason.KEY_REVOKED, Reason.CLOSED_BY_PEER),
    "other addresses": (by_other_addresses, Reason.KEY_REVOKED, Reason.CLOSED_BY_PEER),
    "list": (by_list_of_revocations, Reason.KEY_REVOKED, Reason.CLOSED_BY_PEER),
    "key's time": (by_key_s_time, Reason.KEY_OUTDATED, Reason.CLOSED_BY_PEER),
    "age": (by_age, Reason.LIFETIME_OVER, Reason.CLOSED_BY_PEER),
    "absence": (by_absence, Reason.TRANSPORT_LOST, Reason.TRANSPORT_LOST),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_an_end(way: str) -> None:
    """Keys, indices or routes of an ended session would stay; the store would have it alive; or the client would not know."""
    end, reason, told = WAYS[way]
    world = World(policy=Policy(lifetime_s=50 if way == "age" else 3_600, transport_loss_ns=20_000 * MS)).connected()
    session: Session = world.session
    life = world.client.life
    end(world)
    world.run(50)
    assert world.reasons(ENDED) == [reason]
    assert [row.state for row in world.store.rows.values()] == [ROW_TOMBSTONE]
    assert session.state is State.TERMINATED
    assert (session.secrets, session.active, session.candidate, session.draining) == (None, None, None, None)
    desk = world.desk
    assert [len(each) for each in (desk.sessions, desk.indices, desk.routes, desk.by_device)] == [0, 0, 0, 0]
    if way != "absence":
        assert world.client.state is ClientState.CLOSED
        assert world.client_reasons(Event.CLIENT_ENDED) == [told] or way == "age"
        assert (world.client.life, world.client.committed, world.client.confirming) == (None, None, [])
    nothing_is_left(world, life)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_that_no_store_takes_is_recorded_when_the_row_has_expired(way: str) -> None:
    """An end would leave no trace, or its session would stay in memory for ever, where the store never comes back."""
    end, reason, _ = WAYS[way]
    world = World(policy=Policy(lifetime_s=50 if way == "age" else 100, transport_loss_ns=20_000 * MS)).connected()
    world.store.failing = True
    end(world)
    world.host.off = True
    world.run(120_000)
    assert not world.desk.sessions
    assert world.ends() == [reason]
    assert world.reasons(ENDED) == []


def test_a_device_that_is_revoked_before_its_session_is_born() -> None:
    """A revoked device could still confirm the handshake that it had begun."""
    world = pending()
    by_revocation(world)
    world.run(50)
    assert world.ends() == [Reason.KEY_REVOKED]
    assert not world.desk.sessions
    assert not world.store.rows


def nothing_is_left(world: World, life: Life | None) -> None:
    """Send everything that the client ever sent once more: the gateway says nothing and knows nobody."""
    before = len(world.sent)
    world.host.off = True
    for sent in list(world.sent):
        if sent.sender == "client" and sent.kind != "INIT":
            world.inject(sent.frame, there(sent.path))
    assert life
    assert len(world.sent) == before
    assert not world.delivered or payloads(world)


def test_an_order_for_a_session_that_is_not_there_changes_nothing() -> None:
    """A typing error would end another session, or stop the gateway."""
    world = World().connected()
    before = world.session.facts()
    world.gateway_does(lambda: world.gateway.command(CloseSession(12345), world.now))
    world.gateway_does(lambda: world.gateway.path_event(there(here(world.host, 5)), PathEvent.CLOSED, world.now))
    world.gateway_does(lambda: world.gateway.path_event(there(here(world.host)), PathEvent.TOO_BIG, world.now))
    world.gateway_does(lambda: world.gateway.send(12345, [b"x"], world.now))
    assert world.session.facts() == before


def test_a_revocation_spares_the_others() -> None:
    """Taking one device off the list would end the sessions of all."""
    world = World().connected()
    other = world.new_host()
    other.connect()
    only = {other.device.public: other.device}
    world.gateway_does(lambda: world.gateway.command(AllowList(only), world.now))
    world.run(20)
    assert world.session.device == other.device
    assert other.client.state is ClientState.ATTACHED
    world.host.client = type(world.client)(world.client.keys, world.client_policy, world.entropy, world.client.serial())
    world.host.connect(3_000)
    assert world.client.state is ClientState.CONNECTING, "a revoked device gets no answer"


def test_a_session_that_expired_while_nobody_looked_is_not_served() -> None:
    """A sleeping laptop would wake up into a session that is over."""
    world = World(policy=Policy(lifetime_s=100)).connected()
    epoch = world.client.committed
    leave(world).run(1)
    assert epoch
    frames = [run.frames[0] for run in epoch.seal([bytes((5, 12, 0)) + bytes(13)])]
    world.now = type(world.now)(world.now + 101 * limits.SECOND)
    before = len(world.sent)
    world.inject(frames[0], there(epoch.path))
    assert [sent.kind for sent in world.sent[before:]] == ["DATA"], "CLOSE, and no answer to the probe"
    assert world.reasons(ENDED) == [Reason.LIFETIME_OVER]


def test_the_fifth_session_ends_the_one_that_is_unbound_longest() -> None:
    """A device whose old sessions hang would have to wait, or a session in use would be ended for a new one."""
    world = World().connected()
    hosts = [world.host, *(world.new_host(like=world.host) for _ in range(3))]
    for host in hosts[1:]:
        host.connect()
    handles = {host.port: next(s.handle for s in world.desk.sessions.values() if s.active and s.active.path.remote.port == host.port)
               for host in hosts}  # fmt: skip
    hosts[2].off = True
    world.run(6_000)
    hosts[1].off = True
    world.run(18_000)
    assert not world.desk.sessions[handles[hosts[1].port]].active
    fifth = world.new_host(like=world.host)
    fifth.connect()
    assert fifth.client.state is ClientState.ATTACHED
    live = [row.handle for row in world.store.rows.values() if row.state == ROW_LIVE]
    assert handles[hosts[2].port] not in live
    assert handles[hosts[1].port] in live
    assert world.reasons(ENDED) == [Reason.SUPERSEDED]
    assert len(world.desk.sessions) == limits.SESSIONS_PER_DEVICE


def test_a_session_that_nobody_holds_is_ended_once_nobody_can_have_it_bound() -> None:
    """H-50: after a restart, rows that nobody comes back for would keep a device from connecting for hours."""
    world = forgotten()
    world.run(limits.BOUND_NS // MS - 5_000)
    early, late = (world.new_host(like=world.host) for _ in range(2))
    early.connect()
    assert early.client.state is ClientState.CLOSED, "another gateway may have each of them bound"
    world.run(10_000)
    late.connect()
    assert late.client.state is ClientState.ATTACHED
    assert world.reasons(ENDED) == [Reason.SUPERSEDED]


def test_a_moved_session_that_nobody_holds_is_ended_after_its_hour() -> None:
    """H-50: the row of a session that moved does not say when; it would be ended while it is bound elsewhere."""
    world = World().connected()
    for _ in range(3):
        world.new_host(like=world.host).connect()
    for last, host in enumerate(world.hosts, 90):
        host.move(v4(last))
        world.run(50)
        host.off = True
    assert {row.binding_version for row in world.store.rows.values()} == {2}
    world.start_gateway()
    left_s = 3_600 - world.desk.wall_s(world.now) % 3_600
    early, late = (world.new_host(like=world.host) for _ in range(2))
    world.run((left_s + 200) * 1_000, step_ms=1_000)
    early.connect()
    assert early.client.state is ClientState.CLOSED
    world.run(60_000)
    late.connect()
    assert late.client.state is ClientState.ATTACHED
    assert world.reasons(ENDED) == [Reason.SUPERSEDED]


def test_a_session_that_is_bound_at_another_gateway_is_not_superseded() -> None:
    """H-50, O-5: who knows a device's key could end a session that is in use, at a gateway that lost it."""
    world = World().connected()
    world.broken = True  # two gateways have two logs
    others = [world.new_host(like=world.host) for _ in range(3)]
    for host in others:
        host.connect()
    first = world.desk, world.gateway, world.boots
    world.start_gateway()
    world.host.move(v4(77))
    world.run(50)
    (moved,) = (row for row in world.store.rows.values() if row.binding_version == 2)
    world.host.off = True
    world.desk, world.gateway, world.boots = first
    for _ in range(20):
        for host in others:
            host.chat()
        world.run(1_000)
    assert world.desk.sessions[moved.handle].active is None, "here it is the only one without a path"
    fifth = world.new_host(like=world.host)
    fifth.connect()
    assert fifth.client.state is ClientState.CLOSED
    assert world.store.rows[moved.handle] == moved
    assert world.ends() == [Reason.BIRTH_LOST]
    others[0].off = True
    for _ in range(20):
        for host in others[1:]:
            host.chat()
        world.run(1_000)
    sixth = world.new_host(like=world.host)
    sixth.connect()
    assert sixth.client.state is ClientState.ATTACHED, "another has no path, and it is this gateway's"
    assert world.store.rows[moved.handle] == moved


def test_bound_sessions_are_never_superseded() -> None:
    """Who has a device's key could throw its owner out."""
    world = World().connected()
    for _ in range(3):
        world.new_host(like=world.host).connect()
    bound = set(world.desk.sessions)
    fifth = world.new_host(like=world.host)
    fifth.connect()
    assert fifth.client.state is ClientState.CLOSED
    assert set(world.desk.sessions) == bound
    assert world.reasons(Event.HANDSHAKE_REFUSED) == [Reason.LIMIT_SESSIONS]
    assert not world.reasons(ENDED)


def test_the_end_of_a_new_handshake_is_not_the_end_of_the_session() -> None:
    """While the store is away, a client that tries a handshake beside its attempts would lose the session that it still has."""
    world = World().connected()
    correlation = world.session.correlation
    world.host.move(v4(99))
    world.cut = {1, 2}
    world.run(3_500)
    world.store.failing = True
    world.drop("REATTACH_RESP", 10_000)
    world.cut = set()
    world.run(3_000)
    assert world.client.state is ClientState.SEEKING
    world.store.failing = False
    world.network = lambda _sender, _kind, _frame: (0,)
    world.run(40_000)
    assert world.attached()
    assert Reason.STORE_UNREACHABLE in world.ends(), "a newborn was closed"
    assert world.client.life
    assert world.client.life.correlation == correlation


def test_what_was_only_counted_is_recorded_when_the_process_stops() -> None:
    """The last ten seconds of refusals would be missing from the record."""
    world = World().connected()
    for _ in range(30):
        world.inject(b"\x07garbage", there(here(world.host)))
    world.gateway_does(lambda: world.gateway.tick(world.now))
    counted = sum(fact.times for fact in world.facts if fact.reason is Reason.TYPE_UNKNOWN)
    assert counted == 1
    world.gateway_does(lambda: world.gateway.command(Settle(), world.now))
    assert sum(fact.times for fact in world.facts if fact.reason is Reason.TYPE_UNKNOWN) == 30
    for _ in range(30):
        world.host.hears(b"\x07garbage", world.host.paths[1])
    world.host.does(lambda: world.client.command(Settle(), world.now))
    assert sum(fact.times for fact in world.host.facts if fact.reason is Reason.TYPE_UNKNOWN) == 30
