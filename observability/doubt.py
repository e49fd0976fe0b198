"""Telemetry that may be in the stream already: looked for before it is sent again, because after a rollover an id does not protect it.

Not airtight: a request that timed out may be stored after the look. Readers count an event once (`observability.queries`). Evidence needs
none of this: its index follows from the event, so its id protects it always.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol

import structlog
from opensearchpy.exceptions import AuthorizationException

from observability.bulk import Document
from observability.words import said

log = structlog.get_logger()
IDS_MAX: Final = 1_000  # asked for at once
HITS_MAX: Final = 10_000  # a node gives no more: ten copies of each


class Indices(Protocol):
    """What is asked about indices."""

    def refresh(self, *, index: str) -> object:
        """Make visible to searches what is stored."""


class Searching(Protocol):
    """The part of the OpenSearch client that looks."""

    @property
    def indices(self) -> Indices:
        """Calls about indices."""

    def search(self, *, index: str, body: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Search; return the decoded answer."""


class Asked(Protocol):
    """What may be in doubt."""

    document: Document | None
    doubtful: bool


class Incomplete(Exception):
    """A search did not look everywhere."""


class Doubt:
    """Which events may be stored already. At first all are: nobody knows what an earlier process sent last."""

    def __init__(self, client: Searching, stream: str) -> None:
        """``stream``: where telemetry goes."""
        self._client = client
        self._stream = stream
        self._fresh = True
        self._allowed = True

    def begin(self, batch: Sequence[Asked]) -> None:
        """Doubt a batch that an earlier process may have sent."""
        for entry in batch:
            entry.doubtful = self._fresh and entry.document is not None and entry.document.stream

    def stored(self, group: Sequence[Asked]) -> tuple[Collection[str], str]:
        """Return the ids among the doubtful ones that are in the stream, or else what is in the way of looking."""
        ids = [entry.document.id for entry in group if entry.doubtful and entry.document is not None]
        if not ids or not self._allowed:
            return (), ""
        found: set[str] = set()
        try:
            self._client.indices.refresh(index=self._stream)
            for first in range(0, len(ids), IDS_MAX):
                found |= self._found(ids[first : first + IDS_MAX])
        except Incomplete:
            return (), "not all shards say whether telemetry is stored already"
        except AuthorizationException as error:
            log.warning("not allowed to look for telemetry that may be stored; after a rollover it may be there twice", why=said(error))
            self._allowed = False
            return (), ""
        except Exception as error:  # noqa: BLE001 - the client raises AttributeError, RecursionError, ... on malformed answers
            return (), said(error)
        for entry in group:
            entry.doubtful = False
        self._fresh = self._fresh and bool(found)  # on behind what an earlier process sent
        return found, ""

    def _found(self, ids: Sequence[str]) -> set[str]:
        body = {"size": HITS_MAX, "_source": False, "query": {"ids": {"values": list(ids)}}, "track_total_hits": False}
        answer = self._client.search(index=self._stream, body=body)
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise Incomplete
        return {hit["_id"] for hit in answer["hits"]["hits"]}
