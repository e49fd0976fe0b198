"""`doctor`: it finds what is missing and says what to do."""

import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import core
from jvpn.cli import doctor, output
from tests.jvpn.cli.calling import Jvpn, gateway_files, service
from tests.support import ROOT


def checks(jvpn: Jvpn, *words: object) -> dict[str, Any]:
    """Return what doctor says, by name."""
    said = jvpn("doctor", "--json", *words)
    found = {each["name"]: each for each in said.json["checks"]}
    assert said.json["missing"] == [name for name, each in found.items() if each["state"] == "missing"]
    assert said.status == (1 if said.json["missing"] else 0)
    return found


def test_what_is_here(jvpn: Jvpn) -> None:
    """A reviewer could not see which core was loaded, and with which libraries."""
    found = checks(jvpn)
    assert found["core"]["found"] == str(ROOT / "core")
    assert found["cryptography"]["found"][0].isdigit()
    assert {"Python", "TUN device", "CAP_NET_ADMIN", "self-test", "network namespaces"} <= set(found)
    shown = jvpn("doctor").out
    assert all(name in shown for name in found)


@pytest.mark.parametrize("name", ["/dev/net/absent", "/proc/version"])
def test_a_missing_tun(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An operator would learn of a missing device from a service that does not start."""
    monkeypatch.setattr(doctor, "DEVICE", name)
    monkeypatch.setattr(doctor, "_capabilities", lambda: 0)
    found = checks(jvpn)
    assert found["TUN device"]["state"] == "missing" or os.access(name, os.W_OK)
    assert found["CAP_NET_ADMIN"]["state"] == "missing"
    assert "CAP_NET_ADMIN" in found["CAP_NET_ADMIN"]["advice"]
    assert jvpn("doctor").status == 1


def test_a_foreign_core(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `core.py` of the working folder would be trusted with the keys."""
    monkeypatch.setattr(core, "__file__", str(tmp_path / "core.py"))
    found = checks(jvpn)["core"]
    assert found["state"] == "missing"
    assert "python -I -m jvpn" in found["advice"]


def test_a_missing_library(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-made installation would look whole."""

    def version(name: str) -> str:
        if name == "orjson":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    assert checks(jvpn)["orjson"]["state"] == "missing"


def test_a_failed_self_test(jvpn: Jvpn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken library would be found by nobody who only asks the doctor."""
    monkeypatch.setattr("jvpn.shell.selftest.step", lambda *_: None)
    found = checks(jvpn)["self-test"]
    assert (found["state"], found["found"]) == ("missing", "anti-replay window")


def test_a_sound_configuration(jvpn: Jvpn, tmp_path: Path) -> None:
    """Doctor would complain of a gateway that is ready, or not see that it runs."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d")
    with service(tmp_path / "g" / "control.sock", {"role": "gateway"}):
        found = checks(jvpn, "--config", config)
    names = ("configuration", "key", "allow list", "state directory", "audit log", "service")
    assert {found[name]["state"] for name in names} == {"ok"}
    assert found["allow list"]["found"] == "devices: 1"
    client = checks(jvpn, "--config", tmp_path / "d" / "client.toml")
    assert (client["key"]["state"], client["service"]["state"]) == ("ok", "note")
    assert "allow list" not in client


def test_a_configuration_with_faults(jvpn: Jvpn, tmp_path: Path) -> None:
    """Each fault would be found by another failed start."""
    config = gateway_files(tmp_path, jvpn)
    (tmp_path / "gateway.key").chmod(0o644)
    (tmp_path / "g").write_text("a file where the state directory goes")
    found = checks(jvpn, "--config", config)
    assert "found mode 0644, allowed 0600" in found["key"]["advice"]
    assert "No such file" in found["allow list"]["advice"]
    assert {found[name]["state"] for name in ("key", "allow list", "state directory", "audit log")} == {"missing"}
    assert jvpn("keygen", "device", "--out", tmp_path / "device.key").status == 0
    config.write_text(config.read_text().replace("gateway.key", "device.key"))
    assert "found jvpn device key 1, allowed jvpn gateway key 1" in checks(jvpn, "--config", config)["key"]["advice"]
    config.write_text("colour = 1\n")
    assert "colour: unknown key" in checks(jvpn, "--config", config)["configuration"]["advice"]


def test_a_client_without_a_network(jvpn: Jvpn, tmp_path: Path) -> None:
    """A name that is not found would hide everything else that is wrong, and be called a fault of the file."""
    config = gateway_files(tmp_path, jvpn)
    jvpn("enroll", "d", "--gateway-config", config, "--out", tmp_path / "d", "--endpoint", "no.such.name.invalid")
    found = checks(jvpn, "--config", tmp_path / "d" / "client.toml")
    assert (found["configuration"]["state"], found["key"]["state"], found["gateway's name"]["state"]) == ("ok", "ok", "missing")
    assert "is there a network?" in found["gateway's name"]["advice"]


def test_a_directory_that_the_system_refuses_to_look_at(jvpn: Jvpn, tmp_path: Path) -> None:
    """Who may not look into a directory above the state's would get one line about that, and nothing of what was found before."""
    config = gateway_files(tmp_path, jvpn)
    config.write_text(config.read_text().replace('state = "g"', f'state = "{"g" * 300}"'))  # refused to root, too
    assert {"core", "key", "state directory", "audit log"} <= set(checks(jvpn, "--config", config))


def test_a_narrow_window(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Which core is loaded could not be read, nor a session's id be copied."""
    monkeypatch.setattr(output, "Console", lambda **_: Console(width=40, force_terminal=True, no_color=True))
    identity = "0f6c01a5be2d4b6f8a7c3d2e1f0a9b8c"
    output.table(("correlation_id", "found"), [(identity, "/opt/jumping-vpn/.venv/lib/python3.11/site-packages/core")])
    shown = capsys.readouterr().out
    assert "\u2026" not in shown
    columns = [line[:19] for line in shown.splitlines()]
    assert identity in "".join(part.strip() for part in columns)
