"""The keys of rows by hour: what they seal is the whole row, and no number in a row drives them away."""

import json
from typing import Any

import pytest

from core import limits
from core.crypto import chain
from core.crypto.chain import SEALED_LENGTH
from core.crypto.primitives import sha256
from core.crypto.secret import Secret
from core.reasons import Event, Reason
from core.session import desk
from core.session.desk import HOUR_S, Keks
from core.values import ROW_LIVE, Row
from lab.sim.frames import v4
from lab.sim.world import World
from tests.core.crypto.pairs import unhex
from tests.core.exposed import laid_open
from tests.support import ROOT

HOUR, KEK = 480_000, b"k" * 32
SECRETS = Secret(b"s" * 16), Secret(b"c" * 32)
VECTOR = json.loads((ROOT / "schemas/vectors/chain.json").read_text(encoding="utf-8"))["sealed_row"]


def row(hour: int = HOUR) -> Row:
    """Return a row whose fields all differ."""
    return Row(0x0102030405, 7, ROW_LIVE, b"node-one", b"boot-two", 3, 4, b"d" * 32, b"g" * 32, 1_700_000_000, 1_700_028_800,
               bytes((10, 0, 0, 2)), bytes(15) + b"\2", hour, b"")  # fmt: skip


def test_the_vector_is_a_row() -> None:
    """[K-5] The fields of a row are sealed in another order or width than the specification says."""
    given = unhex(VECTOR["inputs"])
    text, fields = given["row"], list[bytes]()
    for size in (8, 8, 1, 8, 8, 8, 8, 32, 32, 8, 8, 4, 16, 8):
        fields.append(text[:size])
        text = text[size:]
    assert text == b""
    raw = {3, 4, 7, 8, 11, 12}
    values: list[Any] = [each if at in raw else int.from_bytes(each, "little") for at, each in enumerate(fields)]
    known = Row._make([*values, b""])
    assert (known.binding_version, known.state, known.node, known.attempt, known.next) == (2, ROW_LIVE, b"node-one", 1, 2)
    sealed = Keks(known.kek, Secret(given["kek"])).seal(known, given["nonce"], (Secret(given["session_id"]), Secret(given["chain"])))
    assert sealed.sealed.hex() == VECTOR["sealed"]


def test_a_row_is_sealed_whole() -> None:
    """[K-5] Who can write to the store gives a session a longer life, another device, or a burnt attempt, and is believed."""
    keks = Keks(HOUR, Secret(KEK))
    mine = keks.seal(row(), bytes(12), SECRETS)
    assert len(mine.sealed) == SEALED_LENGTH
    assert laid_open(keks.unseal(mine, HOUR)) == laid_open(SECRETS)
    changed = {name: value ^ 1 if isinstance(value, int) else bytes((value[0] ^ 1,)) + value[1:] for name, value in mine._asdict().items()}
    assert set(changed) == set(Row._fields)
    for name, value in changed.items():
        assert keks.unseal(Row(**mine._asdict() | {name: value}), HOUR + 2) is None, name


@pytest.mark.parametrize("change", [{"expires": -1}, {"binding_version": 2**64}, {"state": 256}])
def test_numbers_that_no_row_has(change: dict[str, int]) -> None:
    """One row that was written by hand stops the gateway."""
    keks = Keks(HOUR, Secret(KEK))
    assert keks.unseal(Row(**keks.seal(row(), bytes(12), SECRETS)._asdict() | change), HOUR) is None


@pytest.mark.parametrize("ahead", [2, 26, 10_000, 2**62])
def test_a_row_of_an_hour_to_come_computes_nothing(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-6] One row with a wrong hour destroys the keys of all the others, or keeps the gateway busy for years."""
    keks = Keks(HOUR, Secret(KEK))
    mine = keks.seal(row(), bytes(12), SECRETS)
    with monkeypatch.context() as counted:
        counted.setattr(desk, "next_kek", lambda _kek: pytest.fail("a key was computed"))
        assert keks.unseal(mine._replace(kek=HOUR + ahead), HOUR) is None
    assert keks.unseal(mine, HOUR)


def test_a_clock_a_little_ahead_is_believed() -> None:
    """Of two gateways whose clocks differ by seconds, one refuses the other's rows around each full hour."""
    ours, theirs = Keks(HOUR, Secret(KEK)), Keks(HOUR, Secret(KEK))
    assert laid_open(ours.unseal(theirs.seal(row(HOUR + 1), bytes(12), SECRETS), HOUR)) == laid_open(SECRETS)
    assert ours.unseal(theirs.seal(row(HOUR), bytes(12), SECRETS), HOUR)


def test_keys_are_kept_as_long_as_a_row_may_live() -> None:
    """[K-6] A session would end with an hour of its row, or a stolen row could be opened for ever."""
    keks, kept = Keks(HOUR, Secret(KEK)), limits.LIFETIME_S_MAX // HOUR_S + 1
    old, newest = keks.seal(row(), bytes(12), SECRETS), HOUR + kept
    assert keks.seal(row(newest), bytes(12), SECRETS)
    assert keks.unseal(old, newest)
    assert keks.seal(row(newest + 1), bytes(12), SECRETS)
    assert keks.unseal(old, newest + 1) is None


@pytest.mark.parametrize("ahead", [3, 1_000])
def test_one_row_of_a_wrong_clock_harms_no_other_session(ahead: int) -> None:
    """A gateway whose clock was ahead left one row behind; when it is asked for, everybody else's session ends."""
    world = World().connected()
    alice, bob = world.host, world.new_host()
    bob.connect()
    life = alice.client.life
    (handle,) = [session.handle for session in world.desk.sessions.values() if session.device == bob.device]
    world.store.rows[handle] = world.store.rows[handle]._replace(kek=HOUR + ahead)
    world.start_gateway()
    bob.say()
    bob.move(v4(99))
    world.run(3_000, bob.say)
    assert Reason.SESSION_UNKNOWN in world.reasons(Event.TRAFFIC_REFUSED)
    world.run(6_000, alice.chat)
    assert world.attached()
    assert alice.client.life is life
    assert Reason.INVARIANT_BROKEN not in {fact.reason for fact in (*world.facts, *world.store.outbox)}


def test_the_prolonged_session_ends_with_its_gateway() -> None:
    """[K-5] A store that writes another end into a row makes a session live for ten years."""
    world = World().connected()
    life = world.client.life
    for handle, mine in world.store.rows.items():
        world.store.rows[handle] = mine._replace(expires=mine.expires + 10 * 365 * 86_400)
    world.start_gateway()
    world.run(5_000, world.host.chat)
    assert world.client.life is not life
    assert all(each.expires - each.born <= limits.LIFETIME_S_MAX for each in world.desk.sessions.values())


def test_keys_follow_each_other() -> None:
    """[K-6] Two gateways of one start have different keys for the same hour."""
    ahead, step = Keks(HOUR, Secret(KEK)), chain.next_kek(chain.next_kek(Secret(KEK)))
    later, alone = row(HOUR + 2), Keks(HOUR + 2, step)
    nonce = sha256(b"nonce")[:12]
    assert ahead.seal(later, nonce, SECRETS) == alone.seal(later, nonce, SECRETS)
