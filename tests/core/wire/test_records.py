"""The codec of fixed fields [F-1] [F-5] [F-9]."""

import struct
from collections.abc import Container, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import Invariant
from core.wire import records
from core.wire.layout import Defect, Malformed
from core.wire.records import pack, unpack

TABLE: dict[type[Any], tuple[str, Mapping[str, Container[int]]]] = {
    cast("type[Any]", make): (form, allowed) for make, form, allowed in records._TABLE
}
RESERVED: dict[object, Sequence[int]] = {
    records.InitPayload: range(2, 16),
    records.RespPayload: (1, 14, 15),
    records.ReattachPayload: (11,),
    records.ReattachRespPayload: (1,),
}
SIZES = {
    records.InitPayload: 16,
    records.RespPayload: 16,
    records.ReattachPayload: 16,
    records.ReattachRespPayload: 24,
    records.Confirm: 2,
    records.AckHead: 47,
    records.Probe: 12,
    records.ProbeAck: 36,
    records.Close: 1,
    records.Hint: 1,
    records.Direction: 40,
}
BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def values(make: type[Any]) -> st.SearchStrategy[Any]:
    """Records of a class: every integer of its width, or one of those allowed; byte strings of the one length."""
    form, allowed = TABLE[make]
    fields: list[st.SearchStrategy[Any]] = []
    for name, code in zip(make._fields, (code for code in form.split() if "x" not in code), strict=True):
        if name in allowed:
            fields.append(st.sampled_from([n for n in range(65536) if n in allowed[name]]))
        elif code.endswith("s"):
            fields.append(st.binary(min_size=int(code[:-1]), max_size=int(code[:-1])))
        else:
            fields.append(st.integers(0, 2 ** BITS[code] - 1))
    return st.tuples(*fields).map(lambda drawn: make(*drawn))


anything = st.sampled_from(list(TABLE)).flatmap(values)


@given(anything)
def test_round_trip(value: tuple[Any, ...]) -> None:
    """What one end says would not be what the other end hears."""
    raw = pack(value)
    assert unpack(type(value), raw) == value
    assert type(unpack(type(value), raw)) is type(value)


@given(anything, st.binary(max_size=64))
@example(records.Close(1), b"\0")
def test_every_other_length_is_refused(value: tuple[Any, ...], more: bytes) -> None:
    """A record would have a second byte form, with room for what nobody checks."""
    raw = pack(value)
    wrong = {raw[:n] for n in range(len(raw))} | ({raw + more} if more else set())
    for candidate in wrong:
        with pytest.raises(Malformed) as caught:
            unpack(type(value), candidate)
        assert caught.value.defect is Defect.LENGTH


@pytest.mark.parametrize(("make", "at"), [(make, at) for make, places in RESERVED.items() for at in places])
@given(st.data())
def test_every_reserved_byte_is_zero(make: type[Any], at: int, data: st.DataObject) -> None:
    """A later version could give the byte a meaning that this one passes over in silence."""
    raw = bytearray(pack(data.draw(values(make))))
    assert raw[at] == 0
    raw[at] = data.draw(st.integers(1, 255))
    with pytest.raises(Malformed) as caught:
        unpack(make, bytes(raw))
    assert caught.value.defect in {Defect.RESERVED, Defect.BODY}  # BODY for the flags, which are a field


@pytest.mark.parametrize(("make", "size"), SIZES.items())
def test_sizes(make: object, size: int) -> None:
    """A payload or body would have another length than the specification's table says."""
    assert records._FORMS[make][0].size == size


def test_reserved_bytes_are_all_listed() -> None:
    """A zero of the table would be left out of the test above."""
    listed = {make: len(RESERVED.get(make, ())) for make in TABLE}
    assert listed == {make: sum(struct.calcsize(code) for code in form.split() if "x" in code) for make, (form, _) in TABLE.items()}


@pytest.mark.parametrize(
    ("make", "raw"),
    [
        (records.InitPayload, b"\1\1" + bytes(14)),
        (records.ReattachPayload, bytes(16)),
        (records.ReattachPayload, b"\3" + bytes(15)),
        (records.Confirm, (1281).to_bytes(2, "little")),
        (records.Confirm, bytes(2)),
        (records.AckHead, bytes(8) + (1380).to_bytes(2, "little") + bytes(36) + b"\x21"),
        (records.AckHead, bytes(47)),
        (records.Hint, b"\0"),
        (records.Hint, b"\3"),
    ],
)
def test_values_that_are_not_allowed(make: type[Any], raw: bytes) -> None:
    """A value that no clause gives a meaning to would reach the machine."""
    with pytest.raises(Malformed) as caught:
        unpack(make, raw)
    assert caught.value.defect is Defect.BODY


@pytest.mark.parametrize(
    "value",
    [
        records.Cookie(1, bytes(15), bytes(16)),
        records.Cookie(1, bytes(17), bytes(16)),
        records.Cookie(2**32, bytes(16), bytes(16)),
        records.Cookie(-1, bytes(16), bytes(16)),
        records.Close(256),
        records.Hint(3),
        records.Confirm(1500),
        records.InitPayload(1, 1),
        records.ReattachPayload(3, 1, 1, 1, 0),
        records.ReattachRespPayload(0, 65536, 1, 1, 1),
    ],
)
def test_impossible_values_of_ours(value: tuple[Any, ...]) -> None:
    """A mistake of ours would leave as bytes that mean something else: struct pads, cuts and says nothing."""
    with pytest.raises(Invariant):
        pack(value)


def test_no_flags_is_what_is_said_without_saying() -> None:
    """A client that states its carrier only could not connect."""
    assert pack(records.InitPayload(1)) == b"\1" + bytes(15)


def test_an_outage_is_never_too_long_to_say() -> None:
    """A client that slept for two months could not say so, and could not move."""
    said = records.ReattachPayload(1, 1, 1, 1, 2**40)
    assert unpack(records.ReattachPayload, pack(said)).outage_ms == 2**32 - 1


@given(st.sampled_from(list(TABLE)), st.binary(max_size=64))
def test_any_bytes(make: type[Any], raw: bytes) -> None:
    """Someone's bytes could stop the process, or be accepted in two forms."""
    try:
        value = unpack(make, raw)
    except Malformed:
        return
    assert pack(value) == raw
