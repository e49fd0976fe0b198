"""Clients that read signed documents, and devices whose keys have a time: gateway, client and documents as real processes and files."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from audit.verify import verify as verify_log
from core import limits
from jvpn.shell.clock import wall
from jvpn.shell.control import ask
from jvpn.shell.errors import Unavailable
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_doctor import checks
from tests.jvpn.cli.test_rotation import enrolled, sessions
from tests.jvpn.cli.test_serving import free_port, state
from tests.jvpn.cli.test_trust import events, renew

NODE = "0011223344556677"
TRUST = '[trust]\ndir = "{dir}"\nroot = "{digest}"\n'


def status(folder: Path) -> dict[str, Any]:
    """Return what a service says; nothing while it does not answer."""
    try:
        return ask(folder / "control.sock", {"order": "status"})
    except Unavailable:
        return {}


def trust(key: str, refusal: str | None) -> dict[str, str | None]:
    """Return what the status of a client says of its documents, which it can keep."""
    return {"gateway_key": key, "nobody_new_because": refusal, "floors_not_kept": None}


def own(folder: Path) -> dict[str, str]:
    """Return the states of the gateway's own keys."""
    return dict(status(folder / "g")["keys"]["gateway"])


class Place:
    """A gateway, the keys of a ceremony, and the directory of documents that everybody reads."""

    def __init__(self, jvpn: Jvpn, folder: Path) -> None:
        self.jvpn, self.folder, self.trust, self.port = jvpn, folder, folder / "trust", free_port()
        self.config = gateway_files(folder, jvpn, f'listen.udp = ["127.0.0.1:{self.port}"]\nlisten.tcp = ["127.0.0.1:{self.port}"]\n')
        self.config.write_text(self.config.read_text().replace('node = "gw-1"', f'node = "{NODE}"'))
        self.digest = jvpn("keys", "root", "--out", self.trust, "--json").json["digest"]
        self.version = 0

    def trusting(self, config: Path) -> Path:
        """Let a service read the documents."""
        config.write_text(config.read_text() + TRUST.format(dir=self.trust, digest=self.digest))
        return config

    def device(self, name: str) -> Path:
        """Enrol a device whose client reads the documents; return its configuration."""
        return self.trusting(enrolled(self.jvpn, self.folder, self.config, name))

    def key(self) -> str:
        """Return the newest public key of the gateway."""
        return str(json.loads((self.folder / "gateway.key").read_text())["public"])

    def keyset(self, **keys: tuple[int, int]) -> None:
        """Sign a keyset with these keys, each from so many seconds to so many after now."""
        now, self.version = wall() // limits.SECOND, self.version + 1
        gateways = [
            {"node": NODE, "public": public, "not_before": now + since, "not_after": now + to} for public, (since, to) in keys.items()
        ]
        fields = {"role": "keyset", "version": self.version, "created": now, "expires": now + 90 * 86_400, "gateways": gateways}
        plain = self.folder / "keyset.json"
        plain.write_text(json.dumps(fields))
        assert (
            self.jvpn("keys", "sign", "keyset", plain, "--key", self.trust / "keyset.key", "--out", self.trust / "keyset.signed").status
            == 0
        )

    def forgets_revocations(self) -> None:
        """Give the revocations another key by a second root, so that no list counts until that key signs one [K-29]."""
        jvpn, first = self.jvpn, self.jvpn("keys", "verify", self.trust / "root.1.signed", "--json").json
        other = jvpn("keys", "root", "--out", self.folder / "other", "--json").json["root"]
        roles = jvpn("keys", "verify", other, "--json").json["roles"]
        fields = {name: first[name] for name in ("role", "created", "expires")} | {"version": 2}
        plain = self.folder / "root.json"
        plain.write_text(json.dumps(fields | {"roles": first["roles"] | {"revocations": roles["revocations"]}}))
        signers = [word for name in ("root-a", "root-b") for word in ("--key", self.trust / f"{name}.key")]
        assert jvpn("keys", "sign", "root", plain, *signers, "--out", self.trust / "root.2.signed").status == 0


@pytest.fixture
def place(jvpn: Jvpn, tmp_path: Path) -> Place:
    """Return a gateway and its documents: a root, and no more."""
    return Place(jvpn, tmp_path)


