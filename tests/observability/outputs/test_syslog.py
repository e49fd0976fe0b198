"""Syslog: the form of messages, held against the grammar of RFC 5424 and read by a real rsyslogd."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from observability.connect import SettingError
from observability.outputs.base import TAKEN, Destination, Parcel, Verdict
from observability.outputs.syslog import MESSAGE_BYTES, Syslog, frame, message
from observability.projections import ecs, ocsf
from tests.observability.outputs.sending import Sending
from tests.observability.outputs.sinks import SyslogSink, frames, parsed
from tests.observability.projections.events import every_event
from tests.observability.synthetic import write_everything
from tests.observability.test_connect import certificate
from tests.support import need

SECONDS = 60
SEVERITIES = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2}  # informational, notice, warning, error, critical
RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="16k" defaultNetstreamDriverCAFile="{certificate}"
       defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="parsed" type="list" option.jsonf="on") {{
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="severity" name="syslogseverity" format="jsonf")
  property(outname="facility" name="syslogfacility" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}}
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{folder}/port")
action(type="omfile" file="{folder}/received" template="parsed")
"""


def test_every_event_is_a_message() -> None:
    """A syslog server would take some of the events for text, cut them off, or file them under another severity."""
    for each in every_event():
        raw = message(Parcel(*each), "ocsf")
        assert len(raw) <= MESSAGE_BYTES
        said = parsed(raw)
        event = each.event
        assert divmod(int(said["priority"]), 8) == (13, SEVERITIES[event["severity"]])
        assert (said["version"], said["element"]) == ("1", "jvp@32473")
        assert (said["time"], said["host"], said["app"]) == (event["time"], event["node_id"], "jvpn")
        assert (said["process"], said["id"]) == (event["boot_id"], event["event_type"])
        assert (said["chain"], said["seq"], said["hash"]) == (event["chain_id"], str(event["seq"]), each.hash)
        assert ocsf.restore(json.loads(said["text"])).hash == each.hash


def test_other_forms() -> None:
    """A receiver that was promised ECS or own lines would be sent OCSF."""
    each = next(iter(every_event()))
    assert ecs.restore(json.loads(parsed(message(Parcel(*each), "ecs"))["text"])).hash == each.hash
    assert json.loads(parsed(message(Parcel(*each), "own"))["text"]) == {"event": each.event, "hash": each.hash}


def test_frames() -> None:
    """A receiver would take two messages for one, or half a message for one."""
    assert frames(frame(b"one") + frame(b"a second 17 ") + frame(b"\n")) == [b"one", b"a second 17 ", b"\n"]


def test_an_end_without_close_notify_counts_when_it_is_told_to(tmp_path: Path) -> None:
    """A receiver that always ends so would be sent the same events for ever; or anybody on the way could say that it has them."""
    parcel = Parcel(*next(iter(every_event())))
    with SyslogSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["end", "end", "lost"])
        strict, lenient = Syslog(sink.destination()), Syslog(sink.destination(confirm="end"))
        assert "without close_notify" in strict.send([parcel]).why
        assert lenient.send([parcel]).verdict is Verdict.TAKEN
        assert lenient.send([parcel]).verdict is Verdict.WAIT, "a reset is no orderly end"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "tcp://h"}, "output.url is not of the form tls://host[:port]"),
        ({"url": "tls://h"}, "output.ca_file: needed"),
        ({"url": "tls://h:0x1"}, "output.url: Port"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, str], said: str) -> None:
    """Events would be sent in the clear."""
    with pytest.raises(SettingError) as caught:
        Syslog(Destination(kind="syslog", **given))  # type: ignore[arg-type]  # text only
    assert said in str(caught.value)


def rows(received: Path, count: int) -> list[dict[str, str]]:
    """Return what rsyslogd has written down, a message each; wait for so many: it reads first and writes later."""
    end = time.monotonic() + SECONDS
    while (text := received.read_text() if received.exists() else "").count("\n") < count:
        assert time.monotonic() < end, text[-1_000:]
        time.sleep(0.02)
    return [json.loads(line) for line in text.splitlines()]


def listening(port: str) -> bool:
    """Tell whether somebody listens at a port; its file may be half written."""
    try:
        socket.create_connection(("127.0.0.1", int(port)), 1).close()
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def rsyslogd(folder: Path, driver: str) -> Iterator[tuple[Destination, Path]]:
    """Run a real rsyslogd; yield how to get there and the file where it writes what it has received."""
    need("rsyslog")
    folder.mkdir(exist_ok=True)
    own, key = certificate(folder, "rsyslog")
    (folder / "conf").write_text(RSYSLOG.format(folder=folder, certificate=own, key=key, driver=driver))
    command = ["/usr/sbin/rsyslogd", "-n", "-f", str(folder / "conf"), "-i", str(folder / "pid")]
    with (folder / "said").open("wb") as said, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as process:
        try:
            end = time.monotonic() + SECONDS
            while not listening(port := (folder / "port").read_text().strip() if (folder / "port").exists() else ""):
                assert process.poll() is None, (folder / "said").read_text()
                assert time.monotonic() < end, (folder / "said").read_text()
                time.sleep(0.02)
            yield Destination(kind="syslog", url=f"tls://127.0.0.1:{port}", ca_file=own, request_seconds=20.0), folder / "received"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)


@pytest.mark.parametrize(("driver", "confirm"), [("ossl", "notify"), ("gtls", "end")])
def test_a_real_rsyslogd_has_a_whole_log(tmp_path: Path, driver: str, confirm: str) -> None:
    """What the specification says would be sent, and rsyslog would make something else of it, or lose some of it."""
    log = tmp_path / "audit"
    count = write_everything(log, "gateway")
    with rsyslogd(tmp_path / driver, driver) as (to, received):
        assert Sending(log)(replace(to, confirm=confirm), most=40).created == count
        events = [ocsf.restore(json.loads(row["text"])) for row in rows(received, count)]
    lines = [line for path in sorted(log.glob("audit-*.jsonl")) for line in path.read_bytes().splitlines()]
    assert [b'{"event":%b,"hash":"%b"}' % (each.data, each.hash.encode()) for each in events] == lines


def test_a_real_rsyslogd_reads_every_event(tmp_path: Path) -> None:
    """A field of some event type would be cut off, or read into another, by what people use."""
    sent = [Parcel(*each) for each in every_event()]
    with rsyslogd(tmp_path / "ossl", "ossl") as (to, received):
        assert Syslog(to).send(sent) == TAKEN
        written = rows(received, len(sent))
    for row, (event, event_hash) in zip(written, sent, strict=True):
        assert (row["host"], row["app"], row["id"]) == (event["node_id"], "jvpn", event["event_type"])
        assert (int(row["facility"]), int(row["severity"])) == (13, SEVERITIES[event["severity"]])
        assert f'chain="{event["chain_id"]}" seq="{event["seq"]}" hash="{event_hash}"' in row["data"]
        assert ocsf.restore(json.loads(row["text"])).hash == event_hash
