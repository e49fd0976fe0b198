"""Whatever arrives, in whatever state: no exception, no change without proof, few records, bounded memory.

JVP_GARBAGE sets how many frames are thrown, 30,000 unless told.
"""

import os
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.client import attempts as client_attempts
from core.client.attempts import Hand
from core.reasons import Carrier, Event, Reason
from core.session import reattach as gateway_reattach
from core.session.table import MACHINE
from core.values import Endpoint, Fact, Path
from core.wire.layout import INIT_MAC1, SIZES
from core.wire.macs import k1, mac
from lab.sim.device import arrive, confirm, here, knock, proven, says
from lab.sim.frames import there, v4
from lab.sim.ways import CLIENT_WAYS, SESSION_WAYS
from lab.sim.world import MS, World
from tests.core.exposed import laid_open

THROWN: Final = int(os.environ.get("JVP_GARBAGE", "30000"))
EACH: Final = THROWN // (len(SESSION_WAYS) + len(CLIENT_WAYS)) + 1
RECORDS_AT_ONCE: Final = 40  # at most one of each reason, and ten that name a session


def garbage(dice: Random, world: World) -> Iterator[bytes]:
    """Yield frames without end that nobody made with keys: noise, noise in the right form, and true frames with a flaw."""
    true = [sent.frame for sent in world.sent]
    known, key = set(true), k1(world.static.public)
    while True:
        match dice.randrange(10):
            case 0:
                frame = dice.randbytes(dice.choice((0, 1, 3, 4, 15, 16, 40, 48, 104, 1_352, 1_500, dice.randrange(70_000))))
            case 1:
                size, kind = dice.choice(list(SIZES.items()))[::-1]
                frame = bytes((kind, 1, 0, 0)) + dice.randbytes(size - 4)
            case 2:
                frame = bytes((1, 1, 0, 0)) + dice.randbytes(INIT_MAC1 - 4)
                frame += mac(key, frame) + bytes(16)
            case 3 | 4:
                indices = [index.to_bytes(4, "little") for index in (*world.desk.indices, 7)]
                number = dice.choice([*indices, *(sent.frame[4:8] for sent in world.sent if sent.frame[0] == 4)])
                counter = dice.choice((0, 1, 5, 100, 2**32, 2**63, 2**64 - 1))
                frame = b"\x04\0\0\0" + number + counter.to_bytes(8, "little") + dice.randbytes(16 * dice.randrange(2, 90))
            case _:
                frame = flawed(dice, dice.choice(true or [b"\x01"]))
        if frame not in known:
            yield frame


def flawed(dice: Random, frame: bytes) -> bytes:
    """Return a frame with a bit flipped, an end cut off or sewn on, or a field replaced."""
    at = dice.randrange(len(frame))
    match dice.randrange(4):
        case 0:
            return frame[:at] + bytes((frame[at] ^ 1 << dice.randrange(8),)) + frame[at + 1 :]
        case 1:
            return frame[:at]
        case 2:
            return frame + dice.randbytes(dice.choice((1, 16, 32)))
        case _:
            size = dice.choice((1, 2, 4, 8, 16))
            return frame[:at] + dice.randbytes(size) + frame[at + size :]


def paths(world: World) -> list[Path]:
    """Return where frames may come from, as the client sees it: where the session is, beside it, and from far away."""
    known = [*world.host.paths.values(), *world.host.streams]
    far = Path(Carrier.UDP, 0, Endpoint(v4(66), 6), there(here(world.host)).local)
    return [*known, here(world.host, 4_321), here(world.host, 4_322, Carrier.TCP, 77), far]


def sizes(world: World) -> list[int]:
    """Return the sizes of all that the gateway keeps."""
    desk, gateway = world.desk, world.gateway
    kept = (desk.sessions, desk.by_device, desk.indices, desk.retired, desk.routes, desk.streams, desk.tickets)
    return [len(each) for each in (*kept, gateway._loads, gateway._heap, gateway._front._accepted, *vars(gateway._front.counts).values())]