def reload(*processes: Process) -> None:
    """Let services read again at once what they read each half minute."""
    for each in processes:
        each.process.send_signal(signal.SIGHUP)


def test_a_client_begins_under_vouched_keys_alone_and_ends_with_them(place: Place) -> None:
    """[K-39] [K-40] A stolen key of a gateway is good for every client that does not hear of it, and nobody can tell from the history."""
    jvpn, folder = place.jvpn, place.folder
    client, home = place.device("laptop"), folder / "laptop"
    with Process("gateway", "--config", place.config) as gateway, Process("client", "--config", client) as process:
        until(lambda: status(home / "state"), process)
        told = status(home / "state")
        assert (told["state"], told["trust"]) == ("IDLE", trust("PRE_ACTIVE", "REVOCATIONS_STALE"))
        said = jvpn("keys", "status", "--config", client, "--json")
        assert (said.status, said.json["nobody_new_because"]) == (1, "REVOCATIONS_STALE")
        doctor = checks(jvpn, "--config", client)["signed documents"]
        none = "none (DOCUMENT_MISSING)"
        assert (doctor["state"], doctor["found"]) == ("missing", f"REVOCATIONS_STALE: root 1, keyset {none}, revocations {none}")
        checked = jvpn("client", "--config", client, "--check")
        assert (checked.status, checked.out) == (1, ""), "the service would start, and wait"
        assert checked.err == f"jvpn: {client}: starts, and begins nothing: {doctor['found']}\n"
        renew(jvpn, place.trust)
        reload(process)
        until(lambda: status(home / "state")["trust"]["nobody_new_because"] == "KEY_OUTDATED", process)
        place.keyset(**{place.key(): (-60, 3_600)})
        reload(process)
        until(lambda: state(home / "state") == "ATTACHED", process)
        assert status(home / "state")["trust"] == trust("ACTIVE", None)
        assert jvpn("keys", "status", "--config", client).status == 0
        assert jvpn("client", "--config", client, "--check").out.startswith(f"{client}: good\n")
        assert checks(jvpn, "--config", client)["signed documents"]["found"] == "root 1, keyset 1, revocations 1"
        renew(jvpn, place.trust, place.key(), "--kind", "gateway")
        reload(process)
        until(lambda: state(home / "state") == "CLOSED", process)
        until(lambda: not sessions(folder), gateway)
        assert status(home / "state")["trust"] == trust("COMPROMISED", "KEY_REVOKED")
        assert [each.end(signal.SIGTERM).status for each in (process, gateway)] == [0, 0]
    recorded = events(home / "state" / "audit")
    assert recorded.count(("CLIENT_ENDED", "KEY_REVOKED")) == 1
    assert recorded.count(("CLIENT_CHANGED", "CONNECT_ORDERED")) == 1
    assert {("KEY_CHANGED", "KEY_VALID"), ("KEY_CHANGED", "KEY_REVOKED"), ("DOCUMENT_JUDGED", "REVOCATIONS_STALE")} <= set(recorded)
    assert {verify_log(log).verdict.name for log in (home / "state" / "audit", folder / "g" / "audit")} == {"VERIFIED"}


def test_stale_documents_stop_handshakes_and_no_live_session(place: Place) -> None:
    """[K-39] A list that is late ends what works, or a new session is made although nothing fresh says that the gateway is who it was."""
    jvpn, folder = place.jvpn, place.folder
    client, home = place.device("laptop"), folder / "laptop"
    renew(jvpn, place.trust)
    place.keyset(**{place.key(): (-60, 3_600)})
    with Process("gateway", "--config", place.config) as gateway, Process("client", "--config", client) as process:
        until(lambda: state(home / "state") == "ATTACHED", process)
        place.forgets_revocations()
        with Process("client", "--config", place.device("second")) as second:
            until(lambda: status(folder / "second" / "state"), second)
            assert state(folder / "second" / "state") == "IDLE"
            reload(process)
            until(lambda: status(home / "state")["trust"]["nobody_new_because"] == "REVOCATIONS_STALE", process)
            assert state(home / "state") == "ATTACHED"
            (session,) = sessions(folder)
            assert jvpn("close", session["correlation_id"], "--config", place.config).status == 0
            until(lambda: state(home / "state") != "ATTACHED", process)
            assert second.end(signal.SIGTERM).status == 0
        assert [each.end(signal.SIGTERM).status for each in (process, gateway)] == [0, 0]
    assert ("CLIENT_CHANGED", "CONNECT_ORDERED") not in events(folder / "second" / "state" / "audit")
    assert events(home / "state" / "audit").count(("CLIENT_CHANGED", "CONNECT_ORDERED")) == 1
    assert ("CLIENT_ENDED", "CLOSED_BY_PEER") in events(home / "state" / "audit")


