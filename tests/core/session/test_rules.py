"""Rules of the gateway's machine and its epochs that are not a row of its table."""

from core import limits
from core.reasons import Carrier, Event, Reason, Status
from core.session.states import PRIORITY, Input, State
from core.session.table import EVIDENCE
from core.values import Instant
from core.wire.inner import Ack, encode
from core.wire.inner import parse as parse_inner
from core.wire.layout import Kind
from core.wire.messages import parse, parse_data
from core.wire.records import Confirm, ReattachResp, pack
from lab.sim.frames import located, opened, there, v4
from lab.sim.world import World


def test_the_first_in_order_is_heard_first() -> None:
    """G-51: after a long sleep one machine would end a session, and another, or the same one later, only unbind it."""
    world = World().connected()
    assert set(PRIORITY) == set(Input)
    world.hosts.clear()
    world.now = Instant(world.now + (limits.LIFETIME_S + 1) * limits.SECOND)
    world.gateway_does(lambda: world.gateway.tick(world.now))
    world.run(10)
    assert world.reasons(Event.SESSION_ENDED) == [Reason.LIFETIME_OVER]
    assert not {Reason.KEY_EXPIRED, Reason.PATH_SILENT} & set(world.reasons(Event.SESSION_CHANGED))


def test_clocks_come_before_the_message() -> None:
    """G-51: what arrives when a session is over would still be delivered."""
    world = World().connected()
    world.network = lambda _sender, _kind, _frame: ()
    world.host.say(b"too late")
    late = world.sent[-1]
    world.now = Instant(world.now + (limits.LIFETIME_S + 1) * limits.SECOND)
    world.inject(late.frame, there(late.path))
    assert not world.delivered
    assert not [session for session in world.desk.sessions.values() if session.state is not State.TERMINATED]
    world.hosts.clear()
    world.run(10)


def test_an_empty_cell_changes_nothing() -> None:
    """G-52: a machine would make a step that nobody proved anything about."""
    world = World().connected()
    before, records = world.session.facts(), len(world.story())
    assert not world.session.hear(Input.VOLATILE_OVER, world.now)
    assert not world.session.hear(Input.RECOVERY_OVER, world.now)
    assert (world.session.facts(), len(world.story())) == (before, records)


def test_a_session_that_is_not_what_its_table_says_ends() -> None:
    """G-53: a session about which something is wrong would go on, and what was proved would not be about it."""
    world = World().connected()
    world.broken = True
    world.session.recovery_at = Instant(world.now + limits.SECOND)
    assert not world.session.hear(Input.QUALITY_LOW, world.now)
    world.gateway_does(lambda: world.gateway.tick(world.now))
    world.run(10)
    assert world.reasons(Event.SESSION_ENDED) == [Reason.INVARIANT_BROKEN]


def test_evidence_comes_from_the_store_only() -> None:
    """G-54: the log would tell of births, moves and ends that no store knows."""
    world = World().connected()
    world.host.move(v4(77))
    world.run(200)
    world.host.close(Carrier.UDP)
    world.run(1_000)
    assert not [fact for fact in world.facts if fact.event in EVIDENCE]
    assert [fact.event for fact in world.store.outbox][:2] == [Event.SESSION_BORN, Event.SESSION_MOVED]
    assert world.store.outbox[-1].binding_version == world.session.binding_version


def test_without_a_path_nothing_is_sent() -> None:
    """D-4: inner packets would go where the device is no longer, for whoever is there now."""
    world = World().connected()
    world.hosts.clear()
    session, handle = world.session, world.session.handle
    world.now = Instant(world.now + limits.SILENCE_NS + 1)
    world.gateway_does(lambda: world.gateway.tick(world.now))
    assert session.state is State.RECOVERING
    sent = len(world.sent)
    world.gateway_does(lambda: world.gateway.send(handle, [bytes(20)], world.now))
    assert len(world.sent) == sent
    assert world.gateway.session_for(session.device.inner4) is None


