"""Every row of the gateway's table is taken by something that can happen in the world, through the engine's own border."""

import pytest

from core.session.session import Session
from core.session.table import ROWS, TABLE, Row
from tests.core.session.playbooks import PLAYBOOKS
from tests.core.taking import clauses_taken


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the clauses of the rows that sessions take from now on."""
    return clauses_taken(monkeypatch, Session, TABLE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.clause)
def test_the_row_is_taken(row: Row, taken: list[str]) -> None:
    """A row of the table would be dead, or its input would never be heard."""
    clause = row.clause
    PLAYBOOKS[clause]()
    assert clause in taken
