"""What several tests of SQLite's store begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jvpn.shell.stores.sqlite import SqliteStore
from tests.jvpn.shell.storing import BOOT, NODE, Clock, ask, create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is made."""
    return tmp_path / "store"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Return a store with one session."""
    made = SqliteStore(path, NODE, BOOT, Clock())
    ask(made, create(1, 1))
    yield made
    made.close()