def test_an_old_epoch_drains() -> None:
    """D-6: packets that were on their way would be lost with each move, or an old path could end the session or hold it."""
    world = World().connected()
    world.network = lambda _sender, kind, _frame: () if kind == "DATA" else (0,)
    for _ in range(2):
        world.host.say(b"on its way")
    epoch = world.client.committed
    assert epoch
    (close,) = epoch.seal([encode(Kind.CLOSE, b"\1")])
    under_way = [sent for sent in world.sent if sent.kind == "DATA"][-2:]
    world.network = lambda _sender, _kind, _frame: (0,)
    world.host.move(v4(77))
    world.run_until(lambda: world.session.binding_version == 2)
    old = there(under_way[0].path)
    before = world.session.facts()
    world.inject(under_way[0].frame, old)
    world.inject(close.frames[0], old)
    assert [inner[20:] for _, inner in world.delivered] == [b"on its way"]
    assert world.session.facts() == before
    world.run(limits.DRAINING_NS / limits.MILLISECOND)
    world.inject(under_way[1].frame, old)
    assert len(world.delivered) == 1


def test_keys_are_renewed_and_then_refused() -> None:
    """D-8: a key would be used for hours; or a session would end with its keys."""
    world = World().connected()
    handle = world.session.handle
    world.run(limits.REKEY_AFTER_NS / limits.MILLISECOND + 1_000, world.host.chat, step_ms=500)
    assert world.reasons(Event.SESSION_MOVED) == [Reason.REKEYED]
    world.network = lambda _sender, kind, _frame: () if kind == "REATTACH" else (0,)
    world.run(limits.REJECT_AFTER_NS / limits.MILLISECOND + 1_000, world.host.chat, step_ms=500)
    assert Reason.KEY_EXPIRED in world.reasons(Event.SESSION_CHANGED)
    assert (world.session.handle, world.session.state) == (handle, State.RECOVERING)


def test_each_confirm_is_acknowledged() -> None:
    """R-22: one lost ACK would leave a client without addresses, or without locators for its next attempts."""
    world = World().connected()
    client = world.client.committed
    assert client
    before = len(world.sent)
    (run,) = client.seal([encode(Kind.CONFIRM, pack(Confirm(limits.MTU_DEFAULT)))])
    world.inject(run.frames[0], there(client.path))
    (answer,) = world.sent[before:]
    _, counter = parse_data(answer.frame)
    kind, body = parse_inner(opened(client, answer.frame, counter, keep=False))
    ack = Ack.unpack(body)
    assert (kind, ack.binding_version, ack.inner4) == (Kind.ACK, 1, world.host.device.inner4)
    mine = [located(locators, locator) for locator in ack.locators for locators in world.desk.locators]
    assert mine == [(world.session.handle, attempt) for attempt in range(1, 1 + limits.LOCATORS_PER_ACK)]


def test_proven_refusals_of_a_handshake() -> None:
    """H-26: a device would wait in vain, and not know why; or have more sessions than it may."""
    world = World()
    for _ in range(limits.SESSIONS_PER_DEVICE):
        world.new_host(like=world.host).connect()
    assert len([session for session in world.desk.sessions.values() if session.active]) == limits.SESSIONS_PER_DEVICE
    world.host.connect()
    assert world.reasons(Event.HANDSHAKE_REFUSED) == [Reason.LIMIT_SESSIONS]
    assert world.client_reasons(Event.CLIENT_ENDED) == [Reason.HANDSHAKE_REFUSED]


def test_a_refused_attempt_says_why() -> None:
    """R-16: a client would not know whether to wait, to try elsewhere, or to give up."""
    world = World().connected()
    world.session.moves = ((world.now, "forced"),) * limits.FORCED_PER_MINUTE
    world.host.move(v4(77))
    world.run(10)
    answers = [parse(sent.frame) for sent in world.sent if sent.kind == "REATTACH_RESP"]
    assert answers
    assert all(isinstance(answer, ReattachResp) for answer in answers)
    assert world.client_reasons(Event.CLIENT_REFUSED)[0].name == Status.SWITCH_LIMIT.name
    assert not world.session.candidate
