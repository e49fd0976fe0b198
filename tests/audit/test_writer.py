"""The writer as a process: it takes, acknowledges, survives, and ends in order."""

import json
import os
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import orjson
import pytest

from audit import writer
from audit.files import HEAD, read_head
from audit.names import Keeper, key_path, store_key
from audit.record import RECORD_BYTES, outbox_id_of, pack, unpack, with_outbox_id
from audit.segments import Log
from audit.verdict import Verdict
from audit.verify import verify
from core.reasons import Event, Reason
from core.values import Fact, Instant
from tests.audit.made import BOOT, KEY, WALL, a_log, events_of, lines_of, opened, records, sealing, story
from tests.audit.running import PATIENCE_S, Outbox, Running
from tests.support import ROOT

TELEMETRY, EVIDENCE = records([fact for handle in range(1, 201) for fact in story(handle)])


def serials(log: Path, event_class: str) -> list[int]:
    """The serials of a log's events of one class; a line that a killed writer left torn has none."""
    events = [json.loads(line)["event"] for line in lines_of(log) if line.endswith(b"\n")]
    return [int(event["event_id"][-16:], 16) for event in events if event["event_class"] == event_class]


def serials_of(made: list[bytes]) -> list[int]:
    """The serials of records."""
    return [unpack(record).fact.serial for record in made]


def test_a_gateways_day(tmp_path: Path) -> None:
    """A-2, A-40, A-43: what goes into the writer would not come out in the log, or the outbox would never be emptied."""
    log = tmp_path / "log"
    with Running(log) as running:
        assert running.ready
        running.telemetry(TELEMETRY)
        running.evidence(EVIDENCE)
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[-1]))
        assert running.close() == (0, "")
    assert serials(log, "telemetry") == serials_of(TELEMETRY)
    assert serials(log, "evidence") == serials_of(EVIDENCE)
    assert (events_of(log)[0]["event_type"], events_of(log)[-1]["event_type"]) == ("LOG_OPENED", "LOG_CLOSED")
    result = verify(log)
    assert (result.verdict, result.head) == (Verdict.VERIFIED, read_head(log))


def test_a_client_has_no_evidence(tmp_path: Path) -> None:
    """A-2: a client's log could not be written."""
    fact = Fact(Event.CLIENT_CHANGED, Reason.CONNECT_ORDERED, 1, 0, Instant(5), state_from=1, state_to=2, state_version=1)
    with Running(tmp_path / "log", role="client", evidence=False) as running:
        running.telemetry([pack(fact, WALL, BOOT)])
        assert running.close() == (0, "")
    (event,) = (event for event in events_of(tmp_path / "log") if event["event_class"] == "telemetry")
    assert (event["role"], event["state"]) == ("client", {"from": "IDLE", "to": "CONNECTING", "version": 1})
    assert verify(tmp_path / "log").verdict is Verdict.VERIFIED


def test_what_was_recorded_before_evidence_stands_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-40: the effect would stand before its cause: both arrive between the writer's look at one channel and at the other."""
    log, journal = opened(tmp_path)
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_blocking(reading, False)
    theirs.setblocking(False)
    store_key(key_path(tmp_path / "log"), KEY)
    process = writer.Writer(log, journal, Keeper(tmp_path / "log", 12), reading, theirs)
    looked: list[str] = []

    def look(name: str, real: Callable[[], object]) -> object:
        found = real()
        looked.append(name)
        if len(looked) == 1:
            os.write(writing, TELEMETRY[0])
            os.close(writing)
            ours.send(EVIDENCE[0])
        return found

    monkeypatch.setattr(process, "_wait", lambda: None)
    for name in ("_read_telemetry", "_read_evidence"):
        monkeypatch.setattr(process, name, partial(look, name, getattr(process, name)))
    with log, ours:
        assert process.run()
    os.close(reading)
    assert [event["event_type"] for event in events_of(tmp_path)[1:3]] == ["SESSION_CHANGED", "SESSION_BORN"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_ends_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """A-43: Ctrl-C would end the writer before the gateway, and the gateway's last records would be lost."""
    with Running(tmp_path / "log") as running:
        os.killpg(running.process.pid, number)
        running.evidence(EVIDENCE[:1])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[0]))
        assert running.close() == (0, "")
    assert events_of(tmp_path / "log")[-1]["event_type"] == "LOG_CLOSED"


def test_everything_that_was_sent_before_the_end_is_recorded(tmp_path: Path) -> None:
    """A-43: what happens last, often the most telling, would be missing."""
    log = tmp_path / "log"
    with Running(log) as running:
        os.kill(running.process.pid, signal.SIGSTOP)
        running.telemetry(TELEMETRY[:200])
        running.evidence(EVIDENCE[:384])  # more than one batch takes
        os.close(running.pipe)
        running.pipe = -1
        os.kill(running.process.pid, signal.SIGCONT)
        assert running.close() == (0, "")
        assert running.acknowledged(0) is not None
    assert serials(log, "telemetry") == serials_of(TELEMETRY[:200])
    assert serials(log, "evidence") == serials_of(EVIDENCE[:384])


