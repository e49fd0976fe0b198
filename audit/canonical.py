"""The one byte form of events and lines: RFC 8785, restricted to ASCII keys, strings, objects and integers (clauses A-11, A-20)."""

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
TAIL_BYTES: Final = len(MIDDLE) + HASH_CHARS + len(CLOSING)
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
    if middle < len(OPENING) or not (line.startswith(OPENING) and line.startswith(MIDDLE, middle) and line.endswith(CLOSING)):
        raise LineMalformed('the line is not {"event":...,"hash":"..."} with a newline')
    digest = line[middle + len(MIDDLE) : -len(CLOSING)]
    if not HEX.issuperset(digest):
        raise LineMalformed("the hash is not 64 lower-case hex digits")
    return Line(line[len(OPENING) : middle], digest.decode())


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


def _exact(value: dict[str, Any], depth: int) -> bool:
    for item in value.values():
        kind = type(item)
        if kind is str:
            continue
        if not (-INTEGER_MAX <= item <= INTEGER_MAX if kind is int else kind is dict and depth > 1 and _exact(item, depth - 1)):
            return False
    return True
