"""Which rows of a machine's table are taken while a test plays."""

from collections.abc import Mapping
from typing import Any

import pytest

from core.client.client import Client
from core.client.table import Row as ClientRow
from core.session.session import Session
from core.session.table import Row


def clauses_taken(monkeypatch: pytest.MonkeyPatch, owner: type[Client | Session], table: Mapping[Any, ClientRow | Row]) -> list[str]:
    """Return the clauses of the rows that clients, or sessions, take from now on."""
    clauses: list[str] = []
    hear: Any = owner.hear

    def listening(machine: Client | Session, heard: Any, *rest: Any, **named: Any) -> bool:  # noqa: ANN401 - of either machine
        row = table.get((machine.state, heard))
        did: bool = hear(machine, heard, *rest, **named)
        if did and row:
            clauses.append(row.clause)
        return did

    monkeypatch.setattr(owner, "hear", listening)
    return clauses