def test_a_store_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    """A-2: the loss of one channel would take the other with it."""
    log = tmp_path / "log"
    with Running(log) as running:
        running.evidence(EVIDENCE[:1])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[0]))
        running.socket.close()
        running.telemetry(TELEMETRY[:3])
        assert running.close() == (0, "")
    assert serials(log, "telemetry") == serials_of(TELEMETRY[:3])


def test_a_store_that_does_not_listen_is_told_the_newest(tmp_path: Path) -> None:
    """A-40: unread acknowledgements would block the writer, and the outbox would keep what is durable."""
    log = tmp_path / "log"
    with Running(log, answers_bytes=4_608) as running:
        patience = time.monotonic() + PATIENCE_S
        for number, record in enumerate(EVIDENCE[:30], 1):
            running.evidence([record])
            while len(serials(log, "evidence")) < number and time.monotonic() < patience:
                time.sleep(0.002)
        while getattr(read_head(log), "seq", 0) < 30 and time.monotonic() < patience:
            time.sleep(0.05)  # then nothing but what it still has to say makes the writer look again
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[29]))
        assert running.close() == (0, "")


def test_garbage_is_kept_and_ends_nothing(tmp_path: Path) -> None:
    """A-15: a fault of the gateway would silence its audit."""
    log = tmp_path / "log"
    with Running(log) as running:
        running.telemetry([b"\xff" * RECORD_BYTES, TELEMETRY[0]])
        running.socket.send(with_outbox_id(b"\xff" * RECORD_BYTES, 3) + b"torn")
        running.acknowledged_up_to(3)
        os.write(running.pipe, b"half a record")
        assert running.close() == (0, "")
    refused = [event["offending"]["error"] for event in events_of(log) if event["event_type"] == "RECORD_REFUSED"]
    assert Counter(refused) == {
        "record version 255 is unknown": 2,
        "a record has 192 bytes, this has 4": 1,
        "a record has 192 bytes, this has 13": 1,
    }
    assert serials(log, "telemetry") == serials_of(TELEMETRY[:1])
    assert verify(log).verdict is Verdict.VERIFIED


def test_the_head_follows_while_nothing_happens(tmp_path: Path) -> None:
    """A-34: the end of an idle gateway's log could be cut off unseen."""
    log = tmp_path / "log"
    with Running(log) as running:
        running.evidence(EVIDENCE[:1])
        running.acknowledged_up_to(outbox_id_of(EVIDENCE[0]))
        patience = time.monotonic() + PATIENCE_S
        head = read_head(log)
        while (head is None or head.seq < 1) and time.monotonic() < patience:
            time.sleep(0.05)
            head = read_head(log)
        assert head is not None
        assert head.seq == 1


@pytest.mark.parametrize("seed", range(5))
def test_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """A-32, A-33, A-40: a crash would lose or double evidence, or leave a log that is not sound."""
    random = Random(seed)
    log = tmp_path / "log"
    outbox = Outbox(EVIDENCE)
    noise = [
        pack(Fact(Event.TRAFFIC_REFUSED, Reason.MAC1_WRONG, 10**6 + serial, 0, Instant(5), times=1), WALL, BOOT) for serial in range(40)
    ]
    for _ in range(5):
        with Running(log, options=["--segment-bytes", "60000"]) as running:
            outbox.connect()
            for _ in range(random.randrange(1, 12)):
                outbox.send(running, random.randrange(1, 40))
                running.telemetry(noise[: random.randrange(40)])
                outbox.hear(running, random.random() / 50)
            outbox.send(running, random.randrange(40))
            running.process.kill()
            outbox.hear(running, 0)
        done = serials(log, "evidence")
        assert done == serials_of(EVIDENCE)[: len(done)]
        assert outbox.acknowledged <= (outbox_id_of(EVIDENCE[len(done) - 1]) if done else 0)
    assert outbox.acknowledged
    with Running(log) as running:
        outbox.connect()
        while outbox.kept:
            outbox.send(running, 64)
            outbox.hear(running, PATIENCE_S)
        assert running.close() == (0, "")
    assert serials(log, "evidence") == serials_of(EVIDENCE)
    assert (verify(log).verdict, verify(log).by_type["LOG_RESUMED"]) == (Verdict.VERIFIED, 5)


