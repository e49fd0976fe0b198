"""`ship` to an output: what arrives, and which fault has which status."""

import signal
from pathlib import Path

import orjson
import pytest

from tests.jvpn.cli.calling import Jvpn, Process, until
from tests.observability.outputs.sinks import SINKS, HttpSink, Sink
from tests.observability.shipping import lines, write_log
from tests.observability.synthetic import write_everything


def configured(folder: Path, sink: Sink, more: str = "") -> Path:
    """Write a configuration for a destination."""
    path = folder / "output.toml"
    path.write_text(
        f'state = "ship"\naudit.dir = "audit"\nlog.level = "critical"\noutput.kind = "{sink.kind}"\noutput.url = "{sink.url()}"\n'
        f'output.ca_file = "{sink.certificate}"\n{more}'
    )
    return path


@pytest.mark.parametrize("kind", SINKS)
def test_a_log_arrives(jvpn: Jvpn, tmp_path: Path, kind: str) -> None:
    """Somebody would follow the guide, and nothing would arrive."""
    written = write_everything(tmp_path / "audit", "gateway")
    with SINKS[kind](tmp_path) as sink:
        sink.start()
        config = configured(tmp_path, sink, "batch.events = 50\n")
        said = jvpn("ship", "--config", config, "--once", "--json")
        again = jvpn("ship", "--config", config, "--once")
    assert (said.status, said.json["created"], said.json["pending"]) == (0, written, 0)
    assert again.out.startswith(f"read {written}, created {written}, ")
    assert sink.hashes == [orjson.loads(line)["hash"] for line in lines(tmp_path / "audit")]


def test_killed_and_started_again(tmp_path: Path) -> None:
    """An event that was on its way when the shipper was killed would be missing for ever."""
    log = write_log(tmp_path / "audit")
    with HttpSink(tmp_path) as sink:
        sink.start()
        sink.script.extend(["200", "hang"])
        config = configured(tmp_path, sink, "batch.events = 5\noutput.request_s = 30\n")
        with Process("ship", "--config", config) as process:
            until(lambda: len(sink.bodies) == 2, process)
            process.process.kill()
            process.process.communicate()
        with Process("ship", "--config", config) as process:
            until(lambda: len(set(sink.hashes)) == len(lines(log)), process)
            assert process.end(signal.SIGTERM).status == 0
    assert sink.hashes == [orjson.loads(line)["hash"] for line in lines(log)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('output.credentials_file = "absent"\n', "credentials_file"),
        ('output.key_file = "k"\n', "output.certificate_file: missing"),
        ('cluster.url = "http://x"\n', "cluster: unknown key"),
        ('output.confirm = "maybe"\n', "allowed notify or end"),
    ],
)
def test_settings_that_cannot_work(jvpn: Jvpn, tmp_path: Path, more: str, said: str) -> None:
    """The shipper would wait for ever for a mistake to go away."""
    with HttpSink(tmp_path) as sink:
        done = jvpn("ship", "--config", configured(tmp_path, sink, more), "--once")
    assert done.status == 2
    assert said in done.err


def test_syslog_has_no_credentials(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator would believe that a token protects what has none."""
    with SINKS["syslog"](tmp_path) as sink:
        done = jvpn("ship", "--config", configured(tmp_path, sink, 'output.credentials_file = "x"\n'))
    assert done.status == 2
    assert "a receiver knows the shipper by output.certificate_file" in done.err


def test_another_log_under_the_same_state(jvpn: Jvpn, tmp_path: Path) -> None:
    """Events of two logs would be mixed up under one cursor, and some never sent."""
    write_log(tmp_path / "audit")
    with HttpSink(tmp_path) as sink:
        sink.start()
        config = configured(tmp_path, sink)
        assert jvpn("ship", "--config", config, "--once").status == 0
        write_everything(tmp_path / "other", "client")
        config.write_text(config.read_text().replace('"audit"', '"other"'))
        done = jvpn("ship", "--config", config, "--once")
    assert done.status == 1
    assert f"{tmp_path / 'other'}" in done.err
