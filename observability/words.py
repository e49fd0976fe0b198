"""What went wrong between us and a cluster, in a sentence that says whose fault it is."""

import socket
import ssl
from collections.abc import Iterator
from http.client import RemoteDisconnected
from typing import Any, Final

from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import ConnectionTimeout, TransportError

MOST: Final = 300  # characters
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
INNER_MAX: Final = 20  # exceptions inside an exception


def said(error: Exception) -> str:
    """Return one line about an exception of the OpenSearch client."""
    if isinstance(error, ConnectionTimeout):
        return "no answer in time"
    if isinstance(error, NoConnection):
        return _connection(error)[:MOST]
    if isinstance(error, TransportError):
        return of_status(error.status_code if isinstance(error.status_code, int) else 0, error.info, str(error.error))[:MOST]
    return f"malformed answer: {type(error).__name__}"


def of_status(status: int, body: Any, otherwise: str) -> str:  # noqa: ANN401 - a decoded answer, which may be anything
    """Return one line about an answer that is a refusal as a whole."""
    error = body.get("error") if isinstance(body, dict) else None
    reason = f"{error.get('type')}: {error.get('reason')}" if isinstance(error, dict) else str(error or otherwise)
    if status == UNAUTHORIZED:
        return "HTTP 401: the cluster does not accept the credentials (credentials file, or client certificate)"
    if status == FORBIDDEN:
        return f"HTTP 403: the cluster knows the credentials, and does not let them do this: {reason}"
    return f"HTTP {status}: {reason[:200]}"


def _connection(error: Exception) -> str:
    for inner in _inside(error):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"the cluster's certificate is not accepted: {inner.verify_message}"
        if isinstance(inner, ssl.SSLError):
            return f"TLS fails ({inner.reason}): is the other side https, and does it accept our client certificate?"
        if isinstance(inner, ConnectionRefusedError):
            return "connection refused: nobody listens there"
        if isinstance(inner, socket.gaierror):
            return f"the host is not known: {inner.strerror}"
        if isinstance(inner, RemoteDisconnected | ConnectionResetError | BrokenPipeError):
            return "the connection was closed without an answer: does the cluster want https?"
    return f"{type(error).__name__}: {error.info if len(error.args) > 2 else error}"  # type: ignore[attr-defined]  # noqa: PLR2004 - the client's (status, error, info)


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that this one is made of, outermost first: each library wraps those of the one below in its own way."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(seen) < INNER_MAX:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or any(one is known for known in seen):
            continue
        seen.append(one)
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