def test_the_specification_says_what_a_killed_writer_can_have_in_hand() -> None:
    """O-22: an operator who finds a larger gap than that would look for an attack, or for a fault that is none."""
    most = (writer.PIPE_BYTES // writer.READ_BYTES + 1) * writer.READ_BYTES // RECORD_BYTES
    assert f"at most {most:,}\n  records" in (ROOT / "docs" / "spec" / "store.md").read_text()


def run_main(log: Path, *more: str) -> int:
    """Run the writer in this process, up to where it would take records."""
    reading, writing = os.pipe()
    os.close(writing)
    try:
        ids = ["--node", "00" * 8, "--boot", "00" * 8, "--role", "gateway", "--telemetry-fd", str(reading)]
        return writer.main(["--dir", str(log), *ids, *more])
    finally:
        os.close(reading)


@pytest.fixture(autouse=True)
def _handlers_come_back() -> object:
    kept = {number: signal.getsignal(number) for number in writer.IGNORED}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_why_a_writer_does_not_start_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A-31, A-33: the gateway could not tell a full disk from an attack, or from its own mistake."""
    log = tmp_path / "log"
    assert run_main(log) == writer.USAGE
    assert "names.key: No such file" in capfd.readouterr().err
    store_key(key_path(log), KEY)
    sealing(log)
    assert run_main(log) == 0
    log.joinpath(HEAD).unlink()
    assert run_main(log) == writer.UNSOUND
    assert "head.json is missing" in capfd.readouterr().err
    monkeypatch.setattr(writer, "LOCK_WAIT_NS", 0)
    a_log(tmp_path / "busy", [])
    with Log(tmp_path / "busy"):
        assert run_main(tmp_path / "busy") == writer.BUSY
    assert "another process writes this log" in capfd.readouterr().err
    (tmp_path / "file").write_bytes(b"")
    assert run_main(tmp_path / "file" / "log") == writer.USAGE
    assert run_main(tmp_path / "file") == writer.SYSTEM
    assert "exists" in capfd.readouterr().err


def test_what_a_writer_says_fits_the_stream_that_it_says_it_in(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A-31: the operational log would hold a line that no reader of it can parse, just when something is wrong."""
    run_main(tmp_path / "log")
    (line,) = capfd.readouterr().err.splitlines()
    said = orjson.loads(line)
    assert (said["event"], said["level"], said["status"]) == ("audit_writer_fails", "error", writer.USAGE)
    assert said.keys() >= {"error", "timestamp"}


def test_a_writer_whose_log_was_removed_ends(tmp_path: Path) -> None:
    """A-35: it would go on acknowledging evidence into a file without a name, and nobody would hear of it."""
    log = tmp_path / "log"
    evidence = records(story(1))[1]
    with Running(log) as running:
        running.evidence(evidence[:1])
        running.acknowledged_up_to(outbox_id_of(evidence[0]))
        shutil.rmtree(log)
        running.evidence(evidence[1:])
        assert running.acknowledged() is None
        status, said = running.close()
    assert (status, orjson.loads(said)["status"]) == (writer.GONE, writer.GONE)
    with Running(log) as running:
        running.evidence(evidence[1:])
        running.acknowledged_up_to(outbox_id_of(evidence[-1]))
        assert running.close()[0] == 0
    assert serials(log, "evidence") == serials_of(evidence[1:])
    assert verify(log).verdict is Verdict.VERIFIED


def test_a_writer_waits_for_the_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-31: a gateway that is restarted at once, while the old writer still closes the log, would run without an audit."""
    log = tmp_path / "log"
    store_key(key_path(log), KEY)
    sealing(log)
    before, journal = opened(log)

    def ends(_: float) -> None:
        journal.close()
        before.close()

    monkeypatch.setattr("audit.writer.time.sleep", ends)
    assert run_main(log) == 0
    ended = ["EPOCH_SEALED", "LOG_CLOSED"]
    assert [event["event_type"] for event in events_of(log)] == ["LOG_OPENED", *ended, "LOG_RESUMED", *ended]


@pytest.mark.parametrize("more", [["--node", "0011"], ["--node", "x" * 16], ["--role", "witness"], ["--telemetry-fd", "x"]])
def test_wrong_usage_is_said(tmp_path: Path, more: list[str]) -> None:
    """A-2: a mistake in the shell would be read as something else."""
    store_key(key_path(tmp_path / "log"), KEY)
    sealing(tmp_path / "log")
    with pytest.raises(SystemExit) as stopped:
        run_main(tmp_path / "log", *more)
    assert stopped.value.code == writer.USAGE
    assert not (tmp_path / "log").exists()


def test_a_pipe_that_is_none_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A-2: the writer would end with a traceback, or wait for records for ever."""
    store_key(key_path(tmp_path / "log"), KEY)
    sealing(tmp_path / "log")
    assert run_main(tmp_path / "log", "--telemetry-fd", "999") == writer.SYSTEM
    assert "Bad file descriptor" in capfd.readouterr().err
    assert not (tmp_path / "log").exists()
