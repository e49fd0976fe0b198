"""The two services: started by the command line, joined over loopback, ended in good order; and no service on a failed self-test."""

import signal
import socket
from pathlib import Path

import orjson
import pytest

from jvpn.cli import checks
from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from jvpn.shell.selftest import Finding
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_keys import secrets


def free_port() -> int:
    """Return a port of loopback that is free for UDP and TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        udp.bind(("127.0.0.1", 0))
        port = int(udp.getsockname()[1])
        tcp.bind(("127.0.0.1", port))
    return port


def state(folder: Path) -> str | None:
    """Return what the client is, or None while it does not answer."""
    try:
        return str(ask(folder / "control.sock", {"order": "status"})["state"])
    except Unavailable:
        return None


def test_from_nothing_to_a_verified_history(jvpn: Jvpn, tmp_path: Path) -> None:
    """The first day of a pilot operator would fail: keys, enrolment, service, status, revocation, verification, report."""
    port = free_port()
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{port}"]\nlisten.tcp = ["127.0.0.1:{port}"]\n')
    assert jvpn("enroll", "laptop", "--gateway-config", config, "--out", tmp_path / "laptop").status == 0
    client = tmp_path / "laptop" / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    assert jvpn("gateway", "--config", config, "--check").out == f"{config}: good\n"
    with Process("gateway", "--config", config) as one, Process("client", "--config", client) as two:
        until(lambda: state(tmp_path / "laptop" / "state") == "ATTACHED", two)
        shown = jvpn("status", "--config", client)
        assert "ATTACHED" in shown.out
        sessions = jvpn("status", "--config", config, "--json").json["sessions"]
        (session,) = [each for each in sessions if each["state"] != "PENDING"]  # a busy machine starts a handshake over TCP beside
        assert session["correlation_id"] in shown.out
        assert session["correlation_id"] in jvpn("status", "--config", config).out
        assert jvpn("close", "00" * 16, "--config", config).status == 1
        assert jvpn("close", session["correlation_id"], "--config", config, "--json").json == {"closed": session["correlation_id"]}
        assert jvpn("revoke", "laptop", "--gateway-config", config).status == 0
        until(lambda: not ask(tmp_path / "g" / "control.sock", {"order": "status"})["sessions"], one)
        ended = [process.end(signal.SIGTERM) for process in (two, one)]
    assert [each.status for each in ended] == [0, 0]
    assert all("event" in orjson.loads(line) for each in ended for line in each.err.splitlines())
    logs = [tmp_path / "g" / "audit", tmp_path / "laptop" / "state" / "audit"]
    for log in logs:
        verdict = jvpn("audit", "verify", log, "--json")
        assert (verdict.status, verdict.json["verdict"]) == (0, "VERIFIED")
    said = jvpn.everything + "".join(each.out + each.err for each in ended)
    held = secrets(tmp_path / "gateway.key", tmp_path / "laptop" / "device.key")
    written = "".join(each.read_text(errors="replace") for log in logs for each in log.rglob("*") if each.is_file())
    assert not [secret for secret in held if secret in said + written]


def test_no_service_on_a_failed_self_test(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway would serve with a broken library."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d")
    monkeypatch.setattr(
        checks, "run", lambda: [Finding("X25519", "RFC 7748", passed=False, detail="another answer"), Finding("b", "c", passed=True)]
    )
    monkeypatch.setattr("jvpn.shell.gateway.serve", lambda _: pytest.fail("it serves"))
    monkeypatch.setattr("jvpn.shell.client.serve", lambda _: pytest.fail("it serves"))
    for words in (("gateway", "--config", config), ("client", "--config", tmp_path / "d" / "client.toml")):
        said = jvpn(*words)
        assert (said.status, said.err) == (3, "jvpn: self-test failed, no service: X25519: another answer\n")
    shown = jvpn("selftest")
    assert shown.status == 3
    assert "FAILED" in shown.out
    answer = jvpn("selftest", "--json")
    assert (answer.status, answer.json["passed"]) == (3, False)
    for log in (tmp_path / "g" / "audit", tmp_path / "d" / "state" / "audit"):
        assert endings(jvpn, log) == ["SELFTEST_FAILED"]


def test_a_failed_self_test_that_cannot_be_recorded_is_told(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does not start for want of a log hides why it does not start."""
    config = gateway_files(tmp_path, jvpn)
    (tmp_path / "g").write_text("in the way of the directory")
    monkeypatch.setattr(checks, "run", lambda: [Finding("X25519", "RFC 7748", passed=False, detail="another answer")])
    said = jvpn("gateway", "--config", config)
    assert said.status == 3
    assert "self-test failed, no service: X25519" in said.err
    assert "this is not recorded: cannot start the audit writer" in said.err


