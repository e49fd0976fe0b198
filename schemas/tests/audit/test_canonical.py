"""One byte form: the same as RFC 8785's, and no other is accepted."""

from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.canonical import DEPTH_MAX, LINE_BYTES_MAX, canonical, line_of, parse, split
from audit.chain import digest
from audit.errors import LineMalformed
from audit.vocabulary import INTEGER_MAX
from tests.audit.made import BORN_EVENT
from tests.audit.strategies import EVENTS, mutated

DATA = canonical(BORN_EVENT)
LINE = line_of(DATA, digest(DATA))
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
VALUES = st.dictionaries(
    ASCII,
    st.recursive(
        st.text(max_size=20) | st.integers(-INTEGER_MAX, INTEGER_MAX),
        lambda inner: st.dictionaries(ASCII, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_events_have_the_bytes_of_rfc_8785(event: dict[str, Any]) -> None:
    """A-20: an auditor who canonicalises with another library would get another hash."""
    assert canonical(event) == rfc8785.dumps(event)


@given(VALUES)
def test_all_values_of_the_domain_have_the_bytes_of_rfc_8785(value: dict[str, Any]) -> None:
    """A-20: a text that no event holds today would be written otherwise when one holds it."""
    assert canonical(value) == rfc8785.dumps(value)
    assert parse(canonical(value)) == value


@given(EVENTS)
def test_a_line_is_taken_apart_as_it_was_made(event: dict[str, Any]) -> None:
    """A-20: what is verified would not be what was hashed."""
    data = canonical(event)
    line = line_of(data, digest(data))
    assert len(line) < LINE_BYTES_MAX
    assert split(line) == (data, digest(data))
    assert parse(data) == event
    assert orjson.loads(line) == {"event": event, "hash": digest(data)}


@given(mutated())
def test_what_is_parsed_is_canonical(event: dict[str, Any]) -> None:
    """A-11, A-20: a float, a list or a null would stand in an event, and readers would differ on its bytes."""
    try:
        data = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits
        return
    try:
        value = parse(data)
    except LineMalformed:
        return
    assert rfc8785.dumps(value) == data


def test_objects_may_be_deep_but_not_deeper() -> None:
    """A-20: an event would be refused that the schemas allow; or the verifier would raise on a file that somebody prepared."""
    deep = b'{"a":' * (DEPTH_MAX - 1) + b"{}" + b"}" * (DEPTH_MAX - 1)
    assert canonical(parse(deep)) == deep


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b'{"a":1.5}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":true}',
        b'{"a":null}',
        b'{"a":[]}',
        b'{"a":{"b":[1]}}',
        b'{"a":{"b":0.5}}',
        b'{"a":' * DEPTH_MAX + b"{}" + b"}" * DEPTH_MAX,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    """A-20: two lines with the same meaning could have different hashes, and a change could hide between the two."""
    with pytest.raises(LineMalformed):
        parse(data)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        LINE[:-1],
        LINE[:-1] + b" ",
        LINE + b"\n",
        b" " + LINE,
        LINE.replace(b'{"event":', b'{ "event":'),
        LINE.replace(b',"hash":"', b',"hush":"'),
        LINE[:-10] + b"G" + LINE[-9:],
        LINE[:-3].upper() + LINE[-3:],
        LINE.removeprefix(b'{"event":'),
        b'{"event":,"hash":"' + b"0" * 61 + b'"}\n',
    ],
)
def test_other_frames_are_refused(line: bytes) -> None:
    """A-20: bytes outside of what is hashed could be changed."""
    with pytest.raises(LineMalformed):
        split(line)


def test_every_byte_of_a_line_counts() -> None:
    """A-20, A-21: a byte could be changed without the line being noticed."""
    for place in range(len(LINE)):
        damaged = LINE[:place] + bytes((LINE[place] ^ 1,)) + LINE[place + 1 :]
        try:
            data, told = split(damaged)
        except LineMalformed:
            continue
        assert digest(data) != told
