"""A planned rotation of the gateway's static key, step by step, with gateway and client as real processes."""

import os
import signal
from pathlib import Path
from typing import Any

from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_serving import endings, free_port, state


def sessions(folder: Path) -> list[dict[str, Any]]:
    """Return the gateway's sessions, none while it does not answer."""
    try:
        return [each for each in ask(folder / "g" / "control.sock", {"order": "status"})["sessions"] if each["state"] != "PENDING"]
    except Unavailable:
        return []


def enrolled(jvpn: Jvpn, folder: Path, config: Path, name: str) -> Path:
    """Enrol a device; return its configuration, with a packet pump."""
    assert jvpn("enroll", name, "--gateway-config", config, "--out", folder / name).status == 0
    client = folder / name / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    return client


def test_a_planned_rotation_loses_no_session(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-10] The rotation that is rehearsed on paper ends sessions, needs a restart, or leaves the old key in use."""
    port = free_port()
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{port}"]\nlisten.tcp = ["127.0.0.1:{port}"]\n')
    old = enrolled(jvpn, tmp_path, config, "old")
    with Process("gateway", "--config", config) as gateway, Process("client", "--config", old) as one:
        until(lambda: state(tmp_path / "old" / "state") == "ATTACHED", one)
        (before,) = sessions(tmp_path)
        assert jvpn("keygen", "rotate", "--file", tmp_path / "gateway.key", "--static", "--json").json["renewed"] == "static key"
        os.kill(gateway.process.pid, signal.SIGHUP)
        new = enrolled(jvpn, tmp_path, config, "new")
        assert old.read_text().split("public")[1].split("\n")[0] != new.read_text().split("public")[1].split("\n")[0]
        with Process("client", "--config", new) as two:
            until(lambda: state(tmp_path / "new" / "state") == "ATTACHED", two)
            both = {each["correlation_id"] for each in sessions(tmp_path)}
            assert before["correlation_id"] in both
            assert len(both) == 2
            assert jvpn("keygen", "rotate", "--file", tmp_path / "gateway.key", "--drop", "--yes", "--json").json["dropped"] == "static key"
            os.kill(gateway.process.pid, signal.SIGHUP)
            until(lambda: len(sessions(tmp_path)) == 1, gateway)
            assert {each["correlation_id"] for each in sessions(tmp_path)} == both - {before["correlation_id"]}
            assert state(tmp_path / "new" / "state") == "ATTACHED"
            assert two.end(signal.SIGTERM).status == 0
        one.end(signal.SIGTERM)
        assert gateway.end(signal.SIGTERM).status == 0
    shown = jvpn("audit", "show", tmp_path / "g" / "audit", "--type", "SESSION_ENDED", "--json").out
    assert shown.count('"KEY_OUTDATED"') == 1
    assert endings(jvpn, tmp_path / "g" / "audit") == ["PROCESS_STOPPED"]
    assert jvpn("audit", "verify", tmp_path / "g" / "audit").status == 0


def test_one_rotation_at_a_time(jvpn: Jvpn, tmp_path: Path) -> None:
    """Two static keys retire at once, or an option is silently passed over."""
    key = tmp_path / "gateway.key"
    jvpn("keygen", "gateway", "--out", key)
    assert jvpn("keygen", "rotate", "--file", key, "--static", "--kek").status == 2
    assert jvpn("keygen", "rotate", "--file", key, "--drop", "--yes").err == f"jvpn: {key}: retiring: no key retires\n"
    assert jvpn("keygen", "rotate", "--file", key, "--static").status == 0
    said = jvpn("keygen", "rotate", "--file", key, "--static")
    assert (said.status, said.err.startswith(f"jvpn: {key}: retiring: there is a key that retires already")) == (2, True)
    assert "dropped static key" in jvpn("keygen", "rotate", "--file", key, "--drop", "--yes").out


def test_a_key_is_dropped_by_nobody_s_slip(jvpn: Jvpn, tmp_path: Path) -> None:
    """A word too much destroys a key under which sessions live, for good."""
    key = tmp_path / "gateway.key"
    jvpn("keygen", "gateway", "--out", key)
    jvpn("keygen", "rotate", "--file", key, "--static")
    before = key.read_bytes()
    said = jvpn("keygen", "rotate", "--file", key, "--drop")
    assert (said.status, said.err.startswith("jvpn: --yes: missing"), key.read_bytes()) == (2, True, before)
