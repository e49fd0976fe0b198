"""Events over OTLP/HTTP with the exporter of OpenTelemetry's SDK.

The exporter is called directly, a batch at a time: the SDK's batch processor would drop events when its queue is full. Its result alone is
not enough: it takes a redirect for success and does not look for records that the answer says were rejected (``partial_success``). So each
answer is looked at here as well.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import requests
from google.protobuf.message import DecodeError
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from observability.outputs.base import TAKEN, Answer, Destination, Parcel, Verdict
from observability.outputs.http import OK, judged
from observability.outputs.secure import address, authorization, context
from observability.projections.otlp import SCOPE, TRACE_CHARS, leaves, name_of, resource_of
from observability.projections.own import NAMESPACE, beside, epoch_us, sentence
from observability.projections.table import table

LOGGER: Final = "opentelemetry.exporter.otlp.proto.http._log_exporter"
SAID_CHARS: Final = 200


class Otlp:
    """The SDK's exporter, and what it does not look at."""

    def __init__(self, to: Destination) -> None:
        """Nothing is sent yet. Raises ``SettingError``."""
        secure = address(to, ("https", "http")).scheme == "https"
        if secure:
            context(to)  # the same files are read by the library later, which would not say what is wrong with them
        secret = authorization(to.credentials_file)
        self._answers: list[Answer] = []
        self._why = ""
        logging.getLogger(LOGGER).setLevel(logging.CRITICAL)  # it warns of each failed request; the breaker says it once
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy variable, no .netrc
        self._session.hooks["response"] = [self._heard]
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._failed))
        with _no_settings_from_outside():
            self._exporter = OTLPLogExporter(
                endpoint=to.url,
                certificate_file=str(to.ca_file) if secure else None,
                client_certificate_file=str(to.certificate_file) if to.certificate_file else None,
                client_key_file=str(to.key_file) if to.key_file else None,
                headers={"authorization": secret} if secret else None,
                timeout=to.request_seconds,
                compression=Compression.NoCompression,
                session=self._session,
            )

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Export them in one request; the exporter repeats it while there is time, when it was not answered."""
        self._answers.clear()
        self._why = ""
        result = self._exporter.export([record(parcel) for parcel in parcels])
        if not self._answers:
            return Answer(Verdict.WAIT, f"no answer: {self._why}")
        answer = self._answers[-1]
        if result is not LogRecordExportResult.SUCCESS and answer.verdict is Verdict.TAKEN:
            return Answer(Verdict.WAIT, "the exporter does not call it a success")
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _heard(self, response: requests.Response, *_: object, **__: object) -> None:
        """Judge an answer; the last one counts."""
        self._answers.append(_judged(response.status_code, response.content if response.status_code in OK else b""))

    def _failed(self, why: str) -> None:
        self._why = self._why or why


def record(parcel: Parcel) -> ReadableLogRecord:
    """Return the SDK's form of what ``observability.projections.otlp`` projects; a test holds the two against each other."""
    event, event_hash = parcel
    words = table()
    severity = words.severities[event["severity"]]
    time = epoch_us(event["time"]) * 1_000
    made = LogRecord(
        timestamp=time,
        observed_timestamp=time,
        severity_text=severity.otlp_text,
        severity_number=SeverityNumber(severity.otlp),
        body=sentence(event, words.meanings[event["reason_code"]]),
        attributes=dict(leaves(NAMESPACE, beside(event, event_hash))),
        event_name=name_of(event),
    )
    trace = event.get("session", {}).get("correlation_id", "")
    made.trace_id = int(trace, 16) if len(trace) == TRACE_CHARS else 0
    scope = InstrumentationScope(SCOPE, event["schema"].rpartition("/")[2])
    attributes: dict[str, Any] = dict(resource_of(event))
    return ReadableLogRecord(made, Resource(attributes), scope)


def _judged(status: int, body: bytes) -> Answer:
    answer = judged(status, "")
    if answer is not TAKEN:
        return answer
    try:
        partial = ExportLogsServiceResponse.FromString(body).partial_success
    except DecodeError:
        return Answer(Verdict.WAIT, f"HTTP {status}, but the answer is not OTLP's")
    if partial.rejected_log_records:
        return Answer(Verdict.UNFIT, f"{partial.rejected_log_records} records rejected: {partial.error_message[:SAID_CHARS]}")
    return TAKEN


class _Adapter(HTTPAdapter):
    """Tells why there was no answer: the exporter's result does not."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        super().__init__()
        self._failed = failed

    def send(self, *words: Any, **more: Any) -> requests.Response:  # noqa: ANN401 - handed on as they come, whatever the library's are
        try:
            return super().send(*words, **more)
        except (OSError, HTTPError) as error:  # requests' own are of the first kind
            self._failed(f"{type(error).__name__}: {error}")
            raise


@contextmanager
def _no_settings_from_outside() -> Iterator[None]:
    """Hide OTEL_* variables: the exporter would add headers and certificates that somebody meant for another program."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
