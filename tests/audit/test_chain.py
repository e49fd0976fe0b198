"""Hashes, and what identifies the tables."""

import json
from hashlib import sha256
from typing import Any, NamedTuple

import pytest

from audit.canonical import canonical
from audit.chain import BEFORE_GENESIS, digest, fingerprint, genesis, new_chain
from audit.vocabulary import SCHEMAS
from core.client.table import ROWS as CLIENT_ROWS
from core.keys.table import ROWS as KEY_ROWS
from core.session.states import Input, State
from core.session.table import ROWS
from tests.audit.made import BOOT, BORN_EVENT, NODE


class Cell(NamedTuple):
    """Something of each kind that tables hold."""

    clause: str
    states: tuple[State, ...]
    heard: Input | None
    names: frozenset[str]
    number: int = 5


def test_a_hash_is_the_sha_256_of_the_canonical_bytes() -> None:
    """A-21: nobody but us could compute it."""
    assert digest(canonical(BORN_EVENT)) == sha256(json.dumps(BORN_EVENT, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def test_the_fingerprint_is_one_that_others_can_compute() -> None:
    """A-23: an auditor could not compare the tables of a log with the tables that were reviewed."""
    rows = [Cell("X-1", (State.PENDING, State.ATTACHED), Input.KEY_REVOKED, frozenset("ba")), Cell("X-2", (), None, frozenset())]
    text = '[["X-1",["PENDING","ATTACHED"],"KEY_REVOKED",["a","b"],5],["X-2",[],null,[],5]]'
    assert fingerprint(rows) == sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("rows", [ROWS, CLIENT_ROWS, KEY_ROWS], ids=["session", "client", "key"])
def test_every_cell_is_in_the_fingerprint(rows: tuple[Any, ...]) -> None:
    """A-23: a table could be changed and its log would still say that it is the reviewed one."""
    seen = {fingerprint(rows), fingerprint(rows[1:]), fingerprint((rows[1], rows[0], *rows[2:]))}
    for name in rows[0]._fields:
        other = next((getattr(row, name) for row in rows if getattr(row, name) != getattr(rows[0], name)), None)
        seen.add(fingerprint((rows[0]._replace(**{name: other}), *rows[1:])))
    assert len(seen) == 3 + len(rows[0]._fields)


def test_the_genesis_names_protocol_registry_and_tables() -> None:
    """A-23: a log would not say which rules its events were made by."""
    assert genesis() == {
        "protocol": 1,
        "registry": sha256((SCHEMAS / "registry.toml").read_bytes()).hexdigest(),
        "session_table": fingerprint(ROWS),
        "client_table": fingerprint(CLIENT_ROWS),
        "key_table": fingerprint(KEY_ROWS),
    }


def test_each_log_has_a_chain_of_its_own() -> None:
    """A-21: events of one log could be put into another."""
    starts = {new_chain(node, boot, wall, mono) for node in (NODE, BOOT) for boot in (NODE, BOOT) for wall in (1, 2) for mono in (1, 2)}
    assert len({start.chain_id for start in starts}) == 16
    assert {(start.seq, start.hash) for start in starts} == {(-1, BEFORE_GENESIS)}
