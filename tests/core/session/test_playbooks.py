"""Every row of the gateway's table is taken by something that can happen in the world, through the engine's own border."""

import pytest

from core.session.session import Candidate, Session
from core.session.states import Input
from core.session.table import ROWS, TABLE, Row
from core.values import Instant, Path
from tests.core.session.playbooks import PLAYBOOKS


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the clauses of the rows that sessions take from now on."""
    clauses: list[str] = []
    hear = Session.hear

    def listening(session: Session, heard: Input, now: Instant, *, path: Path | None = None, offer: Candidate | None = None) -> bool:
        row = TABLE.get((session.state, heard))
        did = hear(session, heard, now, path=path, offer=offer)
        if did and row:
            clauses.append(row.clause)
        return did

    monkeypatch.setattr(Session, "hear", listening)
    return clauses


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.clause)
def test_the_row_is_taken(row: Row, taken: list[str]) -> None:
    """A row of the table would be dead, or its input would never be heard."""
    clause = row.clause
    PLAYBOOKS[clause]()
    assert clause in taken
