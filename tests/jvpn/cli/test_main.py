"""The command line as a whole: help, errors, exit statuses, and what is loaded when."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jvpn.cli import main
from jvpn.shell import keyfile
from jvpn.shell.errors import Unavailable
from lab.reference import commands, help_of
from tests.jvpn.cli.calling import Jvpn, Process
from tests.support import ROOT

GROUPS: tuple[list[str], ...] = ([], ["keygen"], ["keys"], ["audit"], ["grafana"], ["siem"], ["witness"])
SERVICES = (["gateway"], ["client"], ["metrics"], ["witness", "serve"])


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_help_fits_a_terminal(words: list[str]) -> None:
    """An example would be broken in its middle, or the list of commands would end each line in dots."""
    done = CliRunner().invoke(main.app, [*words, "--help"], prog_name="jvpn", env={"COLUMNS": "80", "NO_COLOR": "1"})
    lines = [line for line in done.output.splitlines() if not line.startswith("Usage:")]
    assert len(lines) > 5
    assert not [line for line in lines if len(line) > 80 or line.endswith("...")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(jvpn: Jvpn, words: list[str]) -> None:
    """A user would have to read the source to learn what a command does, or how to call it."""
    said = jvpn(*words, "--help")
    assert said.status == 0
    assert "Usage: jvpn" in said.out
    if words not in GROUPS:
        assert "\n  Example" in said.out
        assert f"\n    jvpn {' '.join(words)}" in said.out
        options = help_of(words).partition("Options:")[2].splitlines()
        assert not [line for line in options if line.startswith("  --") and len(line.split("  ")) < 3], "an option without a word about it"


def test_every_command_that_answers_has_json(jvpn: Jvpn) -> None:
    """A script would have to read what is meant for people."""
    assert not [words for words in commands() if words not in (*GROUPS, *SERVICES) and "--json" not in help_of(words)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "No such command 'nope'. (see --help)"),
        (["keygen"], "Missing command. (see --help)"),
        (["keygen", "device"], "Missing option '--out'. (see --help)"),
        (["gateway", "--confg", "x"], "No such option: --confg (Possible options: --config) (see --help)"),
        (["gateway", "--config", "absent.toml"], "absent.toml: cannot be read: No such file or directory"),
        (["status"], "Invalid value for --config / --socket: give either --config or --socket (see --help)"),
        (["audit", "show", ".", "--severity", "bad"], "is none of unknown, informational, low, medium, high, critical, fatal"),
        (["audit", "show", ".", "--type", "session_mvoed"], "'session_mvoed' is not in the registry; did you mean SESSION_MOVED?"),
        (["audit", "show", ".", "--from", "x"], "Invalid value for '--from'"),
        (
            ["audit", "show", ".", "--since", "yesterday"],
            "--since: 'yesterday' is not a time as in the log, or its beginning, such as 2026-",
        ),
        (["audit", "show", ".", "--until", "2026-11-22 18:30"], "--until: '2026-11-22 18:30' is not a time"),
        (["audit", "show", ".", "--session", "0f6c"], "--session: '0f6c' is not 16 or 32 hex digits"),
        (["audit", "show", ".", "--device", "laptop"], "--device: 'laptop' is not 16 hex digits"),
        (["audit", "show", "absent"], "absent: No such file or directory"),
        (["audit", "report", ".", "--out", "absent/r.html"], "absent/r.html: the page cannot be written: "),
        (["audit", "report", ".", "--out", "."], ".: the page cannot be written: is a directory"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(jvpn: Jvpn, words: list[str], said: str) -> None:
    """A script could not tell a typing error from a failure; a person would get a page of usage, or a traceback."""
    done = jvpn(*words)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_nothing_at_all_shows_the_help(jvpn: Jvpn) -> None:
    """A first user would get an error for asking what there is; a script would take the help for success."""
    said = jvpn()
    assert said.status == 2
    assert "First steps:" in said.out


def test_the_version(jvpn: Jvpn) -> None:
    """Nobody could say which version a report is about."""
    assert jvpn("--version").out == "jvpn 0.1.0\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Unavailable("no TUN; load it"), 1, "jvpn: no TUN; load it\n"),
        (PermissionError(13, "Permission denied", "/x\n\x1b[31m"), 1, "jvpn: /x ?[31m: Permission denied\n"),
        (OSError("odd"), 1, "jvpn: OSError\n"),
        (KeyboardInterrupt(), 130, "jvpn: interrupted; stopped: jvpn keygen device\n"),
    ],
)
def test_errors_are_one_line(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str) -> None:
    """A failure would end in a traceback, or obey control characters in a file's name."""

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(keyfile, "create_device", fail)
    done = jvpn("keygen", "device", "--out", "x")
    assert (done.status, done.out, done.err) == (status, "", said)


def test_a_fault_of_ours_shows_no_values(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A key that stands in an exception's message would reach a terminal, and from there a ticket."""

    def fail(*_: object) -> bytes:
        raise ValueError("c2VjcmV0")

    monkeypatch.setattr(keyfile, "create_device", fail)
    done = jvpn("keygen", "device", "--out", "x")
    assert done.status == 1
    assert done.err.startswith("jvpn: internal error: ValueError in test_main.py, line ")
    monkeypatch.setenv("JVPN_TRACEBACK", "1")
    assert main.main(["keygen", "device", "--out", "x"]) == 1
    shown = capfd.readouterr().err
    assert "in fail" in shown
    assert "c2VjcmV0" not in done.err + shown.replace('raise ValueError("c2VjcmV0")', "")


LOADED = """
import sys
import jvpn.shell.gateway, jvpn.shell.client
from jvpn.cli.main import main
def serve(config):
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
    return 0
jvpn.shell.gateway.serve = jvpn.shell.client.serve = serve
raise SystemExit(main(sys.argv[1:]))
"""
SIEM = {"opensearchpy", "opentelemetry", "urllib3", "requests", "grpc", "matplotlib", "numpy", "weasyprint", "PIL", "observability.shipper"}


@pytest.mark.parametrize("role", ["gateway", "client"])
def test_a_process_with_keys_loads_no_siem_library(jvpn: Jvpn, tmp_path: Path, role: str) -> None:
    """A flaw in a library that only reports need would be a flaw of the process that holds the keys."""
    config = tmp_path / "gateway.toml"
    config.write_text('node = "g"\nkey = "k"\ndevices = "d"\nstate = "s"\n')
    if role == "client":
        config.write_text(f'key = "k"\nstate = "s"\ngateway = {{ public = "{"A" * 43}=", udp = "127.0.0.1:1" }}\n')
    done = subprocess.run(
        [sys.executable, "-c", LOADED, role, "--config", str(config)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"jvpn", "core", "structlog"} <= loaded
    assert not loaded & SIEM


def test_a_reader_who_has_seen_enough() -> None:
    """`jvpn audit show ... | head` would end in a traceback."""
    with Process("selftest") as process:
        assert process.process.stdout is not None
        process.process.stdout.close()
        process.process.stdout = None
        said = process.end()
    assert "Traceback" not in said.err


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that keeps answers in a file would take an empty file for an answer, or get a status that no page explains."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with it nothing would be left for the interpreter to write at its end
    with Path("/dev/full").open("w") as full, Process("selftest", "--json", stdout=full.fileno()) as process:
        said = process.end()
    assert (said.status, said.err) == (1, "jvpn: No space left on device\n")