def rotated(place: Place) -> tuple[str, str]:
    """Rotate the gateway's key in its file; return the old public key and the new one."""
    old = place.key()
    assert place.jvpn("keygen", "rotate", "--file", place.folder / "gateway.key", "--static").status == 0
    return old, place.key()


def test_a_planned_rotation_by_the_keyset_loses_no_session(place: Place) -> None:
    """[K-33] [K-44] [K-45] A rotation ends sessions, leaves a moment in which nobody comes in, or needs a hand at each client."""
    jvpn, folder = place.jvpn, place.folder
    place.trusting(place.config)
    renew(jvpn, place.trust)
    place.keyset(**{place.key(): (-60, 7_200)})
    clients = {name: place.device(name) for name in ("first", "second")}

    def key_of(name: str) -> str:
        return str(status(folder / name / "state")["trust"]["gateway_key"])

    with Process("gateway", "--config", place.config) as gateway, Process("client", "--config", clients["first"]) as one:
        until(lambda: state(folder / "first" / "state") == "ATTACHED", one)
        (before,) = sessions(folder)
        old_key, new_key = rotated(place)
        reload(gateway)
        until(lambda: own(folder) == {old_key: "ACTIVE", new_key: "PRE_ACTIVE"}, gateway)
        place.keyset(**{old_key: (-60, 7_200), new_key: (-30, 7_200)})
        reload(gateway, one)
        until(lambda: own(folder) == {old_key: "RETIRING", new_key: "ACTIVE"}, gateway)
        until(lambda: key_of("first") == "RETIRING", one)
        with Process("client", "--config", clients["second"]) as two:
            until(lambda: state(folder / "second" / "state") == "ATTACHED", two)
            assert key_of("second") == "ACTIVE", "it was configured with the old key, and began under the successor"
            assert before["correlation_id"] in {each["correlation_id"] for each in sessions(folder)}
            assert (state(folder / "first" / "state"), key_of("first")) == ("ATTACHED", "RETIRING")
            assert jvpn("close", before["correlation_id"], "--config", place.config).status == 0  # as its lifetime does, hours later
            until(lambda: key_of("first") == "ACTIVE" and state(folder / "first" / "state") == "ATTACHED", one)
            kept = {each["correlation_id"] for each in sessions(folder)}
            assert jvpn("keygen", "rotate", "--file", folder / "gateway.key", "--drop", "--yes").status == 0
            place.keyset(**{new_key: (-30, 7_200)})
            reload(gateway, one, two)
            until(lambda: own(folder) == {new_key: "ACTIVE"}, gateway)
            until(lambda: ("KEY_CHANGED", "KEY_WITHDRAWN") in events(folder / "first" / "state" / "audit"), one)
            assert {each["correlation_id"] for each in sessions(folder)} == kept
            assert [state(folder / name / "state") for name in clients] == ["ATTACHED", "ATTACHED"]
            assert [each.end(signal.SIGTERM).status for each in (two, one, gateway)] == [0, 0, 0]
    assert all(old_key in path.read_text() for path in clients.values()), "nobody edited a configuration"
    ended = [reason for event, reason in events(folder / "g" / "audit") if event == "SESSION_ENDED"]
    assert sorted(ended) == ["CLOSED_BY_OPERATOR", "CLOSED_BY_PEER", "CLOSED_BY_PEER"]
    changes = [reason for event, reason in events(folder / "first" / "state" / "audit") if event == "KEY_CHANGED"]
    assert ("CLIENT_ENDED", "HANDSHAKE_UNANSWERED") not in [each for name in clients for each in events(folder / name / "state" / "audit")]
    assert changes == ["KEY_VALID", "KEY_LISTED", "KEY_SUCCEEDED", "KEY_VALID", "KEY_WITHDRAWN"]
    assert {verify_log(log).verdict.name for log in folder.glob("**/audit")} == {"VERIFIED"}