BREAKING = """
import os, sys
kernel = os.urandom
os.urandom = lambda n: bytes(n) if os.path.exists(sys.argv[1]) else kernel(n)
from jvpn.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_service_whose_randomness_fails_ends_and_says_so(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-11] A gateway goes on with keys that everybody can guess, or ends without a record of why."""
    port, broken = free_port(), tmp_path / "broken"
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{port}"]\nlisten.tcp = ["127.0.0.1:{port}"]\n')
    assert jvpn("enroll", "laptop", "--gateway-config", config, "--out", tmp_path / "laptop").status == 0
    client = tmp_path / "laptop" / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    with Process("gateway", "--config", config, program=("-c", BREAKING, str(broken))) as one:
        until((tmp_path / "g" / "control.sock").exists, one)
        broken.touch()
        with Process("client", "--config", client):
            ended = one.end()
    assert ended.status == 3
    assert "the kernel's randomness fails its health test" in ended.err
    assert endings(jvpn, tmp_path / "g" / "audit") == ["RANDOMNESS_FAILED"]
    assert jvpn("audit", "verify", tmp_path / "g" / "audit").status == 0


def endings(jvpn: Jvpn, log: Path) -> list[str]:
    """Return the reasons for which processes stopped, by their log."""
    shown = jvpn("audit", "show", log, "--type", "PROCESS_STOPPED", "--json")
    return [orjson.loads(line)["reason_code"] for line in shown.out.splitlines()]


def test_a_sound_self_test(jvpn: Jvpn) -> None:
    """An operator could not see what was tested."""
    said = jvpn("selftest", "--json")
    assert (said.status, said.json["passed"]) == (0, True)
    assert {"X25519", "ML-KEM-768", "anti-replay window"} <= {each["name"] for each in said.json["tests"]}
    assert jvpn("selftest").out.count("passed") == len(said.json["tests"])


def test_a_check_looks_at_what_the_file_names(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator would restart a gateway that was called good, and that cannot start."""
    config = gateway_files(tmp_path, jvpn)
    said = jvpn("gateway", "--config", config, "--check")
    assert (said.status, said.out) == (2, "")
    assert "devices.json: cannot be read: No such file or directory: the first `jvpn enroll` makes it" in said.err
    assert jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d", "--endpoint", "192.0.2.1").status == 0
    assert jvpn("gateway", "--config", config, "--check").status == 0
    client = tmp_path / "d" / "client.toml"
    assert jvpn("client", "--config", client, "--check").out == f"{client}: good\n"
    (tmp_path / "d" / "device.key").unlink()
    said = jvpn("client", "--config", client, "--check")
    assert (said.status, said.err.endswith("No such file or directory: make one with `jvpn keygen`\n")) == (2, True)
    (tmp_path / "gateway.key").unlink()
    assert jvpn("keygen", "device", "--out", tmp_path / "gateway.key").status == 0
    assert "found jvpn device key 1, allowed jvpn gateway key 1" in jvpn("gateway", "--config", config, "--check").err


def test_one_service_a_state_directory(jvpn: Jvpn, tmp_path: Path) -> None:
    """A gateway started twice, on other ports, would take the control socket: nobody could revoke a device in the first one."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\n')
    jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d")
    second = tmp_path / "second.toml"
    with Process("gateway", "--config", config) as one:
        until(lambda: jvpn("status", "--config", config).status == 0, one)
        second.write_text(config.read_text().replace("127.0.0.1", "127.0.0.2"))
        said = jvpn("gateway", "--config", second)
        assert (said.status, said.err) == (
            1,
            f"jvpn: {tmp_path}/g: in use by another gateway or client: each needs a state directory of its own\n",
        )
        assert jvpn("status", "--config", config).status == 0
        one.end(signal.SIGKILL)
    with Process("gateway", "--config", second) as two:
        until(lambda: jvpn("status", "--config", second).status == 0, two)
        assert two.end(signal.SIGTERM).status == 0


def test_a_state_directory_that_cannot_be_made(jvpn: Jvpn, tmp_path: Path) -> None:
    """Who mistypes the directory would be told of a file that they never named, or nothing of which key is meant."""
    config = gateway_files(tmp_path, jvpn)
    (tmp_path / "g").write_text("a file")
    said = jvpn("gateway", "--config", config)
    assert (said.status, said.err) == (1, f"jvpn: {tmp_path}/g: the state directory cannot be used: File exists\n")


def test_a_service_that_cannot_start_says_why(jvpn: Jvpn, tmp_path: Path) -> None:
    """A missing device file or a taken port would end in a traceback, or in a gateway that serves nobody."""
    config = gateway_files(tmp_path, jvpn)
    said = jvpn("gateway", "--config", config)
    assert said.status == 2
    assert "devices.json: cannot be read: No such file or directory" in said.err
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        config.write_text(config.read_text().replace("51820", str(taken.getsockname()[1])))
        jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d")
        said = jvpn("gateway", "--config", config)
    assert said.status == 1
    assert said.err.startswith("jvpn: cannot listen for UDP at 127.0.0.1:")
    assert "another program has this port" in said.err
