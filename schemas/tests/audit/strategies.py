"""Anything that a fact, a record or an event can be."""

from typing import Any

from hypothesis import strategies as st

from audit.record import HANDLE_MAX, Stamped
from audit.vocabulary import INTEGER_MAX, Kind
from core.reasons import Event, Reason
from core.values import Endpoint, Fact, Instant
from tests.audit.made import BEFORE, BOOT, PAIRS, builder, fact_of, role_of


def u(bits: int) -> st.SearchStrategy[int]:
    """Any unsigned number of so many bits."""
    return st.integers(0, 2**bits - 1)


def blob(length: int) -> st.SearchStrategy[bytes]:
    """Any bytes of this length, often zeros."""
    return st.just(bytes(length)) | st.binary(min_size=length, max_size=length)


ENDPOINTS = st.builds(Endpoint, blob(16), u(16))
FACTS = st.builds(
    Fact,
    st.sampled_from(Event),
    st.sampled_from(Reason),
    u(64),
    u(64),
    u(64).map(Instant),
    st.integers(0, HANDLE_MAX),
    blob(16),
    u(8),
    u(8),
    u(32),
    u(64),
    u(16),
    u(8),
    u(8),
    blob(32),
    st.none() | ENDPOINTS,
    u(64),
    st.tuples(u(64), u(64), u(64), u(64)),
)
STAMPED = st.builds(Stamped, FACTS, u(64), blob(8), u(64))
COUNTS = st.integers(0, INTEGER_MAX)


@st.composite
def fitting(draw: st.DrawFn) -> tuple[Kind, Stamped]:
    """A record that fits its event, with any values that may stand in one."""
    kind, reason = draw(st.sampled_from(PAIRS))
    fact = fact_of(kind, reason)._replace(
        serial=draw(u(64)),
        caused_by=draw(u(64)),
        at=Instant(draw(st.integers(0, INTEGER_MAX * 1_000))),
        handle=draw(st.integers(1, HANDLE_MAX)),
        correlation=draw(blob(16)),
        state_version=draw(u(32)),
        binding_version=draw(st.integers(1, INTEGER_MAX)),
        attempt=draw(u(16)),
        carrier_from=draw(st.sampled_from((0, 1, 2, 3, 16, 31))),
        device=draw(st.binary(min_size=32, max_size=32).filter(any)),
        remote=draw(st.none() | ENDPOINTS),
        times=draw(st.integers(1, INTEGER_MAX)),
    )
    first, second, third, fourth = (draw(COUNTS) if place < len(kind.measures) else 0 for place in range(4))
    measures = first, second, third, fourth
    return kind, Stamped(fact._replace(measures=measures), draw(u(64)), draw(st.binary(min_size=8, max_size=8)))


def built(kind: Kind, stamped: Stamped) -> dict[str, Any]:
    """The event of a record that fits."""
    return builder(role_of(kind)).of_record(stamped, BEFORE)


EVENTS = fitting().map(lambda pair: built(*pair))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=80),
    st.sampled_from((1.0, -0.0, 2**53, 2**53 - 1, -1, "", "0" * 16 + "\n", "0" * 15, "0" * 16, BOOT.hex(), "SESSION_BORN", "ATTACHED")),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=2),
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """An event with one thing in it, at any depth, removed, added, renamed or made something else."""
    event: dict[str, Any] = draw(EVENTS)
    inside = draw(st.sampled_from([event, *(part for part in event.values() if isinstance(part, dict))]))
    if draw(st.booleans()):
        inside[draw(st.text(max_size=12) | st.sampled_from(("device", "peer", "count", "from", "metrics")))] = draw(ODD)
        return event
    key = draw(st.sampled_from(sorted(inside)))
    value = inside.pop(key)
    if draw(st.booleans()):
        inside[key] = draw(ODD | st.just(value).map(lambda old: f"{old}\n"))
    return event
