"""The chain, locators and sealed rows against the pinned vectors, an independent computation, and what they must refuse."""

import hashlib
import hmac
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto import chain
from core.crypto.primitives import AesBlock, TagMismatch, expand
from core.crypto.secret import Secret
from core.errors import Invariant
from lab.sim.frames import located, minted
from tests.core.crypto import independent
from tests.core.exposed import laid_open

VECTOR = json.loads((Path(__file__).parents[3] / "schemas/vectors/chain.json").read_text())
ROW = {name: bytes.fromhex(value) for name, value in VECTOR["sealed_row"]["inputs"].items()}
KEK, SESSION_ID, CHAIN = (Secret(ROW[name]) for name in ("kek", "session_id", "chain"))
SECRET = Secret(b"\xa5" * 32)
SEALED = bytes.fromhex(VECTOR["sealed_row"]["sealed"])


def test_attempts_vector() -> None:
    """[R-3] The keys of an attempt changed: sessions in the store cannot be moved by the next version."""
    assert len(VECTOR["attempts"]) == 3
    first = current = Secret(bytes.fromhex(VECTOR["attempts"][0]["chain"]))
    for steps, expected in enumerate(VECTOR["attempts"]):
        assert current.expose().hex() == chain.later(first, steps).expose().hex() == expected["chain"]
        following = chain.later(current, 1)
        found = laid_open((chain.mac_key(current), chain.psk_of(current), following))
        assert [each.hex() for each in found] == [expected[name] for name in ("mac", "psk", "next")]
        assert found[0] == hmac.digest(current.expose(), b"mac\x01", "sha256")
        assert len({*found, current.expose()}) == 4
        current = following


def test_skipped_attempts_cost_one_mac_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """[R-12] Who knows one locator makes the gateway compute three keys for each skipped attempt, or more than one for a wrong mac."""
    computed: list[bytes] = []

    def counted(key: Secret, label: bytes, n: int) -> Secret:
        computed.append(label)
        return expand(key, label, n)

    monkeypatch.setattr(chain, "expand", counted)
    assert len(chain.mac_key(chain.later(Secret(bytes(32)), 63))) == 32
    assert computed == [b"next"] * 63 + [b"mac"]


def test_the_name_of_a_session_in_records() -> None:
    """[K-8] Both ends' records could not be put together, or the name says something about the session id."""
    name = chain.correlation_of(Secret(bytes(range(16))))
    assert name == hmac.digest(bytes(range(16)), b"correlation\x01", "sha256")[:16]


def test_the_prologue_of_an_attempt() -> None:
    """[R-5] An attempt is not bound to its session, number and header."""
    header = bytes(range(24))
    expected = b"jumping-vpn/1 reattach" + bytes(range(16)) + b"\x03\x02" + bytes(6) + header
    assert chain.reattach_prologue(Secret(bytes(range(16))), 0x0203, header) == expected


def test_locators_vector() -> None:
    """[R-4] Locators changed: clients that hold some knock with them in vain."""
    locators = chain.Locators(Secret(bytes.fromhex(VECTOR["locators"]["key"])))
    assert len(VECTOR["locators"]["cases"]) == 5
    for case in VECTOR["locators"]["cases"]:
        locator = bytes.fromhex(case["locator"])
        assert minted(locators, case["handle"], case["attempt"]) == locator
        assert located(locators, locator) == (case["handle"], case["attempt"])


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 127))
def test_locators_open_only_what_they_minted(handle: int, attempt: int, bit: int) -> None:
    """A locator leads to another session or attempt, or a changed or foreign one leads anywhere."""
    mine, other = chain.Locators(Secret(bytes(32))), chain.Locators(Secret(b"\1" * 32))
    locator = minted(mine, handle, attempt)
    assert located(mine, locator) == (handle, attempt)
    assert located(other, locator) is None
    assert located(mine, (int.from_bytes(locator, "little") ^ 1 << bit).to_bytes(16, "little")) is None


def test_garbage_is_no_locator() -> None:
    """Random knocks reach the store."""
    locators = chain.Locators(Secret(bytes(32)))
    assert not any(located(locators, hashlib.sha256(bytes((i,))).digest()[:16]) for i in range(256))
    block = AesBlock(Secret(bytes(32)))
    assert located(locators, block.encrypt(bytes(16))) == (0, 0)
    assert not any(located(locators, block.encrypt((1 << bit).to_bytes(16, "little"))) for bit in range(64, 128))
    for length in (0, 15, 17):
        with pytest.raises(Invariant):
            located(locators, bytes(length))


