"""From lines of the log to the body of one bulk request, and back to an answer that can be judged."""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import TransportError

from audit import canonical
from audit.errors import LineMalformed
from observability.tail import Line

ID_CHARS: Final = 22  # base64url of 132 bits
_CHAIN: Final = re.compile(r"[0-9a-f]{32}")
_STAMP: Final = re.compile(rb'"@timestamp":"([^"]+)"')
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class Document(NamedTuple):
    """One event on its way: ``body`` is its two lines of the request, line feeds included."""

    line: Line
    id: str
    body: bytes


class Unfit(Exception):
    """A line of the log is not an event; the message says why."""


class Reply(NamedTuple):
    """What came back for one request: HTTP status (0: no answer), the decoded body, and in words what went wrong."""

    status: int
    body: Any
    trouble: str


class Bulk(Protocol):
    """The one call of the OpenSearch client that is used here."""

    def bulk(self, *, body: bytes, index: str) -> object:
        """Send one bulk request; return the decoded body of a 2xx answer, raise otherwise."""


def document_id(chain_id: str, seq: int, event_hash: str) -> str:
    """Return the id that is a function of the event: the first 22 characters of base64url(SHA-256("chain_id|seq|hash"))."""
    digest = hashlib.sha256(f"{chain_id}|{seq}|{event_hash}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:ID_CHARS].decode()


def document(line: Line) -> Document:
    """Return the document of one line: the event's canonical bytes, with ``@timestamp`` and ``event_hash`` put in front.

    Raises ``Unfit`` when the line is not in the canonical form that the audit writer writes, or its hash is not that of its event: such
    a line is never shown to the cluster as if it were an event.
    """
    try:
        event_bytes, said_hash = canonical.split(line.raw + b"\n")
        event = canonical.parse(event_bytes)
    except LineMalformed as error:
        raise Unfit(str(error)) from None
    event_hash = hashlib.sha256(event_bytes).hexdigest()
    if event_hash != said_hash:
        raise Unfit(f"the hash of the event is {event_hash}, the line says {said_hash}")
    chain_id, seq, time = event.get("chain_id"), event.get("seq"), event.get("time")
    if not (
        isinstance(chain_id, str) and _CHAIN.fullmatch(chain_id) and type(seq) is int and isinstance(time, str) and _TIME.fullmatch(time)
    ):
        raise Unfit("the event has no proper chain_id, seq or time")
    name = document_id(chain_id, seq, event_hash)
    front = b'{"create":{"_id":"%b"}}\n{"@timestamp":"%b","event_hash":"%b",' % (name.encode(), time.encode(), event_hash.encode())
    return Document(line, name, front + event_bytes[1:] + b"\n")


def recorded_s(document: Document) -> float | None:
    """Return when an event was recorded, seconds since 1970; None when its time has the form of one and is none."""
    found = _STAMP.search(document.body)
    try:
        return datetime.fromisoformat(found[1].decode()).timestamp() if found else None
    except ValueError:
        return None


def send(client: Bulk, stream: str, documents: Sequence[Document]) -> Reply:
    """Send one bulk request, once. Whatever happens is a ``Reply``: nothing is raised."""
    try:
        answer = client.bulk(body=b"".join(one.body for one in documents), index=stream)
    except NoConnection as error:  # refused, reset, timed out, TLS
        return Reply(0, None, f"{type(error).__name__}: {error.info if len(error.args) > 2 else error}")  # noqa: PLR2004 - (status, error, info)
    except TransportError as error:
        status = error.status_code if isinstance(error.status_code, int) else 0
        return Reply(status, error.info if isinstance(error.info, dict) else None, f"HTTP {status}: {str(error.error)[:200]}")
    except Exception as error:  # noqa: BLE001 - the client raises AttributeError, RecursionError, ... on malformed answers
        return Reply(0, None, f"malformed answer: {type(error).__name__}")
    return Reply(200, answer, "")
