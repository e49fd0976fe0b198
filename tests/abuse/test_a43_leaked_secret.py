"""A secret gets out by an output (T-43).

ATTACK
    Whoever reads what the product says (logs, the SIEM, metrics, reports, error messages, spools, a crash's core dump) looks there for what
    it was given in confidence: keys, passphrases, credentials, what travels in the tunnel, who is behind a name, and from where.

EXPECTED REFUSAL
    Nothing of that is in any byte that goes out, in any usual writing, but where a table says so and why [A-14] [A-47]. A process that
    crashes leaves no core dump [A-46].

EXPECTED EVIDENCE
    SESSION_BORN / HANDSHAKE_COMPLETED
    TRAFFIC_REFUSED / LENGTH_WRONG
"""

import os
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from audit.canonical import canonical
from audit.event import Builder, Moment
from audit.record import pack
from jvpn.shell import vault
from tests.abuse.planted import Canary, Searched, allowed
from tests.abuse.scene import ENVIRONMENT, Scene
from tests.abuse.tap import SECONDS
from tests.audit.made import BEFORE, BOOT, RECORDED, WALL, builder, events_of, fact_of
from tests.audit.tlog.test_sealing import sealed_log
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files
from tests.jvpn.cli.conftest import jvpn
from tests.jvpn.cli.test_rotation import enrolled
from tests.jvpn.cli.test_serving import free_port
from tests.jvpn.cli.test_shipping import configured
from tests.observability.stub import Stub
from tests.observability.witnesses import running

__all__ = ["jvpn"]

ALLOWED = allowed()
MANY = 20  # secrets that are planted, at least

LEAST = 200  # bytes: an output of less was not what it is called


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where no detection looks: what is thrown at the gateway here, and how often it starts, is no part of the case."""
    return tmp_path_factory.mktemp("a43")


def test_no_secret_gets_out(capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-47: a key, a password, or who was where would stand in a log, a SIEM or a ticket, and nobody would have noticed."""
    monkeypatch.setattr(vault, "USUAL", vault.Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    scene = Scene(capfd, folder)
    scene.play()
    assert {name for name, said in scene.outputs.items() if len(said) < LEAST} == set()
    happened = {(event["event_type"], event["reason_code"]) for event in events_of(scene.folder / "g" / "audit")}
    assert {("SESSION_BORN", "HANDSHAKE_COMPLETED"), ("TRAFFIC_REFUSED", "LENGTH_WRONG")} <= happened  # packets and frames came
    assert b"quarantine" in scene.outputs["spool and quarantine"]
    assert len({canary.name for canary in scene.canaries}) >= MANY
    found = {(each.output, each.canary): each for each in Searched(scene.outputs).find(scene.canaries)}
    assert not [each for pair, each in found.items() if pair not in ALLOWED]
    assert not ALLOWED.keys() - found.keys(), "rows that nothing needs"


def test_a_leak_is_found_in_any_writing() -> None:
    """A-47: the search would pass over a secret that somebody has encoded, and call the output clean."""
    canary = Canary("a key", bytes(range(200, 232)), ("sesame",))
    for form, written in canary.forms().items():
        searched = Searched({"clean": b"x" * 999, "leaky": b"some words " + written + b" and others"})
        assert [each.output for each in searched.find([canary])] == ["leaky"], form
    for before in range(12):  # inside of something that is encoded as a whole
        leaky = b64encode(b"x" * before + canary.value + b"and more")
        assert list(Searched({"leaky": leaky}).find([canary])), before
    assert not list(Searched({"clean": bytes(range(200)) * 9}).find([canary]))


def test_a_leak_that_is_put_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A-47: a fault of ours, a record that is kept as it is, would not be seen in the log."""
    device = b"canary device key of 32 bytes..."
    record = pack(fact_of(RECORDED[0], next(iter(RECORDED[0].reasons)), device=device), WALL, BOOT)
    canary = Canary("device", device)
    made = builder().of_refused(record, "why", BEFORE, Moment(WALL, 5))
    assert not list(Searched({"log": canonical(made)}).find([canary]))
    monkeypatch.setattr(Builder, "redacted", lambda _, raw: b64encode(raw).decode())
    leaky = builder().of_refused(record, "why", BEFORE, Moment(WALL, 5))
    assert [each.canary for each in Searched({"log": canonical(leaky)}).find([canary])] == ["device"]


def test_every_service_crashes_without_a_core(jvpn: Jvpn, folder: Path) -> None:
    """A-46: the keys of gateway, client, shipper, witness or exporter would lie in a file that a crash handler keeps or sends away."""
    config = gateway_files(folder, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\nmetrics.socket = "g/figures.sock"\n')
    client, history = enrolled(jvpn, folder, config, "laptop"), sealed_log(folder / "audit")
    with Stub() as stub, ExitStack() as stack:
        shipper = configured(folder, stub.url)
        started = [stack.enter_context(Process(*words)).process for words in (
            ("gateway", "--config", config), ("client", "--config", client), ("ship", "--config", shipper),
            ("metrics", "--shipper", folder / "ship", "--listen", "127.0.0.1:0"),
        )]  # fmt: skip
        witness = stack.enter_context(running(folder, history)).process
        ready = (folder / "g" / "control.sock", folder / "laptop" / "state" / "control.sock", folder / "ship" / "status.json")
        for path, process in zip(ready, started, strict=False):
            waited(path.exists, process)
        waited(lambda: closed(started[-1].pid), started[-1])
        assert closed(witness.pid)
        assert crashed(witness) == (signal.SIGSEGV, False)
        for process in started:
            assert closed(process.pid), process.args
            assert crashed(process) == (signal.SIGSEGV, False), process.args
            process.communicate()


def crashed(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> tuple[int, bool]:
    """Let a process crash; return the signal that ended it, and whether there was a core dump."""
    process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    return os.WTERMSIG(status), os.WCOREDUMP(status)


def closed(pid: int) -> bool:
    """Return whether a process can write no core dump, as its limits say."""
    (line,) = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core file size")]
    return line.split()[4:6] == ["0", "0"]


def waited(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something is so, while a process lives."""
    end = time.monotonic() + SECONDS
    while not what():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
