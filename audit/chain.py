"""What links events: hashes, numbers, and what the first event says about the program (clauses A-21 to A-23)."""

import enum
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from audit.vocabulary import vocabulary
from core.client.table import ROWS as CLIENT_ROWS
from core.keys.table import ROWS as KEY_ROWS
from core.session.table import ROWS as SESSION_ROWS

BEFORE_GENESIS: Final = "0" * 64
CHAIN_ID_BYTES: Final = 16


class Head(NamedTuple):
    """Which event a chain ends with: its chain (32 hex characters), its number, its hash (64 hex characters)."""

    chain_id: str
    seq: int
    hash: str


def digest(event: bytes) -> str:
    """Return the hash of an event's canonical bytes, in hex (A-21)."""
    return hashed(event).hex()


def hashed(event: bytes) -> bytes:
    """Return the same 32 bytes as they are."""
    return sha256(event).digest()


def new_chain(node: bytes, boot: bytes, wall_ns: int, mono_ns: int) -> Head:
    """Return the place before a new chain's genesis. Its name is unique because `boot` is random for each process start (A-21)."""
    seed = b"".join((b"jvp audit chain", node, boot, wall_ns.to_bytes(8, "little"), mono_ns.to_bytes(8, "little")))
    return Head(sha256(seed).hexdigest()[: 2 * CHAIN_ID_BYTES], -1, BEFORE_GENESIS)


@cache
def genesis() -> dict[str, Any]:
    """Return what LOG_OPENED and LOG_RESUMED say about the program: protocol, and which registry and tables its events must fit (A-23)."""
    return {
        "client_table": fingerprint(CLIENT_ROWS),
        "key_table": fingerprint(KEY_ROWS),
        "protocol": vocabulary().protocol,
        "registry": vocabulary().digest,
        "session_table": fingerprint(SESSION_ROWS),
    }


def fingerprint(rows: Iterable[Any]) -> str:
    """Return the SHA-256, in hex, over the rows as canonical JSON: an array for each row, names for enum members (A-23)."""
    return sha256(orjson.dumps(_plain(tuple(rows)))).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted(str(_plain(item)) for item in value)
    return value
