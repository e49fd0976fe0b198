"""OTLP: what the SDK's exporter sends, and what it does not look at."""

from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

from observability.outputs.base import Parcel, Verdict
from observability.outputs.otlp import Otlp, record
from observability.projections import otlp
from tests.observability.outputs.sending import Sending
from tests.observability.outputs.sinks import OtlpSink
from tests.observability.projections.events import every_event
from tests.observability.projections.test_otlp import decoded
from tests.observability.shipping import EVENTS, write_log
from tests.observability.test_connect import secret

FIRST = Parcel(*next(iter(every_event())))


def test_the_exporter_sends_the_projection() -> None:
    """Two records of one event would say different things, by the way that they came."""
    for each in every_event():
        sent = encode_logs([record(Parcel(*each))])
        ((scope,),) = [resource.scope_logs for resource in sent.resource_logs]
        (made,) = scope.log_records
        wanted = decoded(each)
        assert MessageToDict(made) == MessageToDict(wanted)
        assert made.dropped_attributes_count == 0
        projected = otlp.project(*each)["resourceLogs"][0]
        assert MessageToDict(sent.resource_logs[0].resource) == projected["resource"]
        assert (scope.scope.name, scope.scope.version) == tuple(projected["scopeLogs"][0]["scope"].values())


def test_the_environment_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was meant for another program would be sent here, or events cut to somebody's limit."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20another,x-more=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "3")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent"))
    with OtlpSink(tmp_path) as sink:
        sink.start()
        output = Otlp(sink.destination(credentials_file=secret(tmp_path, "Bearer ours")))
        assert output.send([FIRST]).verdict is Verdict.TAKEN
        output.close()
    assert sink.hashes == [FIRST.hash]
    assert sink.heads[0]["authorization"] == "Bearer ours"
    assert "x-more" not in sink.heads[0]
    assert sink.heads[0]["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    ("status", "verdict"), [("302", Verdict.WAIT), ("401", Verdict.WAIT), ("413", Verdict.SPLIT), ("400", Verdict.UNFIT)]
)
def test_what_the_exporter_takes_for_success_or_not(tmp_path: Path, status: str, verdict: Verdict) -> None:
    """A redirect would count as delivered, since the exporter says so."""
    with OtlpSink(tmp_path) as sink:
        sink.start()
        sink.script.append(status)
        output = Otlp(sink.destination())
        answer = output.send([FIRST])
        output.close()
    assert (answer.verdict, answer.why) == (verdict, f"HTTP {status}")
    assert sink.hashes == []


def test_an_answer_of_something_else(tmp_path: Path) -> None:
    """A web server that says 200 to everything would swallow the log."""
    with OtlpSink(tmp_path) as sink:
        sink.start()
        sink.reply = b"<html>It works!</html>"
        output = Otlp(sink.destination())
        answer = output.send([FIRST])
        output.close()
    assert (answer.verdict, answer.why) == (Verdict.WAIT, "HTTP 200, but the answer is not OTLP's")


def test_rejected_records_are_not_lost(tmp_path: Path) -> None:
    """The collector would drop records and say so, and nobody would listen: the exporter does not."""
    sending = Sending(write_log(tmp_path / "audit"))
    with OtlpSink(tmp_path) as sink:
        sink.start()
        sink.reject(2)
        sending.stop_after = 20
        counters = sending(sink.destination(), most=4)
        assert (counters.created, counters.quarantined) == (0, 0)
        assert "2 records rejected: not these" in sending.status()["why"]
        sink.reply = b""
        sending.stop_after = 100
        assert sending(sink.destination(), most=4).created == EVENTS


def test_why_there_is_no_answer(tmp_path: Path) -> None:
    """The operator would read that it does not work, and not why."""
    with OtlpSink(tmp_path) as sink:
        output = Otlp(sink.destination(request_seconds=1.0))
        answer = output.send([FIRST])
        output.close()
    assert answer.verdict is Verdict.WAIT
    assert answer.why.startswith("no answer: ConnectionError: ")
    assert "Connection refused" in answer.why
