"""The one byte form of events and lines: RFC 8785, restricted to ASCII keys, strings, objects and integers (clauses A-11, A-20)."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from audit.errors import LineMalformed
from audit.vocabulary import INTEGER_MAX

DEPTH_MAX: Final = 8  # objects in objects; an event has at most three levels, and whoever writes a file could write a thousand
LINE_BYTES_MAX: Final = 8_192  # with its newline; the schemas bound an event far below
HASH_CHARS: Final = 64
OPENING: Final = b'{"event":'
MIDDLE: Final = b',"hash":"'
CLOSING: Final = b'"}\n'
OPENING_BYTES, MIDDLE_BYTES, CLOSING_BYTES = len(OPENING), len(MIDDLE), len(CLOSING)
TAIL_BYTES: Final = MIDDLE_BYTES + HASH_CHARS + CLOSING_BYTES
HEX: Final = frozenset(b"0123456789abcdef")


class Line(NamedTuple):
    """A line taken apart: the event's own canonical bytes, and the hash that stands beside them (64 hex characters)."""

    event: bytes
    hash: str


def canonical(value: dict[str, Any]) -> bytes:
    """Return the canonical bytes of an event or a head (A-20). The caller has validated it: here nothing is checked twice."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def line_of(event: bytes, digest: str) -> bytes:
    """Return the line of an event's canonical bytes and its hash, with newline."""
    return b"".join((OPENING, event, MIDDLE, digest.encode(), CLOSING))


def split(line: bytes) -> Line:
    """Take a line apart. LineMalformed unless it is framed exactly as `line_of` frames it; the event's bytes are not yet read."""
    middle = len(line) - TAIL_BYTES
    if middle < OPENING_BYTES or not (line.startswith(OPENING) and line.startswith(MIDDLE, middle) and line.endswith(CLOSING)):
        raise LineMalformed('the line is not {"event":...,"hash":"..."} with a newline')
    told = line[middle + MIDDLE_BYTES : -CLOSING_BYTES]
    if not HEX.issuperset(told):
        raise LineMalformed("the hash is not 64 lower-case hex digits")
    return Line(line[OPENING_BYTES:middle], told.decode())


def parse(data: bytes) -> dict[str, Any]:
    """Return the object that these canonical bytes are. LineMalformed for anything else, even the same value in other bytes (A-20)."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise LineMalformed(f"not JSON: {error}") from error
    if not isinstance(value, dict) or not _exact(value, DEPTH_MAX):
        raise LineMalformed(f"not an object of strings, integers up to 2^53 - 1, and objects at most {DEPTH_MAX} deep")
    if canonical(value) != data:
        raise LineMalformed("JSON, but not in canonical form")
    return value


def parse_valid(data: bytes, valid: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return what `parse` returns, of bytes that have to be valid too: `valid` raises unless they fit a schema.

    The schemas leave strings, objects and whole numbers, but 1.0 is a whole number to them; so what could be one is looked at.
    """
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise LineMalformed(f"not JSON: {error}") from error
    if type(value) is not dict or b".0," in data or b".0}" in data or not _is_form_of(data, value):
        value = parse(data)  # which says what is wrong, if anything is
    event: dict[str, Any] = value
    valid(event)
    return event


def _is_form_of(data: bytes, value: dict[str, Any]) -> bool:
    try:
        return canonical(value) == data
    except orjson.JSONEncodeError:  # it can be read deeper than it can be written
        return False


def _exact(value: dict[str, Any], depth: int) -> bool:
    for item in value.values():
        kind = type(item)
        if kind is str:
            continue
        if not (-INTEGER_MAX <= item <= INTEGER_MAX if kind is int else kind is dict and depth > 1 and _exact(item, depth - 1)):
            return False
    return True