@pytest.mark.parametrize("way", SESSION_WAYS)
def test_garbage_changes_nothing_at_a_gateway(way: str) -> None:
    """Anyone who can send a packet could stop the gateway, end or move a session, fill its memory or its log."""
    world = SESSION_WAYS[way]()
    dice, session = Random(way), world.session
    before = (session.facts(), session.next, laid_open(session.secrets), session.active, session.candidate, session.binding_version)
    kept, records, sent = sizes(world), len(world.facts), len(world.sent)
    places = [there(path) for path in paths(world)]
    thrown = garbage(dice, world)
    for _ in range(EACH // 5 + 1):
        frames, place = [next(thrown) for _ in range(5)], dice.choice(places)
        world.gateway_does(partial(world.gateway.receive, frames, place, world.now))
    after = (session.facts(), session.next, laid_open(session.secrets), session.active, session.candidate, session.binding_version)
    assert after == before
    assert all(now <= then for now, then in zip(sizes(world), kept, strict=True))
    assert len(world.facts) - records <= RECORDS_AT_ONCE
    assert {each.kind for each in world.sent[sent:]} <= {"COOKIE"}
    assert not world.delivered or way in {"volatile", "degraded"}


@pytest.mark.parametrize("state", CLIENT_WAYS, ids=lambda state: state.name)
def test_garbage_changes_nothing_at_a_client(state: int) -> None:
    """Anyone who can send a packet could stop a client, end or move its session, or fill its log."""
    world = CLIENT_WAYS[state]()  # type: ignore[index]  # the parameter is a key
    dice, client = Random(state), world.client
    before = (client.facts(), client.committed, client.draining, list(client.confirming), dict(client.attempts), dict(client.hands))
    records, down, sent = len(world.host.facts), list(world.host.down), len(world.sent)
    places = paths(world)
    thrown = garbage(dice, world)
    for _ in range(EACH // 5 + 1):
        frames, place = [next(thrown) for _ in range(5)], dice.choice(places)
        world.host.does(partial(client.receive, frames, place, world.now))
    after = (client.facts(), client.committed, client.draining, list(client.confirming), dict(client.attempts), dict(client.hands))
    assert after == before
    assert (world.host.down, len(world.sent)) == (down, sent)
    reasons = len({fact.reason for fact in world.host.facts})
    assert len(world.host.facts) - records <= 10 * reasons


@settings(max_examples=300)
@given(frames=st.lists(st.one_of(st.binary(max_size=1_500), st.binary(min_size=48, max_size=48).map(lambda tail: b"\x04\0\0\0" + tail)),
                       max_size=8))  # fmt: skip
def test_any_bytes_are_taken_in_silence(frames: list[bytes]) -> None:
    """The engine would raise into the driver's loop for some bytes that nobody has thought of."""
    world = BOTH
    before = world.session.facts(), world.client.facts()
    for frame in frames:
        arrive(world, frame, world.host.paths[1])
        world.host.hears(frame, world.host.paths[1])
    assert (world.session.facts(), world.client.facts()) == before


BOTH: Final = World().connected()


def sealed_noise(dice: Random) -> bytes:
    """Return an inner frame: mostly of a known kind, rarely of the right length, and never a CLOSE."""
    kind = dice.choice((1, 2, 3, 4, 5, 6, 8, 9, 10, 0, 255))
    body = dice.randbytes(dice.choice((0, 1, 2, 8, 12, 13, 20, 36, 47, 79, 80, 200)))
    inner = bytes((kind,)) + len(body).to_bytes(2, "little") + body
    return inner.ljust(dice.choice((-(-len(inner) // 16) * 16, 1_296)), b"\0")[:1_296]


@pytest.mark.parametrize("seed", range(4))
def test_noise_under_the_right_keys_harms_nobody_else(seed: int) -> None:
    """A device that is allowed and malicious could stop the gateway for all, and a gateway its clients."""
    world, dice = World(f"noise {seed}").connected(), Random(seed)
    other = world.new_host()
    other.connect()
    session = world.desk.routes[world.host.device.inner4]
    mine, theirs = world.client.committed, session.active
    assert mine
    assert theirs
    for _ in range(250):
        says(world, mine, sealed_noise(dice))
        ((frame,),) = [run.frames for run in theirs.seal([sealed_noise(dice)])]
        world.host.hears(frame, world.host.paths[1])
        world.run(1)
    assert all(claim(session.facts()) for claim in MACHINE.always)
    assert len([fact for fact in world.facts if fact.event is Event.SESSION_REFUSED]) < 60
    other.chat()
    world.run(20)
    assert other.down


def test_noise_that_is_held_for_a_commit_harms_nobody() -> None:
    """The same, for what is only looked at when the store has answered."""
    dice = Random(5)
    for number in range(40):
        world = World(f"held {number}").connected()
        world.store.silent = True
        epoch = proven(world, here(world.host, 777))
        says(world, epoch, confirm(world))
        for _ in range(30):
            says(world, epoch, sealed_noise(dice))
        world.release()
        world.run(20)
        assert world.session.active
        assert world.session.active.path.remote.port == 777


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_proven_payloads_is_refused(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with its keys could stop the gateway by what it states in an INIT or a REATTACH."""
    world, dice = World(f"payload {seed}").connected(), Random(seed)
    monkeypatch.setattr(client_attempts, "pack", lambda _payload: bytes(dice.choice((0, 1, 2, 7, 255)) for _ in range(16)))
    for port in range(700, 760):
        path = here(world.host, port)
        before = world.session.facts() if world.desk.sessions else None
        arrive(world, knock(world.host, path).frame, path)
        arrive(world, Hand(world.client.keys, world.entropy, path, world.now).frame, path)
        world.run(3)
        assert before
        assert all(claim(session.facts()) for session in world.desk.sessions.values() for claim in MACHINE.always)
    assert Reason.INNER_MALFORMED in world.reasons(Event.SESSION_REFUSED)


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_proven_answers_is_refused(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken gateway could stop its clients by what it states in an answer."""
    world, dice = World(f"answer {seed}").connected(), Random(seed)
    monkeypatch.setattr(gateway_reattach, "pack", lambda _reply: bytes(dice.choice((0, 1, 2, 7, 255)) for _ in range(24)))
    for last in range(60, 80):
        world.host.move(v4(last))
        world.run(300)
    assert Reason.REPLY_BAD_PROOF in world.client_reasons(Event.TRAFFIC_REFUSED)


def test_memory_and_records_stay_bounded_through_an_hour_of_attack() -> None:
    """What is bounded at one instant would grow with time."""
    world = World().connected()
    dice = Random(1)
    thrown = garbage(dice, world)

    def attack() -> None:
        for path in paths(world):
            world.inject(next(thrown), there(path))
        world.host.chat()

    world.run(10_000, attack, step_ms=1_000)
    kept, records = sizes(world), len(world.facts)
    world.run(600_000, attack, step_ms=2_000)
    assert all(now <= 4 * max(then, 4) for now, then in zip(sizes(world), kept, strict=True))
    facts: list[Fact] = world.facts[records:]
    strangers = [fact for fact in facts if fact.event is Event.TRAFFIC_REFUSED]
    assert len(strangers) <= 2 * len({fact.reason for fact in strangers}) * 60
    assert world.now > 600_000 * MS
