"""Events over HTTP: one POST for a batch, lines of JSON or an array. What answers 2xx has taken them; that is all that is known."""

from collections.abc import Sequence
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from observability.outputs.base import TAKEN, Answer, Destination, Parcel, Verdict
from observability.outputs.secure import address, authorization, context
from observability.projections.lines import FORMATS

OK: Final = range(200, 300)
UNFIT: Final = frozenset({400, 422})
TOO_LARGE: Final = 413
TYPES: Final = {"lines": "application/x-ndjson", "array": "application/json"}
SAID_BYTES: Final = 200  # of an answer, for people


class Http:
    """One connection, no own retries, no redirects, no proxy; nothing of the environment."""

    def __init__(self, to: Destination) -> None:
        """Nothing is sent yet. Raises ``SettingError``."""
        parts = address(to, ("https", "http"))
        self._line = FORMATS[to.form]
        self._array = to.body == "array"
        self._secret = authorization(to.credentials_file)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"content-type": TYPES[to.body], "user-agent": "jvpn"} | ({"authorization": self._secret} if self._secret else {})
        timeout = urllib3.Timeout(total=to.request_seconds)
        host = str(parts.hostname)
        self._pool: urllib3.HTTPConnectionPool
        if parts.scheme == "https":
            self._pool = urllib3.HTTPSConnectionPool(host, parts.port, maxsize=1, timeout=timeout, retries=False, ssl_context=context(to))
        else:
            self._pool = urllib3.HTTPConnectionPool(host, parts.port, maxsize=1, timeout=timeout, retries=False)

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send one request, once."""
        try:
            reply = self._pool.urlopen(
                "POST", self._target, body=self._body(parcels), headers=self._headers, redirect=False, preload_content=False
            )
            said = reply.read(SAID_BYTES)
            # What is left of a long answer is not read; when nothing is, the connection can be used again.
            reply.close() if len(said) == SAID_BYTES else reply.release_conn()
            return judged(reply.status, self._words(said))
        except (HTTPError, OSError) as error:
            return Answer(Verdict.WAIT, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _body(self, parcels: Sequence[Parcel]) -> bytes:
        lines = [self._line(*parcel) for parcel in parcels]
        return b"[" + b",".join(line[:-1] for line in lines) + b"]" if self._array else b"".join(lines)

    def _words(self, said: bytes) -> str:
        text = "".join(char if char.isprintable() else " " for char in said.decode("utf-8", "replace"))
        return text.replace(self._secret, "[hidden]") if self._secret else text


def judged(status: int, said: str) -> Answer:
    """Return what an answer means. Of statuses that are not listed the reason is not the events: it is waited for."""
    why = f"HTTP {status} {said}".strip()
    if status in OK:
        return TAKEN
    if status in UNFIT:
        return Answer(Verdict.UNFIT, why)
    return Answer(Verdict.SPLIT if status == TOO_LARGE else Verdict.WAIT, why)
