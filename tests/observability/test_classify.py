"""Each answer of the cluster means exactly one thing; the ways real nodes answer are all here."""

from typing import Any

import pytest

from observability.bulk import Document, Reply
from observability.classify import Verdict, classify
from observability.tail import START, Line

STREAM = "jvpn-audit-telemetry"
IN_STREAM = f".ds-{STREAM}-000001"
MONTH = "jvpn-audit-evidence-2026.11"


def sent(*names: str, target: str = STREAM) -> list[Document]:
    """Return documents with these ids, as if they had been sent."""
    return [Document(Line(b"", START), name, b"", target, target == STREAM) for name in names]


def one(said: dict[str, Any], *, alone: bool = True) -> Verdict:
    """Judge one item; `alone` or with a sibling that was stored."""
    sibling = {"create": {"_index": IN_STREAM, "_id": "b", "status": 201, "result": "created"}}
    items = [{"create": {"_index": IN_STREAM, "_id": "a"} | said}] + ([] if alone else [sibling])
    judged = classify(Reply(200, {"items": items}, ""), sent("a") if alone else sent("a", "b"))
    assert alone or judged[1].verdict is Verdict.CREATED
    return judged[0].verdict


def failed(status: int, kind: str, reason: str = "") -> dict[str, Any]:
    """Return an item with an error."""
    return {"status": status, "error": {"type": kind, "reason": reason}}


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"status": 201, "result": "created"}, Verdict.CREATED),
        (failed(409, "version_conflict_engine_exception"), Verdict.DUPLICATE),
        (failed(429, "rejected_execution_exception"), Verdict.BUSY),
        (failed(503, "unavailable_shards_exception"), Verdict.BUSY),
        (failed(429, "cluster_block_exception", "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark"), Verdict.BLOCKED),
        (failed(403, "cluster_block_exception"), Verdict.BLOCKED),
        (failed(403, "security_exception"), Verdict.BLOCKED),
        (failed(404, "index_not_found_exception"), Verdict.BLOCKED),
        (failed(400, "index_closed_exception"), Verdict.BLOCKED),
        (failed(400, "validation_exception", "this action would add [1] shards"), Verdict.BLOCKED),
        (failed(400, "illegal_argument_exception", "pipeline with id [gone] does not exist"), Verdict.BLOCKED),
        (failed(500, "i_o_exception", "No space left on device"), Verdict.AMBIGUOUS),
        (failed(400, "strict_dynamic_mapping_exception"), Verdict.REFUSED),
        (failed(400, "mapper_parsing_exception"), Verdict.REFUSED),
        (failed(400, "parse_exception"), Verdict.REFUSED),
        (failed(400, "illegal_argument_exception", "Document contains at least one immense term"), Verdict.REFUSED),
        (failed(500, "fail_processor_exception"), Verdict.REFUSED),
        ({"status": 200, "result": "noop"}, Verdict.REFUSED),
        ({"status": 201, "result": "created", "_index": STREAM}, Verdict.BLOCKED),
        ({"status": 201, "result": "created", "_id": "somebody else"}, Verdict.AMBIGUOUS),
        ({"status": 200, "result": "updated"}, Verdict.AMBIGUOUS),
        ({"status": 201}, Verdict.AMBIGUOUS),
        ({"status": "201", "result": "created"}, Verdict.AMBIGUOUS),
        ({"status": True, "result": "created"}, Verdict.AMBIGUOUS),
        (failed(409, "something_else"), Verdict.BLOCKED),
        (failed(418, "teapot_exception"), Verdict.BLOCKED),
        ({"status": 400, "error": "just text"}, Verdict.REFUSED),
    ],
    ids=str,
)
def test_one_item(said: dict[str, Any], verdict: Verdict) -> None:
    """A-92: an event would be lost, be stored twice, wait for ever, or be thrown away for the fault of the cluster."""
    assert one(said) is verdict
    in_company = Verdict.ALONE if verdict is Verdict.REFUSED else verdict
    assert one(said, alone=False) is in_company


@pytest.mark.parametrize(
    ("status", "kind", "alone", "together"),
    [
        (0, "", Verdict.AMBIGUOUS, Verdict.AMBIGUOUS),
        (408, "", Verdict.AMBIGUOUS, Verdict.AMBIGUOUS),
        (500, "whatever", Verdict.AMBIGUOUS, Verdict.AMBIGUOUS),
        (502, "", Verdict.AMBIGUOUS, Verdict.AMBIGUOUS),
        (503, "cluster_block_exception", Verdict.AMBIGUOUS, Verdict.AMBIGUOUS),
        (429, "rejected_execution_exception", Verdict.BUSY, Verdict.BUSY),
        (413, "", Verdict.REFUSED, Verdict.SPLIT),
        (400, "illegal_argument_exception", Verdict.REFUSED, Verdict.ALONE),
        (400, "", Verdict.BLOCKED, Verdict.ALONE),
        (400, "no handler", Verdict.BLOCKED, Verdict.ALONE),
        (401, "", Verdict.BLOCKED, Verdict.BLOCKED),
        (403, "cluster_block_exception", Verdict.BLOCKED, Verdict.BLOCKED),
        (404, "index_not_found_exception", Verdict.BLOCKED, Verdict.BLOCKED),
        (405, "", Verdict.BLOCKED, Verdict.BLOCKED),
        (302, "", Verdict.BLOCKED, Verdict.BLOCKED),
    ],
)
def test_a_whole_request(status: int, kind: str, alone: Verdict, together: Verdict) -> None:
    """A whole answer that is judged as if it were about each event loses good events or repeats a request for ever."""
    body = {"error": {"type": kind, "reason": ""}} if kind else None
    assert [judged.verdict for judged in classify(Reply(status, body, "words"), sent("a"))] == [alone]
    assert [judged.verdict for judged in classify(Reply(status, body, "words"), sent("a", "b"))] == [together] * 2


@pytest.mark.parametrize(
    "body", [None, "", [], {}, {"items": None}, {"items": {}}, {"items": []}, {"items": [{}, {}, {}]}, {"items": [1, None]}]
)
def test_a_malformed_answer_settles_nothing(body: object) -> None:
    """A broken proxy's answer would be taken for success or refusal, and events would be lost."""
    assert {judged.verdict for judged in classify(Reply(200, body, ""), sent("a", "b"))} == {Verdict.AMBIGUOUS}


@pytest.mark.parametrize(("index", "verdict"), [(MONTH, Verdict.CREATED), ("another", Verdict.BLOCKED), (IN_STREAM, Verdict.BLOCKED)])
def test_evidence_in_another_index_is_not_stored(index: str, verdict: Verdict) -> None:
    """An alias in front of the index would undo that an event has one place only: it could be there twice, or be overwritten."""
    for said in ({"status": 201, "result": "created"}, failed(409, "version_conflict_engine_exception")):
        body = {"items": [{"create": {"_index": index, "_id": "a"} | said}]}
        (judged,) = classify(Reply(200, body, ""), sent("a", target=MONTH))
        assert judged.verdict is (verdict if verdict is Verdict.BLOCKED or said["status"] == 201 else Verdict.DUPLICATE)
