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
from core.crypto.primitives import AesBlock, TagMismatch
from core.errors import Invariant
from tests.core.crypto import independent

VECTOR = json.loads((Path(__file__).parents[3] / "schemas/vectors/chain.json").read_text())
ROW = {name: bytes.fromhex(value) for name, value in VECTOR["sealed_row"]["inputs"].items()}
HANDLE, VERSION, HOUR = (int.from_bytes(ROW[name], "little") for name in ("handle", "binding_version", "hour"))
SEALED = bytes.fromhex(VECTOR["sealed_row"]["sealed"])


def test_attempts_vector() -> None:
    """[R-3] The keys of an attempt changed: sessions in the store cannot be moved by the next version."""
    assert len(VECTOR["attempts"]) == 3
    current = bytes.fromhex(VECTOR["attempts"][0]["chain"])
    for expected in VECTOR["attempts"]:
        assert current.hex() == expected["chain"]
        keys = chain.attempt_keys(current)
        assert [keys.mac.hex(), keys.psk.hex(), keys.next.hex()] == [expected[name] for name in ("mac", "psk", "next")]
        assert keys.mac == hmac.digest(current, b"mac\x01", "sha256")
        assert len({keys.mac, keys.psk, keys.next, current}) == 4
        current = keys.next


def test_locators_vector() -> None:
    """[R-4] Locators changed: clients that hold some knock with them in vain."""
    locators = chain.Locators(bytes.fromhex(VECTOR["locators"]["key"]))
    assert len(VECTOR["locators"]["cases"]) == 5
    for case in VECTOR["locators"]["cases"]:
        locator = bytes.fromhex(case["locator"])
        assert locators.mint(case["handle"], case["attempt"]) == locator
        assert locators.open(locator) == (case["handle"], case["attempt"])


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 127))
def test_locators_open_only_what_they_minted(handle: int, attempt: int, bit: int) -> None:
    """A locator leads to another session or attempt, or a changed or foreign one leads anywhere."""
    mine, other = chain.Locators(bytes(32)), chain.Locators(b"\1" * 32)
    locator = mine.mint(handle, attempt)
    assert mine.open(locator) == (handle, attempt)
    assert other.open(locator) is None
    assert mine.open((int.from_bytes(locator, "little") ^ 1 << bit).to_bytes(16, "little")) is None


def test_garbage_is_no_locator() -> None:
    """Random knocks reach the store."""
    locators = chain.Locators(bytes(32))
    assert not any(locators.open(hashlib.sha256(bytes((i,))).digest()[:16]) for i in range(256))
    block = AesBlock(bytes(32))
    assert locators.open(block.encrypt(bytes(16))) == (0, 0)
    assert not any(locators.open(block.encrypt((1 << bit).to_bytes(16, "little"))) for bit in range(64, 128))
    for length in (0, 15, 17):
        with pytest.raises(Invariant):
            locators.open(bytes(length))


@pytest.mark.parametrize(("handle", "attempt"), [(2**48, 0), (-1, 0), (0, 2**16), (0, -1)])
def test_locators_have_room_for_no_more(handle: int, attempt: int) -> None:
    """A handle or attempt that is too large spills into another one's locator."""
    with pytest.raises(OverflowError):
        chain.Locators(bytes(32)).mint(handle, attempt)


def test_sealed_row_vector() -> None:
    """[K-5] Rows of running sessions cannot be opened by the next version, or are sealed in another way than the protocol says."""
    assert independent.sealed_row(ROW) == SEALED
    assert chain.seal(ROW["kek"], ROW["nonce"], ROW["session_id"], ROW["chain"], HANDLE, VERSION, HOUR) == SEALED
    assert chain.unseal(ROW["kek"], SEALED, HANDLE, VERSION, HOUR) == (ROW["session_id"], ROW["chain"])
    assert len(SEALED) == chain.SEALED_LENGTH == 76


def test_a_row_opens_only_as_itself() -> None:
    """Whoever can write to the store gives a session another's secrets, or an older version's, and a burnt attempt works again."""
    wrong = [
        (HANDLE + 1, VERSION, HOUR),
        (HANDLE, VERSION + 1, HOUR),
        (HANDLE, VERSION - 1, HOUR),
        (HANDLE, VERSION, HOUR + 1),
        (VERSION, HANDLE, HOUR),
    ]
    for handle, version, hour in wrong:
        with pytest.raises(TagMismatch):
            chain.unseal(ROW["kek"], SEALED, handle, version, hour)
    with pytest.raises(TagMismatch):
        chain.unseal(chain.next_kek(ROW["kek"]), SEALED, HANDLE, VERSION, HOUR)
    changed = [SEALED[:i] + bytes((SEALED[i] ^ 1 << i % 8,)) + SEALED[i + 1 :] for i in range(len(SEALED))]
    for sealed in [*changed, b"", SEALED[:8], SEALED[:12], SEALED[:-1], SEALED + b"\0"]:
        with pytest.raises(TagMismatch):
            chain.unseal(ROW["kek"], sealed, HANDLE, VERSION, HOUR)


@pytest.mark.parametrize(("nonce", "session_id", "secret"), [(11, 16, 32), (12, 15, 33), (12, 17, 31), (12, 16, 0)])
def test_wrong_lengths_are_not_sealed(nonce: int, session_id: int, secret: int) -> None:
    """A row is written from which the next owner reads a shifted session id and chain."""
    with pytest.raises(Invariant):
        chain.seal(bytes(32), bytes(nonce), bytes(session_id), bytes(secret), 1, 1, 1)


def test_kek_ratchet_vector() -> None:
    """[K-6] Gateways that share a start compute different keys for the same hour."""
    first, second, third = map(bytes.fromhex, VECTOR["kek"])
    assert chain.next_kek(first) == second == hmac.digest(first, b"kek\x01", "sha256")
    assert chain.next_kek(second) == third


def test_secrets_are_not_shown() -> None:
    """A chain or an epoch key ends up in a log line or a pickle."""
    for holder in (chain.attempt_keys(b"\xa5" * 32), chain.Birth(b"\xa5" * 32, b"\xa5" * 32, b"\xa5" * 16, b"\xa5" * 32)):
        assert "xa5" not in repr(holder) + f"{holder}"
        with pytest.raises(TypeError):
            pickle.dumps(holder)
    assert "mac" not in repr(chain.attempt_keys(bytes(32)))
