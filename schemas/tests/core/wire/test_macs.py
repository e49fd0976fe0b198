"""MACs and the cookie [M-1] to [M-6]; their values are in the vectors."""

import pytest

from core.crypto.secret import Secret
from core.errors import Invariant
from core.wire import macs
from core.wire.layout import INIT_MAC1, INIT_MAC2, REATTACH_MAC
from core.wire.messages import encode
from core.wire.records import Init, Reattach

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
COOKIE = bytes(range(16))
ADDRESS = bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 1))


def init() -> bytes:
    """An INIT with both MACs."""
    before = encode(Init(7, bytes(1312), bytes(16), bytes(16)))[:INIT_MAC1]
    before += macs.mac(KEY, before)
    return before + macs.mac(COOKIE, before)


def reattach() -> bytes:
    """A REATTACH with its MAC."""
    before = encode(Reattach(7, bytes(16), bytes(64), bytes(16)))[:REATTACH_MAC]
    return before + macs.mac(KEY, before)


CASES = {"mac1": (init(), INIT_MAC1, KEY), "mac2": (init(), INIT_MAC2, COOKIE), "reattach": (reattach(), REATTACH_MAC, KEY)}


@pytest.mark.parametrize("name", CASES)
def test_a_right_mac_is_accepted(name: str) -> None:
    """Nobody could connect."""
    frame, at, key = CASES[name]
    assert macs.check_mac(frame, at, key)


@pytest.mark.parametrize("name", CASES)
def test_every_byte_counts(name: str) -> None:
    """Someone could change a byte in front of a MAC, or of the MAC, on the way."""
    frame, at, key = CASES[name]
    for place in range(at + 16):
        changed = bytearray(frame)
        changed[place] ^= 0x80
        assert not macs.check_mac(bytes(changed), at, key), place


@pytest.mark.parametrize("name", CASES)
def test_the_key_counts(name: str) -> None:
    """Someone who does not know the gateway, or the cookie, or the chain, could make it work."""
    frame, at, key = CASES[name]
    assert not macs.check_mac(frame, at, OTHER[: len(key)])


def test_mac1_does_not_cover_mac2() -> None:
    """A client could not add the cookie's MAC without making the first anew; and mac2 is not looked at unless it is asked for."""
    frame = init()[:INIT_MAC2] + bytes(16)
    assert macs.check_mac(frame, INIT_MAC1, KEY)
    assert not macs.check_mac(frame, INIT_MAC2, COOKIE)


def test_a_cookie_is_for_one_source() -> None:
    """Whoever has got a cookie could lend it to forged addresses."""
    cookies = {
        macs.cookie_for(Secret(KEY), ADDRESS, 1),
        macs.cookie_for(Secret(KEY), ADDRESS, 256),
        macs.cookie_for(Secret(KEY), bytes(16), 1),
        macs.cookie_for(Secret(OTHER), ADDRESS, 1),
    }
    assert {len(cookie) for cookie in cookies} == {16}
    assert len(cookies) == 4


@pytest.mark.parametrize("address", [b"", bytes(4), bytes(15), bytes(17)])
def test_a_cookie_is_for_a_whole_address(address: bytes) -> None:
    """Address and port would run into each other: two sources with one cookie."""
    with pytest.raises(Invariant):
        macs.cookie_for(Secret(KEY), address, 1)


def test_a_proof_is_for_one_cookie_and_one_init() -> None:
    """A cookie of someone who has not seen the INIT would be believed."""
    proofs = {
        macs.cookie_proof(KEY, COOKIE, COOKIE),
        macs.cookie_proof(OTHER, COOKIE, COOKIE),
        macs.cookie_proof(KEY, OTHER[:16], COOKIE),
        macs.cookie_proof(KEY, COOKIE, OTHER[:16]),
    }
    assert len(proofs) == 4


def test_k1_is_for_one_gateway() -> None:
    """An INIT for one gateway would make another one work."""
    assert macs.k1(KEY) != macs.k1(OTHER)
    assert len(macs.k1(KEY)) == 32
