"""The bytes between the core and the writer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import RecordMalformed
from audit.record import RECORD_BYTES, RECORDS_PER_WRITE, Stamped, outbox_id_of, pack, unpack, with_outbox_id
from core.errors import CallerFault
from core.values import Endpoint
from tests.audit.made import BOOT, PAIRS, fact_of
from tests.audit.strategies import STAMPED

RECORD = pack(fact_of(*PAIRS[0]), 1, BOOT, 7)


@given(STAMPED)
def test_what_is_packed_is_read_back(stamped: Stamped) -> None:
    """A-1: the log would say something else than the core said."""
    assert unpack(pack(*stamped)) == stamped


@given(st.binary(max_size=2 * RECORD_BYTES) | st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_any_bytes_are_a_record_in_its_one_form_or_refused(data: bytes) -> None:
    """A-1: garbage from the pipe would end the writer, or two byte forms would say the same."""
    try:
        stamped = unpack(data)
    except RecordMalformed:
        return
    assert pack(*stamped) == data


@given(st.integers(0, RECORD_BYTES - 1), st.integers(1, 255))
def test_a_damaged_record_is_another_record_or_refused(place: int, change: int) -> None:
    """A-1: a byte that carries nothing could be changed without anyone seeing it."""
    damaged = bytearray(RECORD)
    damaged[place] ^= change
    try:
        stamped = unpack(bytes(damaged))
    except RecordMalformed:
        return
    assert pack(*stamped) == damaged
    assert stamped != unpack(RECORD)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 2), (1, 2), (1, 0), (2, 255), (4, 255), (62, 1), (186, 1), (191, 1)],
    ids=["version", "flag", "remote without flag", "event", "reason", "handle above 48 bits", "padding", "last byte"],
)
def test_each_reserved_place_is_judged(place: int, value: int) -> None:
    """A-1: a record of a later program would be read as one of this program."""
    damaged = bytearray(RECORD)
    damaged[place] = value
    with pytest.raises(RecordMalformed):
        unpack(bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, RECORD_BYTES - 1, RECORD_BYTES + 1])
def test_another_length_is_refused(length: int) -> None:
    """A-1: a torn record would be read as a whole one."""
    with pytest.raises(RecordMalformed, match=f"this has {length}"):
        unpack(RECORD.ljust(length, b"\0")[:length])


def test_the_atomic_write_holds_whole_records() -> None:
    """A-2: a write of so many records could be torn by another writer's."""
    assert RECORDS_PER_WRITE * RECORD_BYTES <= 4_096 < (RECORDS_PER_WRITE + 1) * RECORD_BYTES


@given(STAMPED, st.integers(0, 2**64 - 1))
def test_the_outbox_id_is_put_in_later(stamped: Stamped, outbox_id: int) -> None:
    """A-3: the store, which knows the id only after the insert, would change something else."""
    record = with_outbox_id(pack(*stamped), outbox_id)
    assert unpack(record) == stamped._replace(outbox_id=outbox_id)
    assert outbox_id_of(record) == outbox_id


def test_bytes_of_another_length_have_no_outbox_id() -> None:
    """A-3: rows of the outbox would be acknowledged by bytes that never had an id."""
    assert outbox_id_of(RECORD) == 7
    assert outbox_id_of(RECORD[:-1]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"handle": 2**48},
        {"correlation": b"short"},
        {"device": bytes(33)},
        {"remote": Endpoint(bytes(4), 1)},
        {"times": 2**64},
        {"serial": -1},
        {"attempt": 2**16},
        {"measures": (0, 0, 0)},
    ],
)
def test_a_value_without_place_is_the_callers_fault(change: dict[str, object]) -> None:
    """A-1: a value would be cut to its place and the log would say something that never was."""
    with pytest.raises(CallerFault):
        pack(fact_of(*PAIRS[0])._replace(**change), 1, BOOT)  # type: ignore[arg-type]  # wrong on purpose


def test_a_boot_of_another_length_is_the_callers_fault() -> None:
    """A-4: events of two process starts would get the same ids."""
    with pytest.raises(CallerFault):
        pack(fact_of(*PAIRS[0]), 1, BOOT[:-1])