def test_a_client_comes_back_under_the_successor(place: Place) -> None:
    """[K-40] [K-45] A client that kept its session under the old key to the end stays out until somebody goes to it."""
    jvpn, folder = place.jvpn, place.folder
    renew(jvpn, place.trust)
    place.keyset(**{place.key(): (-60, 7_200)})
    client, home = place.device("laptop"), folder / "laptop"
    with Process("gateway", "--config", place.config) as gateway:
        with Process("client", "--config", client) as process:
            until(lambda: state(home / "state") == "ATTACHED", process)
            (before,) = sessions(folder)
            _, new_key = rotated(place)
            reload(gateway)
            place.keyset(**{new_key: (-30, 7_200)})
            reload(process)
            until(lambda: state(home / "state") == "ATTACHED" and status(home / "state")["trust"]["gateway_key"] == "ACTIVE", process)
            until(lambda: [each["correlation_id"] for each in sessions(folder)] not in ([], [before["correlation_id"]]), gateway)
            assert process.end(signal.SIGTERM).status == 0
        with Process("client", "--config", client) as process:
            until(lambda: state(home / "state") == "ATTACHED", process)
            assert process.end(signal.SIGTERM).status == 0
        assert jvpn("keys", "status", "--config", client).status == 0
        client.write_text("".join(line for line in client.read_text().splitlines(keepends=True) if NODE not in line))
        assert jvpn("keys", "status", "--config", client, "--json").json["nobody_new_because"] == "KEY_OUTDATED"
        assert checks(jvpn, "--config", client)["signed documents"]["state"] == "missing"
        with Process("client", "--config", client) as process:
            until(lambda: status(home / "state"), process)
            assert status(home / "state")["trust"] == trust("PRE_ACTIVE", "KEY_OUTDATED")
            assert process.end(signal.SIGTERM).status == 0
        assert gateway.end(signal.SIGTERM).status == 0
    recorded = events(home / "state" / "audit")
    assert recorded.count(("CLIENT_ENDED", "KEY_OUTDATED")) == 1
    assert recorded.index(("KEY_CHANGED", "KEY_LISTED")) < recorded.index(("CLIENT_ENDED", "KEY_OUTDATED"))
    assert verify_log(home / "state" / "audit").verdict.name == "VERIFIED"


def test_a_device_whose_time_is_over_goes(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-41] A guest whose month is over stays in, in the store too, or leaves without its own reason."""
    port = free_port()
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{port}"]\nlisten.tcp = ["127.0.0.1:{port}"]\n')
    assert jvpn("enroll", "guest", "--gateway-config", config, "--out", tmp_path / "guest", "--days", 30).status == 0
    client = tmp_path / "guest" / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    with Process("gateway", "--config", config) as gateway, Process("client", "--config", client) as process:
        until(lambda: state(tmp_path / "guest" / "state") == "ATTACHED", process)
        listed = tmp_path / "devices.json"
        fields = json.loads(listed.read_text())
        fields["devices"][0]["valid_until"] = wall() // limits.SECOND - 1
        listed.write_text(json.dumps(fields))
        reload(gateway)
        until(lambda: not sessions(tmp_path), gateway)
        assert status(tmp_path / "g")["keys"]["devices"] == {"DEACTIVATED": 1}
        assert [each.end(signal.SIGTERM).status for each in (process, gateway)] == [0, 0]
    recorded = events(tmp_path / "g" / "audit")
    assert recorded.count(("SESSION_ENDED", "KEY_OUTDATED")) == 1
    assert recorded.count(("KEY_CHANGED", "KEY_OUTDATED")) == 1
    assert ("CLIENT_ENDED", "CLOSED_BY_PEER") in events(tmp_path / "guest" / "state" / "audit")
    assert verify_log(tmp_path / "g" / "audit").verdict.name == "VERIFIED"
