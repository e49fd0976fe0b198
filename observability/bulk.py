"""From lines of the log to the body of one bulk request, and back to an answer that can be judged."""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from opensearchpy.exceptions import TransportError

from audit import canonical
from audit.errors import LineMalformed
from observability.names import PREFIX, TELEMETRY, Names
from observability.tail import Line
from observability.words import said

ID_CHARS: Final = 22  # base64url of 132 bits
_CHAIN: Final = re.compile(r"[0-9a-f]{32}")
_STAMP: Final = re.compile(rb'"@timestamp":"([^"]+)"')
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class Document(NamedTuple):
    """One event on its way: ``body`` is its two lines of the request, line feeds included; ``target`` where it goes.

    ``stream``: that is a data stream, in which an id is unique only until the next rollover.
    """

    line: Line
    id: str
    body: bytes
    target: str
    stream: bool


class Unfit(Exception):
    """A line of the log is not an event; the message says why."""


class Reply(NamedTuple):
    """What came back for one request: HTTP status (0: no answer), the decoded body, and in words what went wrong."""

    status: int
    body: Any
    trouble: str


class Bulk(Protocol):
    """The one call of the OpenSearch client that is used here."""

    def bulk(self, *, body: bytes) -> object:
        """Send one bulk request; return the decoded body of a 2xx answer, raise otherwise."""


def document_id(chain_id: str, seq: int, event_hash: str) -> str:
    """Return the id that is a function of the event: base64url(SHA-256("chain_id|seq|hash"))[:22] (A-90)."""
    digest = hashlib.sha256(f"{chain_id}|{seq}|{event_hash}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:ID_CHARS].decode()


def document(line: Line, prefix: str = PREFIX) -> Document:
    """Return the document of one line (A-90): the event's canonical bytes, with ``@timestamp`` and ``event_hash`` put in front.

    Where it goes and its id follow from the event and ``prefix`` alone.

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
    chain_id, seq, time, kind = (event.get(name) for name in ("chain_id", "seq", "time", "event_class"))
    if not (
        isinstance(chain_id, str) and _CHAIN.fullmatch(chain_id) and type(seq) is int and isinstance(time, str) and _TIME.fullmatch(time)
    ):
        raise Unfit("the event has no proper chain_id, seq or time")
    name, names = document_id(chain_id, seq, event_hash), Names(prefix)
    target = names.telemetry if kind == TELEMETRY else names.month(time)
    action = b'{"create":{"_id":"%b","_index":"%b"}}\n' % (name.encode(), target.encode())
    front = b'{"@timestamp":"%b","event_hash":"%b",' % (time.encode(), event_hash.encode())
    return Document(line, name, action + front + event_bytes[1:] + b"\n", target, kind == TELEMETRY)


def recorded_s(document: Document) -> float | None:
    """Return when an event was recorded, seconds since 1970; None when its time has the form of one and is none."""
    found = _STAMP.search(document.body)
    try:
        return datetime.fromisoformat(found[1].decode()).timestamp() if found else None
    except ValueError:
        return None


def send(client: Bulk, documents: Sequence[Document]) -> Reply:
    """Send one bulk request, once. Whatever happens is a ``Reply``: nothing is raised."""
    try:
        answer = client.bulk(body=b"".join(one.body for one in documents))
    except TransportError as error:
        status = error.status_code if isinstance(error.status_code, int) else 0  # none: refused, reset, timed out, TLS
        return Reply(status, error.info if status and isinstance(error.info, dict) else None, said(error))
    except Exception as error:  # noqa: BLE001 - the client raises AttributeError, RecursionError, ... on malformed answers
        return Reply(0, None, said(error))
    return Reply(200, answer, "")
