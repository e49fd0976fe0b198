"""The own event inside a projection, and back: what all projections share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from audit import canonical
from audit.errors import EventRefused
from audit.schema import check

NAMESPACE: Final = "jvp"
HASH: Final = "event_hash"  # beside the own fields, as in the OpenSearch index; no own field has this name
MICRO: Final = 1_000_000


class NotRestorable(ValueError):
    """This is no projection of an event, or it was changed; the message says how that shows."""


class Restored(NamedTuple):
    """An own event: itself, the canonical bytes that were hashed, and their SHA-256 in hex."""

    event: dict[str, Any]
    data: bytes
    hash: str


def beside(event: Mapping[str, Any], event_hash: str) -> dict[str, Any]:
    """Return the own fields and the hash, as they stand under the name space."""
    return {**event, HASH: event_hash}


def restored(fields: object) -> Restored:
    """Return the own event that stands under a name space. Raises ``NotRestorable`` unless its bytes have the hash that is carried."""
    if not isinstance(fields, Mapping) or not isinstance(told := fields.get(HASH), str):
        raise NotRestorable(f"no own event: nothing under {NAMESPACE}, or no {HASH} there")
    event = {name: value for name, value in fields.items() if name != HASH}
    try:
        check(event)
    except EventRefused as error:
        raise NotRestorable(f"what stands under {NAMESPACE} is no valid event: {error}") from None
    data = canonical.canonical(event)
    found = sha256(data).hexdigest()
    if found != told:
        raise NotRestorable(f"the own event was changed: its hash is {found}, carried is {told}")
    return Restored(event, data, told)


def epoch_us(time: str) -> int:
    """Return microseconds since 1970 of an event's time (A-14: UTC, six decimals); whole numbers throughout, nothing is rounded."""
    whole = datetime.fromisoformat(time[:19]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * MICRO + int(time[20:26])


def sentence(event: Mapping[str, Any], meaning: str) -> str:
    """Return what a person reads first: type, reason, and what the reason means."""
    return f"{event['event_type']} {event['reason_code']}: {meaning}"


def carrier(event: Mapping[str, Any]) -> str:
    """Return the name of the carrier that the event left the session on, in lower case; empty when it says none."""
    transport = event.get("transport", {})
    return str(transport.get("to") or transport.get("from") or "").lower()
