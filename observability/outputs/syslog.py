"""Events as syslog (RFC 5424) over TLS (RFC 5425).

Syslog has no acknowledgement. So each batch has a connection of its own, and counts as taken when the receiver has answered our
close_notify with its own (RFC 5425 section 4.4): ours came behind everything that was sent, so the receiver's TLS has read it all. What its
program does with it then, nobody tells.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from observability.outputs.base import TAKEN, Answer, Destination, Parcel, Verdict
from observability.outputs.secure import address, context
from observability.projections.lines import FORMATS
from observability.projections.table import table

PORT: Final = 6514  # RFC 5425 section 4.1
LOG_AUDIT: Final = 13  # facility, RFC 5424 section 6.2.1
SD_ID: Final = "jvp@32473"  # RFC 5612: the enterprise number for examples; the project has none
MESSAGE_BYTES: Final = 8_192  # receivers should take as much, RFC 5425 section 4.3.1


class Syslog:
    """Sends each batch over a connection of its own."""

    def __init__(self, to: Destination) -> None:
        """Nothing is sent yet. Raises ``SettingError``."""
        parts = address(to, ("tls",))
        self._at = (str(parts.hostname), parts.port or PORT)
        self._form = to.form
        self._context = context(to)
        self._seconds = to.request_seconds
        self._any_end = to.confirm == "end"

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send them over a new connection and wait until the receiver has read all."""
        data = b"".join(frame(message(parcel, self._form)) for parcel in parcels)
        try:
            with (
                socket.create_connection(self._at, self._seconds) as plain,
                self._context.wrap_socket(plain, server_hostname=self._at[0]) as tls,
            ):
                tls.sendall(data)
                return self._confirmed(tls)
        except OSError as error:  # ssl.SSLError is one
            return Answer(Verdict.WAIT, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Nothing is open between batches."""

    def _confirmed(self, tls: ssl.SSLSocket) -> Answer:
        try:
            tls.unwrap().close()
        except ssl.SSLEOFError:  # the connection's end without close_notify: orderly, but anybody on the way could have made it
            if self._any_end:
                return TAKEN
            return Answer(Verdict.WAIT, 'the receiver ends connections without close_notify; if it always does, set output.confirm = "end"')
        return TAKEN


def frame(line: bytes) -> bytes:
    """Return a message as RFC 5425 section 4.3 frames it: its length in octets, a space, itself."""
    return b"%d %b" % (len(line), line)


def message(parcel: Parcel, form: str) -> bytes:
    """Return the syslog message (RFC 5424 section 6) of an event: ASCII; the event in JSON is the text, its place in the log structured."""
    event, event_hash = parcel
    priority = LOG_AUDIT * 8 + table().severities[event["severity"]].syslog
    places = {
        "chain": event["chain_id"],
        "seq": event["seq"],
        "hash": event_hash,
        "event": event["event_id"],
        "type": event["event_type"],
        "reason": event["reason_code"],
        "outcome": event["outcome"],
    }
    with suppress(KeyError):
        places["session"] = event["session"]["correlation_id"]
    data = " ".join(f'{name}="{value}"' for name, value in places.items())  # of letters, digits, - and _: nothing needs escaping
    head = f"<{priority}>1 {event['time']} {event['node_id']} jvpn {event['boot_id']} {event['event_type']} [{SD_ID} {data}] "
    return head.encode("ascii") + FORMATS[form](event, event_hash)[:-1]
