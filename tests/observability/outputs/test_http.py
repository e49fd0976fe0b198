"""HTTP: what is sent, what its statuses mean, and when an event is put away [A-83]."""

from pathlib import Path

import orjson
import pytest

from observability.connect import SettingError
from observability.outputs.base import Destination, Parcel, Verdict
from observability.outputs.http import Http, judged
from tests.observability.outputs.sending import Sending
from tests.observability.outputs.sinks import HttpSink
from tests.observability.projections.events import every_event
from tests.observability.shipping import EVENTS, write_log
from tests.observability.test_connect import certificate, secret


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.TAKEN) for status in (200, 201, 202, 204)),
        *((status, Verdict.WAIT) for status in (301, 302, 307, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504)),
        (400, Verdict.UNFIT),
        (422, Verdict.UNFIT),
        (413, Verdict.SPLIT),
    ],
)
def test_statuses(status: int, verdict: Verdict) -> None:
    """Events would be taken for delivered that were not, or put away for a fault that is not theirs."""
    assert judged(status, "said").verdict is verdict


def test_what_is_sent(tmp_path: Path) -> None:
    """A receiver of JSON lines would be sent something else, or to another place, or without its token."""
    parcels = [Parcel(*each) for each in list(every_event())[:3]]
    with HttpSink(tmp_path) as sink:
        sink.start()
        for body, kind in (("lines", "application/x-ndjson"), ("array", "application/json")):
            output = Http(sink.destination(body=body, credentials_file=secret(tmp_path, "Splunk s3cret\n")))
            assert output.send(parcels).verdict is output.send(parcels[:1]).verdict is Verdict.TAKEN
            output.close()
            assert sink.heads[-2]["content-type"] == kind
            assert sink.heads[-2]["authorization"] == "Splunk s3cret"
    assert sink.targets == ["/in?channel=7"] * 4
    assert sink.hashes == [each.hash for each in (*parcels, parcels[0]) * 2]
    assert sink.bodies[0].endswith(b"}\n")


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Whoever can answer once could have all events, and the token, sent elsewhere."""
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.append("307")
        output = Http(sink.destination())
        assert output.send([Parcel(*next(iter(every_event())))]).why.startswith("HTTP 307")
        output.close()
    assert sink.targets == ["/in?channel=7"]


def test_an_answer_shows_no_secret(tmp_path: Path) -> None:
    """A receiver that repeats what it was sent would put the token into status file, log and quarantine."""
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.append("401")
        sink.reply = b"no such token: Bearer t0ken\x1b[31m" + b"x" * 5_000
        output = Http(sink.destination(credentials_file=secret(tmp_path, "Bearer t0ken")))
        why = output.send([Parcel(*next(iter(every_event())))]).why
        output.close()
    assert why.startswith("HTTP 401 no such token: [hidden] [31mxxx")
    assert len(why) < 300


def test_the_own_certificate_is_shown(tmp_path: Path) -> None:
    """A receiver that lets in only who it knows could not be used."""
    ours, key = certificate(tmp_path, "shipper")
    with HttpSink(tmp_path) as sink:
        sink.trust(ours)
        sink.start()
        parcel = Parcel(*next(iter(every_event())))
        known, unknown = Http(sink.destination(certificate_file=ours, key_file=key)), Http(sink.destination())
        assert known.send([parcel]).verdict is Verdict.TAKEN
        assert unknown.send([parcel]).verdict is Verdict.WAIT
        known.close()
        unknown.close()


def test_one_bad_event_goes_into_quarantine(tmp_path: Path) -> None:
    """One event that the receiver does not like would hold up all that come after it."""
    sending = Sending(write_log(tmp_path / "audit"))
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["200", "400", "200", "400"])  # the first batch; the second; its first event alone; its second
        counters = sending(sink.destination(), most=4)
    assert (counters.created, counters.quarantined) == (EVENTS - 1, 1)
    (kept,) = sending.quarantined()
    assert kept["answer"].startswith("HTTP 400")
    assert orjson.loads(kept["line"])["hash"] not in sink.hashes


def test_a_wrong_address_quarantines_nothing(tmp_path: Path) -> None:
    """With a typing error in the address a whole log would be put away, event by event."""
    sending = Sending(write_log(tmp_path / "audit"))
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["400"] * 60)
        sending.stop_after = 30
        counters = sending(sink.destination(), most=4)
        assert (counters.created, counters.quarantined, sending.quarantined()) == (0, 0, [])
        assert "nothing was taken yet; are address, form and credentials right? HTTP 400" in sending.status()["why"]
        sink.script.clear()
        sending.stop_after = 100
        assert sending(sink.destination(), most=4).created == EVENTS


def test_too_much_at_once_is_sent_in_parts(tmp_path: Path) -> None:
    """A receiver with a smaller limit than ours would never be sent anything that it takes."""
    sending = Sending(write_log(tmp_path / "audit"))
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["413", "413"])
        assert sending(sink.destination(), most=12).created == EVENTS
    assert sink.sendings == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://192.0.2.1/x"}, "not sent in the clear to another machine"),
        ({"url": "https://u:p@h/"}, "no user or password here"),
        ({"url": "ftp://h/"}, "output.url is not of the form https://host[:port] or http://host[:port]"),
        ({"url": "https://h:x/"}, "output.url: Port"),
        ({"url": "https://h/"}, "output.ca_file: needed"),
        ({"url": "https://h/", "ca_file": "absent"}, "output.ca_file absent: [Errno 2] No such file"),
        ({"url": "http://127.0.0.1/", "ca_file": "x"}, "certificates are given, but the url is not https"),
        ({"url": "http://127.0.0.1/", "credentials_file": "absent"}, "output.credentials_file absent: No such file"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, str], said: str) -> None:
    """Secrets would be sent in the clear, or an operator would wait for ever for a mistake to go away."""
    files = {name: Path(value) if name.endswith("file") else value for name, value in given.items()}
    with pytest.raises(SettingError) as caught:
        Http(Destination(kind="http", **files))  # type: ignore[arg-type]  # fields of two types
    assert said in str(caught.value)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", " Bearer x", "Bearer \x07", "Bearer \u00e4", "x" * 9_000])
def test_credentials_that_are_none(tmp_path: Path, text: str) -> None:
    """A header could be smuggled in, or an empty token be sent and refused for a reason that nobody sees."""
    with pytest.raises(SettingError, match=r"is not one line|not ASCII"):
        Http(Destination(kind="http", url="http://127.0.0.1/", credentials_file=secret(tmp_path, text)))


def test_credentials_that_others_can_read(tmp_path: Path) -> None:
    """Every user of the machine could write into the SIEM."""
    with pytest.raises(SettingError, match="only its owner can read"):
        Http(Destination(kind="http", url="http://127.0.0.1/", credentials_file=secret(tmp_path, "Bearer x", 0o640)))
