"""What the cluster's answer means for each event of a bulk request. Pure: an answer in, one verdict an event out.

Success is 201 + created, or 409, in the right place (A-92). Anything that is not plainly understood counts as ambiguous: the event may be
stored or not, and is sent again under the same id. The cases are those of a real node (OpenSearch 3.8.0); tests/observability has each.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from observability.bulk import Document, Reply


class Verdict(Enum):
    """What to do with one event."""

    CREATED = auto()  # stored now
    DUPLICATE = auto()  # stored before, under this id
    BUSY = auto()  # not stored: the cluster has no room now; send again later
    AMBIGUOUS = auto()  # nobody knows; send again later
    BLOCKED = auto()  # not stored, and not the event's fault: wait until somebody has mended the cluster
    ALONE = auto()  # refused in company; send it alone before judging
    SPLIT = auto()  # the request was too large; send smaller ones
    REFUSED = auto()  # this event will never be taken: quarantine


class Judged(NamedTuple):
    """A verdict, and the part of the answer that it rests on (for people)."""

    verdict: Verdict
    answer: Any


OK: Final = 200
CREATED: Final = 201
BAD_REQUEST: Final = 400
TOO_LARGE: Final = 413
TIMED_OUT: Final = 408
CONFLICT: Final = 409
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
ANY_SERVER_ERROR: Final = range(500, 600)

CLUSTERS_FAULT: Final = frozenset(
    {
        "cluster_block_exception",
        "index_closed_exception",
        "index_not_found_exception",
        "invalid_index_name_exception",
        "security_exception",
        "validation_exception",  # "this action would add [1] shards, but this cluster currently has ..."
    }
)
BODYS_FAULT: Final = frozenset(
    {
        "illegal_argument_exception",
        "json_parse_exception",
        "mapper_parsing_exception",
        "parse_exception",
        "parsing_exception",
        "strict_dynamic_mapping_exception",
        "x_content_parse_exception",
    }
)


def classify(reply: Reply, sent: Sequence[Document]) -> list[Judged]:
    """Return one verdict for each document that was sent, in order."""
    if reply.status != OK:
        return [_whole(reply, alone=len(sent) == 1)] * len(sent)
    items = reply.body.get("items") if isinstance(reply.body, dict) else None
    if not isinstance(items, list) or len(items) != len(sent):
        return [Judged(Verdict.AMBIGUOUS, "malformed answer: not one item for each event")] * len(sent)
    return [_item(item, one, alone=len(sent) == 1) for item, one in zip(items, sent, strict=True)]


def _whole(reply: Reply, *, alone: bool) -> Judged:
    """Judge an answer that is about the request as a whole."""
    said = {"status": reply.status, "error": _error(reply.body) or reply.trouble, "words": reply.trouble}
    if reply.status in (0, TIMED_OUT) or reply.status in ANY_SERVER_ERROR:
        return Judged(Verdict.AMBIGUOUS, said)
    if reply.status == TOO_MANY:
        return Judged(Verdict.BUSY, said)
    if reply.status == TOO_LARGE:
        return Judged(Verdict.REFUSED if alone else Verdict.SPLIT, said)
    if reply.status == BAD_REQUEST and not alone:
        return Judged(Verdict.ALONE, said)
    if reply.status == BAD_REQUEST and _type(reply.body) in BODYS_FAULT:
        return Judged(Verdict.REFUSED, said)
    return Judged(Verdict.BLOCKED, said)


def _item(item: object, sent: Document, *, alone: bool) -> Judged:
    """Judge the answer about one event."""
    said = item.get("create") if isinstance(item, dict) else None
    if not isinstance(said, dict) or said.get("_id") != sent.id or type(said.get("status")) is not int:
        return Judged(Verdict.AMBIGUOUS, "malformed item")
    status, kind = said["status"], _type(said)
    stored_now = status == CREATED and said.get("result") == "created"
    if stored_now or (status == CONFLICT and kind == "version_conflict_engine_exception"):
        if elsewhere := _elsewhere(str(said.get("_index", "")), sent):
            return Judged(Verdict.BLOCKED, elsewhere)
        return Judged(Verdict.CREATED if stored_now else Verdict.DUPLICATE, None)
    if kind in CLUSTERS_FAULT:  # also with 429: a full disk says so, unlike overload, until somebody makes room
        return Judged(Verdict.BLOCKED, said)
    if status in (TOO_MANY, UNAVAILABLE):
        return Judged(Verdict.BUSY, said)
    if status == BAD_REQUEST:
        return Judged(_bad_request(said, kind, alone=alone), said)
    if said.get("result") == "noop" or kind == "fail_processor_exception":  # a pipeline dropped or refused this one event
        return Judged(Verdict.REFUSED if alone else Verdict.ALONE, said)
    return Judged(Verdict.BLOCKED if status in range(BAD_REQUEST, 500) else Verdict.AMBIGUOUS, said)


def _elsewhere(index: str, sent: Document) -> str:
    """Say what is wrong when an event lies in another index than it was sent to; the cluster says 201 to that as well.

    Without its template the cluster makes a plain index of a stream's name, with guessed types; an alias leads anywhere.
    """
    if sent.stream:
        return "" if index.startswith(f".ds-{sent.target}-") else f"{sent.target} is not a data stream"
    return "" if index == sent.target else f"{sent.target} is not an index of its own: {index} answers"


def _bad_request(said: dict[str, Any], kind: str, *, alone: bool) -> Verdict:
    error = said.get("error")
    reason = str(error.get("reason", "")) if isinstance(error, dict) else ""
    if kind == "illegal_argument_exception" and "pipeline with id" in reason:  # it does not exist: true of every event
        return Verdict.BLOCKED
    return Verdict.REFUSED if alone else Verdict.ALONE


def _error(body: object) -> object:
    return body.get("error") if isinstance(body, dict) else None


def _type(body: object) -> str:
    error = _error(body)
    return str(error.get("type", "")) if isinstance(error, dict) else ""