@pytest.mark.parametrize(("handle", "attempt"), [(2**48, 0), (-1, 0), (0, 2**16), (0, -1)])
def test_locators_have_room_for_no_more(handle: int, attempt: int) -> None:
    """A handle or attempt that is too large spills into another one's locator."""
    with pytest.raises(OverflowError):
        minted(chain.Locators(Secret(bytes(32))), handle, attempt)


def test_many_locators_are_those_of_one_at_a_time() -> None:
    """An ACK hands out locators that do not open, or those of another attempt."""
    locators = chain.Locators(Secret(bytes(range(32))))
    assert locators.mint(4_711, range(7, 39)) == [minted(locators, 4_711, attempt) for attempt in range(7, 39)]
    assert [located(locators, each) for each in locators.mint(4_711, (9, 7))] == [(4_711, 9), (4_711, 7)]
    assert locators.mint(4_711, ()) == []


def test_locators_that_are_opened_together_are_opened_each_by_itself() -> None:
    """[R-10] What stands beside a locator in a burst decides what it opens to: sessions are mixed up, or garbage opens."""
    locators = chain.Locators(Secret(bytes(range(32))))
    mine = locators.mint(2**48 - 1, (0, 1, 2**16 - 1)) + locators.mint(0, (513,))
    garbage = [hashlib.sha256(bytes((i,))).digest()[:16] for i in range(3)]
    opened = locators.open([garbage[0], mine[0], garbage[1], *mine[1:], garbage[2]])
    assert opened == dict(zip(mine, [(2**48 - 1, 0), (2**48 - 1, 1), (2**48 - 1, 2**16 - 1), (0, 513)], strict=True))


def test_sealed_row_vector() -> None:
    """[K-5] Rows of running sessions cannot be opened by the next version, or are sealed in another way than the protocol says."""
    assert independent.sealed_row(ROW) == SEALED
    assert chain.seal(KEK, ROW["nonce"], SESSION_ID, CHAIN, ROW["row"]) == SEALED
    assert laid_open(chain.unseal(KEK, SEALED, ROW["row"])) == (ROW["session_id"], ROW["chain"])
    assert len(SEALED) == chain.SEALED_LENGTH == 76


def test_a_row_opens_only_as_itself() -> None:
    """Whoever can write to the store gives a session another's secrets, or an older version's, and a burnt attempt works again."""
    row = ROW["row"]
    for place in range(len(row)):
        with pytest.raises(TagMismatch):
            chain.unseal(KEK, SEALED, row[:place] + bytes((row[place] ^ 1,)) + row[place + 1 :])
    with pytest.raises(TagMismatch):
        chain.unseal(chain.next_kek(KEK), SEALED, row)
    changed = [SEALED[:i] + bytes((SEALED[i] ^ 1 << i % 8,)) + SEALED[i + 1 :] for i in range(len(SEALED))]
    for sealed in [*changed, b"", SEALED[:8], SEALED[:12], SEALED[:-1], SEALED + b"\0"]:
        with pytest.raises(TagMismatch):
            chain.unseal(KEK, sealed, row)


@pytest.mark.parametrize(("nonce", "session_id", "secret"), [(11, 16, 32), (12, 15, 33), (12, 17, 31), (12, 16, 0)])
def test_wrong_lengths_are_not_sealed(nonce: int, session_id: int, secret: int) -> None:
    """A row is written from which the next owner reads a shifted session id and chain."""
    with pytest.raises(Invariant):
        chain.seal(Secret(bytes(32)), bytes(nonce), Secret(bytes(session_id)), Secret(bytes(secret)), b"row")


def test_kek_ratchet_vector() -> None:
    """[K-6] Gateways that share a start compute different keys for the same hour."""
    first, second, third = map(bytes.fromhex, VECTOR["kek"])
    assert chain.next_kek(Secret(first)).expose() == second == hmac.digest(first, b"kek\x01", "sha256")
    assert chain.next_kek(Secret(second)).expose() == third


def test_secrets_are_not_shown() -> None:
    """A chain or an epoch key ends up in a log line or a pickle."""
    holder = chain.Birth(SECRET, SECRET, SECRET, SECRET)
    assert "xa5" not in repr(holder) + f"{holder}"
    with pytest.raises(TypeError):
        pickle.dumps(holder)
