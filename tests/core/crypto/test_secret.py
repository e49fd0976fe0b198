"""The type of secrets: what it refuses, and that what a world keeps, sends, writes and shows holds none."""

import copy
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.client.attempts import Life
from core.crypto import chain
from core.crypto.noise import IKHFS, KKPSK0
from core.crypto.primitives import AesBlock, TagMismatch, new_cipher, sha256
from core.crypto.secret import Holder, Secret
from core.errors import Invariant
from core.values import Endpoint, Instant, Path
from core.wire.epoch import Epoch
from lab.replay.snapshot import Snapshot, attributes
from lab.sim.frames import v4
from lab.sim.world import World

RAW = b"a secret of thirty-two bytes....."[:32]
REFUSED: dict[str, Callable[[Any, Any], object]] = {
    "==": lambda one, other: one == other,
    "== itself": lambda one, _: one == one,  # noqa: PLR0124 - no short cut through identity
    "!=": lambda one, other: one != other,
    "== bytes": lambda one, _: one == RAW,
    "<": lambda one, other: one < other,
    "sorted": lambda one, other: sorted([one, other]),
    "max": max,
    "hash": lambda one, _: hash(one),
    "key": lambda one, _: {one: 1},
    "set": lambda one, _: {one},
    "in a list": lambda one, other: one in [other, other],
    "in": lambda one, _: 97 in one,
    "truth": lambda one, _: bool(one),
    "branch": lambda one, _: 1 if one else 2,
    "or": lambda one, other: one or other,
    "not": lambda one, _: not one,
    "str": lambda one, _: str(one),
    "f-string": lambda one, _: f"{one}",
    "format": lambda one, _: format(one, "x"),
    "%s": lambda one, _: "%s" % one,  # noqa: UP031 - the old way too
    "bytes": lambda one, _: bytes(one),
    "index": lambda one, _: one[0],
    "slice": lambda one, _: one[:4],
    "iteration": lambda one, _: list(one),
    "sum": lambda one, _: one + b"more",
    "join": lambda one, _: b"".join([one]),
    "int": lambda one, _: int.from_bytes(one, "little"),
    "memoryview": lambda one, _: memoryview(one),
    "json": lambda one, _: json.dumps(one),
    "json of a dictionary": lambda one, _: json.dumps({"key": one}),
    "pickle": lambda one, _: pickle.dumps(one),
    "copy": lambda one, _: copy.copy(one),
    "deepcopy": lambda one, _: copy.deepcopy([one]),
    "attribute": lambda one, _: setattr(one, "name", "chain"),
    "vars": lambda one, _: vars(one),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_a_secret_refuses(way: str) -> None:
    """[K-7] A secret is compared byte by byte, becomes a key of a dictionary, or goes into a text, a file or a copy."""
    with pytest.raises((TypeError, AttributeError)) as refused:
        REFUSED[way](Secret(RAW), Secret(RAW))
    assert "a secret of" not in str(refused.value)


def test_what_a_secret_tells() -> None:
    """[K-7] A traceback with its variables, or a debugger, shows keys."""
    secret = Secret(RAW)
    assert (repr(secret), f"{secret!r}", f"{[secret, (secret,)]}", len(secret)) == ("<Secret>", "<Secret>", "[<Secret>, (<Secret>,)]", 32)
    assert secret.expose() is RAW


@pytest.mark.parametrize(
    "holder",
    [
        chain.Birth(Secret(RAW), Secret(RAW), Secret(RAW[:16]), Secret(RAW)),
        chain.Locators(Secret(RAW)),
        AesBlock(Secret(RAW)),
        Life(chain.Birth(Secret(RAW), Secret(RAW), Secret(RAW[:16]), Secret(RAW)), Instant(0), RAW),
        Epoch(1, 2, (Secret(RAW), Secret(RAW)), Path(1, 0, Endpoint(v4(1), 1), Endpoint(v4(2), 2)), 0, Instant(0)),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_secrets_stays_where_it_is(holder: Holder) -> None:
    """[K-7] A holder is pickled into a crash report, or copied, and both copies go on."""
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(holder)
    assert "a secret of" not in repr(holder)


def story(monkeypatch: pytest.MonkeyPatch) -> tuple[World, set[bytes]]:
    """Play birth, data, a move, a restart with the rows, and another move; return the world and every secret that there was in it."""
    secrets: set[bytes] = set()

    def seen(self: Secret, raw: bytes) -> None:
        self._raw = raw
        if sys._getframe(1).f_code.co_name != "_mix_ephemeral":  # which stands on the wire
            secrets.add(raw)

    monkeypatch.setattr(Secret, "__init__", seen)
    world = World().connected()
    world.host.chat()
    world.host.move(v4(77))
    world.run(1_000, world.host.chat)
    world.start_gateway()
    world.run(5_000, world.host.chat)
    world.host.move(v4(78))
    world.run(1_000, world.host.chat)
    assert world.attached()
    assert {sent.kind for sent in world.sent} >= {"INIT", "RESP", "REATTACH", "REATTACH_RESP", "DATA"}
    names = {b"", sha256(IKHFS.name), sha256(KKPSK0.name)}
    return world, secrets - names - {world.session.correlation}


def canaries(secrets: set[bytes]) -> Iterator[tuple[bytes, str, str]]:
    """Yield each secret as bytes, in hexadecimal, and as `repr` writes it."""
    return ((raw, raw.hex(), repr(raw)[2:-1]) for raw in secrets if len(raw) >= 16)


def texts(found: object) -> str:
    """Return what Python shows of a thing; a refusal shows nothing."""
    try:
        return repr(found)
    except TypeError:
        return ""


def test_no_secret_is_where_it_must_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-7] [K-8] Chain, psk, session id or a key stands in a record, a row, a frame, in the text of an object, or as bytes in one."""
    world, secrets = story(monkeypatch)
    assert len(secrets) > 50
    rows, facts = list(world.store.rows.values()), [*world.facts, *world.store.outbox, *world.host.facts]
    assert {row.binding_version for row in rows} != {1}
    snapshot = Snapshot(world.gateway, world.client)
    held = [each for each in snapshot._seen.values() if not isinstance(each, Secret)]
    assert {"Session", "Epoch", "Life", "Desk", "Keks", "Client"} <= {type(each).__name__ for each in held}
    inside = [value for each in held for value in (attributes(each) if not isinstance(each, dict) else each).values()]
    inside += [value for each in held if isinstance(each, list | tuple | set) for value in each]
    raw = b"|".join([*(sent.frame for sent in world.sent), *(value for value in inside if isinstance(value, bytes))])
    raw += b"|".join(field for row in rows for field in row if isinstance(field, bytes))
    shown = "|".join(texts(each) for each in (*held, *inside, *facts, *rows))
    for secret, hexadecimal, written in canaries(secrets):
        assert secret not in raw
        assert hexadecimal not in shown
        assert written not in shown


def test_the_canary_sings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search above would find nothing because it looks for nothing."""
    world, secrets = story(monkeypatch)
    assert world.client.life
    assert world.session.secrets
    wanted = [world.client.life.chain, world.client.life.session_id, *world.session.secrets, world.kek, world.k_loc]
    assert all(secret.expose() in secrets for secret in wanted)
    epoch = world.session.active
    assert epoch
    assert epoch._keys
    assert {key.expose() for key in epoch._keys} <= secrets
    assert any(written in f"{world.client.life.chain.expose()!r}" for _, _, written in canaries(secrets))


def test_refusals_say_nothing_of_the_secret() -> None:
    """A wrong length, or a row that does not open, ends in an error that shows the key."""
    short = Secret(RAW[:31])
    calls: list[Callable[[], object]] = [
        lambda: new_cipher(short),
        lambda: AesBlock(short),
        lambda: chain.seal(Secret(RAW), bytes(12), short, short, b"row"),
        lambda: chain.unseal(Secret(RAW), bytes(76), b"row"),
    ]
    for call in calls:
        with pytest.raises((ValueError, Invariant, TagMismatch)) as refused:
            call()
        assert "a secret of" not in f"{refused.value!r} {refused.value}"
