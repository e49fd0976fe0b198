"""The numbers of the specification's table [F-3] [F-8] [F-10] [F-11]."""

import pytest

from core.limits import LOCATORS_PER_ACK, MTU_ALLOWED
from core.wire import layout
from core.wire.layout import Type


def test_sizes_are_the_tables() -> None:
    """A message could have another length than the specification promises to every implementation."""
    assert dict(layout.SIZES) == {1: 1352, 2: 1180, 3: 40, 5: 104, 6: 84}
    assert (layout.DATA_MIN, layout.DATA_MAX) == (48, 1440)
    assert layout.SIZES[Type.INIT] == 1 + 1 + 2 + 4 + 32 + (1184 + 16) + (32 + 16) + (16 + 16) + 16 + 16
    assert layout.SIZES[Type.RESP] == 1 + 1 + 2 + 4 + 4 + 32 + (1088 + 16) + (16 + 16)
    assert layout.SIZES[Type.REATTACH] == 1 + 1 + 2 + 4 + 16 + 32 + (16 + 16) + 16
    assert layout.SIZES[Type.REATTACH_RESP] == 1 + 1 + 2 + 4 + 4 + 32 + (24 + 16)


def test_macs_cover_all_before_them() -> None:
    """Bytes between a MAC and what it covers could be changed on the way."""
    assert layout.INIT_MAC1 + 16 == layout.INIT_MAC2 == layout.SIZES[Type.INIT] - 16
    assert layout.SIZES[Type.REATTACH] - 16 == layout.REATTACH_MAC


@pytest.mark.parametrize(("request_type", "reply"), [(Type.INIT, Type.RESP), (Type.INIT, Type.COOKIE), (Type.REATTACH, Type.REATTACH_RESP)])
def test_no_reply_is_longer_than_its_request(request_type: Type, reply: Type) -> None:
    """A gateway would multiply the traffic of whoever forges a victim's address."""
    assert layout.SIZES[reply] <= layout.SIZES[request_type]


def test_a_hint_is_not_longer_than_any_data() -> None:
    """The same, with HINT (4 bytes of inner frame) in answer to a replayed DATA."""
    assert layout.DATA_OVERHEAD + layout.padded(3 + 1) == layout.DATA_MIN


@pytest.mark.parametrize(("mtu", "length"), [(1280, 1328), (1380, 1440)])
def test_confirm_length(mtu: int, length: int) -> None:
    """A path would be committed that does not carry the longest frame, or one be refused that does."""
    assert layout.confirm_length(mtu) == length
    longest_segment = 3 + 2 + 10 + mtu
    assert length - 32 - 16 < longest_segment <= length - 32


def test_padded() -> None:
    """Inner frames would not have whole blocks, or a block too many."""
    assert [layout.padded(n) for n in (0, 1, 15, 16, 17, 1395)] == [0, 16, 16, 16, 32, 1408]


def test_stream_maxima() -> None:
    """A stream would take a COOKIE, which only proves a datagram's source, or cut a longer message than there is."""
    assert layout.STREAM_MAX == {1: 1352, 2: 1180, 4: 1440, 5: 104, 6: 84}


def test_limits_have_one_meaning() -> None:
    """A longer ACK than CONFIRM would make the reply the longer one; 32 locators have to fit below L of the smallest M."""
    assert layout.confirm_length(min(MTU_ALLOWED)) - 32 >= 3 + 47 + 16 * LOCATORS_PER_ACK
