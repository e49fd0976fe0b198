"""What the status of a gateway that runs says of its keys, its sessions, its last reload and its documents."""

import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_rotation import enrolled
from tests.jvpn.cli.test_serving import free_port, state
from tests.jvpn.cli.test_store_trouble import no_room
from tests.jvpn.cli.test_trust_gateway import STRANGER, Place


def status(folder: Path) -> dict[str, Any]:
    """Return what a gateway says; nothing while it does not answer."""
    try:
        return ask(folder / "control.sock", {"order": "status"})
    except Unavailable:
        return {}


def started(place: Place) -> Process:
    """Start the gateway of a place, at a port that is free."""
    place.config.write_text(place.config.read_text().replace("51820", str(free_port())))
    return Process("gateway", "--config", place.config)


def told(said: str, event: str) -> list[dict[str, Any]]:
    """Return the lines of an operational log with this event."""
    return [line for line in map(json.loads, said.splitlines()) if line["event"] == event]


def test_an_offered_key_that_is_not_loaded_is_told(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-33] Clients follow the keyset to a key that the gateway does not have, get silence, and a count of MAC1_WRONG is all there is."""
    place = Place(jvpn, tmp_path)
    own = place.own()
    place.lists(own, STRANGER)
    with started(place) as gateway:
        until(lambda: status(tmp_path / "state"), gateway)
        assert status(tmp_path / "state")["keys"] == {"gateway": {own: "RETIRING"}, "devices": {}, "offered_not_loaded": STRANGER}
        shown = jvpn("status", "--config", place.config)
        assert shown.err == (
            f"jvpn: the keyset offers a key that is not loaded, {STRANGER}: clients that ask under it get silence: load it, and reload\n"
        )
        assert f"keys gateway             {own} RETIRING" in shown.out
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: status(tmp_path / "state")["reload"], gateway)
        assert status(tmp_path / "state")["keys"]["offered_not_loaded"] == STRANGER
        place.lists(own)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: status(tmp_path / "state")["keys"]["offered_not_loaded"] is None, gateway)
        assert jvpn("status", "--config", place.config).err == ""
        said = gateway.end(signal.SIGTERM).err
    assert [each["public"] for each in told(said, "offered_key_not_loaded")] == [STRANGER] * 2, "at the start, and at the reload"


def test_how_the_last_reload_ended(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator reloads a gateway after a mistyped list, nothing happens, and every command says that all is well."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\n')
    enrolled(jvpn, tmp_path, config, "laptop")
    devices = tmp_path / "devices.json"
    sound = devices.read_text()
    with Process("gateway", "--config", config) as gateway:
        until(lambda: status(tmp_path / "g"), gateway)
        assert status(tmp_path / "g")["reload"] is None
        devices.write_text("{")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: status(tmp_path / "g")["reload"], gateway)
        failed = jvpn("status", "--config", config, "--json").json["reload"]
        assert (failed["outcome"], str(devices) in failed["error"]) == ("failed", True)
        assert datetime.fromisoformat(failed["at"]).tzinfo
        shown = jvpn("status", "--config", config)
        assert shown.err == f"jvpn: the reload at {failed['at']} failed, and what was loaded before is in use: {failed['error']}\n"
        assert "outcome failed" in shown.out
        devices.write_text(sound)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: status(tmp_path / "g")["reload"]["outcome"] == "done", gateway)
        assert jvpn("status", "--config", config).err == ""
        assert gateway.end(signal.SIGTERM).status == 0


def test_a_session_has_its_birth_and_its_key(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-10] Nobody could see when the old key of a rotation has no session any more, so it is dropped too early, or never."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\n')
    client = enrolled(jvpn, tmp_path, config, "laptop")
    old = str(json.loads((tmp_path / "gateway.key").read_text())["public"])
    with Process("gateway", "--config", config) as gateway, Process("client", "--config", client) as process:
        until(lambda: state(tmp_path / "laptop" / "state") == "ATTACHED", process)
        assert jvpn("keygen", "rotate", "--file", tmp_path / "gateway.key", "--static").status == 0
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: len(status(tmp_path / "g")["keys"]["gateway"]) == 2, gateway)
        new = str(json.loads((tmp_path / "gateway.key").read_text())["public"])
        found = jvpn("status", "--config", config, "--json").json
        assert found["keys"] == {"gateway": {old: "ACTIVE", new: "ACTIVE"}, "devices": {"ACTIVE": 1}, "offered_not_loaded": None}
        (session,) = found["sessions"]
        assert session["gateway_key"] == old
        assert abs(datetime.now().astimezone() - datetime.fromisoformat(session["born"])).total_seconds() < 3_600
        line = next(each for each in jvpn("status", "--config", config).out.splitlines() if session["correlation_id"] in each)
        assert {session["born"], old[:8]} <= set(line.split())
        assert [each.end(signal.SIGTERM).status for each in (process, gateway)] == [0, 0]


def test_documents_that_cannot_be_used_for_a_full_disk(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-29] A list of revocations lies there and is not used, and one line of a log, hours ago, is all that says so."""
    place = Place(jvpn, tmp_path)
    with started(place) as gateway:
        until(lambda: status(tmp_path / "state"), gateway)
        assert status(tmp_path / "state")["trust"] == {"nobody_new_because": None, "floors_not_kept": None}
        with no_room(gateway):
            place.does("keys", "revoke", "--dir", tmp_path / "trust", "--key", tmp_path / "trust" / "revocations.key")
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: status(tmp_path / "state")["trust"]["floors_not_kept"], gateway)
            why = status(tmp_path / "state")["trust"]["floors_not_kept"]
            assert "trust.json: cannot be written" in why
            shown = jvpn("status", "--config", place.config)
            assert f"jvpn: documents are not used, because it could not be kept that they were seen: {why}\n" in shown.err
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: status(tmp_path / "state")["trust"]["floors_not_kept"] is None, gateway)
        gateway.end(signal.SIGTERM)
