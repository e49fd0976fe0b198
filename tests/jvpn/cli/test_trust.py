"""`jvpn keys`: documents are made, signed, revoked and judged; what is wrong is told by file and reason; what changes is recorded."""

import hashlib
import json
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.verify import verify as verify_log
from jvpn.shell.control import ask
from jvpn.shell.forms import key_text
from tests.jvpn.cli.calling import Jvpn, Process, until
from tests.jvpn.cli.test_serving import free_port, state
from tests.jvpn.keys import making


def events(log: Path) -> list[tuple[str, str]]:
    """Return type and reason of what a log says, without what the writer says of the log itself."""
    lines = [json.loads(line)["event"] for path in sorted(log.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [(each["event_type"], each["reason_code"]) for each in lines if each["event_class"] != "integrity"]


@pytest.fixture
def made(jvpn: Jvpn, tmp_path: Path) -> Path:
    """Make a root and a first list of revocations; return the folder."""
    assert jvpn("keys", "root", "--out", tmp_path / "trust").status == 0
    assert renew(jvpn, tmp_path / "trust")["version"] == 1
    return tmp_path / "trust"


def renew(jvpn: Jvpn, folder: Path, *words: object) -> dict[str, Any]:
    """Revoke keys, or none."""
    return dict(jvpn("keys", "revoke", *words, "--dir", folder, "--key", folder / "revocations.key", "--json").json)


def test_the_first_steps(jvpn: Jvpn, made: Path) -> None:
    """Who follows the guide has keys that others can read, a root that does not verify, or a list that shuts everybody out."""
    assert {path.name for path in made.iterdir()} == {
        "root-a.key", "root-b.key", "root-c.key", "keyset.key", "revocations.key", "root.1.signed", "revocations.signed",
    }  # fmt: skip
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.glob("*.key"))
    root = jvpn("keys", "verify", made / "root.1.signed", "--json").json
    assert (root["accepted"], root["role"], root["version"], root["pinned"]) == (True, "root", 1, False)
    found = jvpn("keys", "verify", made / "revocations.signed", "--pin", root["digest"], "--json")
    assert found.status == 0
    assert (found.json["accepted"], found.json["pinned"], found.json["revoked"]) == (True, True, [])
    assert found.json["expires"] - found.json["created"] == 86_400


@pytest.mark.parametrize("signer", ["nobody", "keyset", "mine"])
def test_a_list_that_nobody_vouches_for_is_not_signed_anew(jvpn: Jvpn, made: Path, signer: str) -> None:
    """[K-22] Who can write to the directory has the operator's daily renewal sign their list: a revoked device is in again, for good."""
    renew(jvpn, made, key_text(making.static("lost")), "--reason", "lost")
    fields = making.revocations(2**53 - 1) | {"revoked": []}
    forged = making.document("revocations", making.body(fields), *(() if signer == "nobody" else (signer,)))
    if signer == "nobody":
        forged += f"{key_text(bytes(32))} {key_text(bytes(64))}\n"
    (made / "revocations.signed").write_text(forged)
    said = jvpn("keys", "revoke", "--dir", made, "--key", made / "revocations.key")
    assert (said.status, (made / "revocations.signed").read_text()) == (2, forged)
    assert "DOCUMENT_UNSIGNED: not a list that the newest root" in said.err


def test_names_that_only_look_like_roots_are_passed_over(jvpn: Jvpn, made: Path) -> None:
    """A stray file beside the roots stops the renewal of the list, and everybody is out a day later; or ends in an internal error."""
    for stray in ("root.x.signed", "root.03.signed", "root.signed.signed"):
        (made / stray).write_bytes(b"")
    assert renew(jvpn, made)["version"] == 2
    assert jvpn("keys", "verify", made / "revocations.signed").status == 0
    (made / "foo").write_bytes((made / "root.1.signed").read_bytes())
    assert jvpn("keys", "verify", made / "foo").status == 0


def test_a_revoked_key_stays_on_the_list(jvpn: Jvpn, made: Path) -> None:
    """[K-31] Renewing the list lets a revoked device in again, or a version is given out twice."""
    lost, old = key_text(making.static("lost")), key_text(making.static("old"))
    assert renew(jvpn, made, lost, "--reason", "lost")["revoked"] == 1
    assert renew(jvpn, made, old, "--kind", "gateway", "--reason", "retired")["version"] == 3
    told = renew(jvpn, made)
    assert (told["version"], told["revoked"]) == (4, 2)
    found = jvpn("keys", "verify", made / "revocations.signed", "--json").json["revoked"]
    assert [(each["kind"], each["reason"]) for each in found] == [("device", "lost"), ("gateway", "retired")]


def spoil_signature(folder: Path) -> None:
    """Change one letter of the payload."""
    path = folder / "revocations.signed"
    lines = path.read_text().split("\n")
    lines[1] = lines[1].replace("A", "B", 1)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_signature, "DOCUMENT_BAD_SIGNATURE"),
        (lambda folder: (folder / "revocations.signed").write_text("{}"), "DOCUMENT_MALFORMED"),
        (lambda folder: (folder / "revocations.signed").write_bytes(bytes(2_000_000)), "DOCUMENT_TOO_LARGE"),
        (lambda folder: (folder / "root.1.signed").unlink(), "DOCUMENT_MISSING"),
        (lambda folder: (folder / "root.1.signed").write_text(making.ROOT), "DOCUMENT_FROM_FUTURE"),
    ],
)
def test_verify_says_why(jvpn: Jvpn, made: Path, spoil: Callable[[Path], object], reason: str) -> None:
    """[K-26] A script takes a refused document for accepted, or shows what nobody vouches for."""
    spoil(made)
    said = jvpn("keys", "verify", made / "revocations.signed", "--json")
    assert said.status == 1
    assert (said.json["accepted"], said.json["reason"]) == (False, reason)
    assert "revoked" not in said.json
    assert reason in jvpn("keys", "verify", made / "revocations.signed").out


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("revocations.signed", "signatures: found 0 by 0 keys, allowed 1 to 16, no key twice"),
        ("root.1.signed", "line 2: found no payload in base64"),
    ],
)
def test_verify_says_what_is_malformed(jvpn: Jvpn, made: Path, name: str, what: str) -> None:
    """An operator has "malformed" in a file of a megabyte, or looks for it in the wrong one of four."""
    lines = (made / name).read_text().split("\n")
    (made / name).write_text("\n".join([*lines[:2], ""]) if name == "revocations.signed" else "\n".join([lines[0], "?", *lines[2:]]))
    said = jvpn("keys", "verify", made / "revocations.signed", "--json")
    assert said.status == 1
    assert (said.json["reason"], said.json["malformed"], said.json["refused"]) == ("DOCUMENT_MALFORMED", what, str(made / name))
    shown = jvpn("keys", "verify", made / "revocations.signed").out
    assert what in shown
    assert str(made / name) in shown


def test_verify_shows_what_a_document_says(jvpn: Jvpn, made: Path, tmp_path: Path) -> None:
    """An operator accepts a keyset by its version, and does not see whose keys and times are in it."""
    key, now, lost = key_text(making.static("new")), int(time.time()), making.static("lost")
    plain = tmp_path / "keyset.json"
    entry = {"node": "0011223344556677", "public": key, "not_before": 1_800_000_000, "not_after": 2**53 - 1}
    plain.write_text(json.dumps({"role": "keyset", "version": 1, "created": now, "expires": now + 9_999, "gateways": [entry]}))
    assert jvpn("keys", "sign", "keyset", plain, "--key", made / "keyset.key", "--out", made / "keyset.signed").status == 0
    shown = jvpn("keys", "verify", made / "keyset.signed").out
    (row,) = [line for line in shown.splitlines() if "0011223344556677" in line]
    assert row.split() == ["0011223344556677", key, "2027-01-15", "08:00Z", "9999-12-31", "23:59Z"]
    renew(jvpn, made, key_text(lost), "--reason", "lost")
    shown = jvpn("keys", "verify", made / "revocations.signed").out
    (row,) = [line for line in shown.splitlines() if hashlib.sha256(lost).hexdigest() in line]
    assert (row.split()[1], row.split()[-1]) == ("device", "lost")
    shown = jvpn("keys", "verify", made / "root.1.signed").out
    public = json.loads((made / "root-c.key").read_text())["public"]
    assert [line.split() for line in shown.splitlines() if public in line] == [["root", "2", "of", "3", public]]


def test_verify_with_another_pin(jvpn: Jvpn, made: Path) -> None:
    """[K-27] A forged root is accepted by who gave the pin."""
    said = jvpn("keys", "verify", made / "revocations.signed", "--pin", "00" * 32, "--json")
    assert (said.status, said.json["reason"]) == (1, "ROOT_NOT_PINNED")


@pytest.mark.parametrize("pin", ["xyz", "00", "", "0" * 63, "00" * 33])
def test_a_pin_that_is_no_digest_is_refused(jvpn: Jvpn, made: Path, pin: str) -> None:
    """[K-27] A variable that a script forgot to set is no pin, and any root is the right one; or half a digest is compared with a whole."""
    said = jvpn("keys", "verify", made / "root.1.signed", "--pin", pin)
    assert (said.status, said.out) == (2, "")
    assert said.err == f'jvpn: --pin: found "{pin}", allowed 64 hex digits in lower case\n'


def test_a_new_root_is_signed_by_two(jvpn: Jvpn, made: Path, tmp_path: Path) -> None:
    """[K-27] A root cannot be followed by another, or one keeper alone can make it."""
    first = jvpn("keys", "verify", made / "root.1.signed", "--json").json
    fields = {name: first[name] for name in ("role", "created", "expires", "roles")} | {"version": 2}
    plain, signed = tmp_path / "root.json", made / "root.2.signed"
    plain.write_text(json.dumps(fields))
    assert jvpn("keys", "sign", "root", plain, "--key", made / "root-b.key", "--out", signed, "--json").json["signatures"] == 1
    assert jvpn("keys", "verify", signed, "--json").json["reason"] == "DOCUMENT_UNSIGNED"
    assert jvpn("keys", "sign", "root", signed, "--key", made / "root-c.key", "--out", signed, "--json").json["signatures"] == 2
    assert jvpn("keys", "verify", signed).status == 0
    assert jvpn("keys", "verify", made / "revocations.signed").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["revoke", "abc", "--dir", ".", "--key", "revocations.key"], 'PUBLIC: found "abc", allowed a public key in base64'),
        (["revoke", "--dir", ".", "--key", "keyset.key"], "does not sign for the role revocations: sign with a key that the newest root"),
        (["revoke", "--dir", ".", "--key", "root.1.signed"], "root.1.signed: found mode 0644, allowed 0600"),
        (["revoke", key_text(bytes(32)), "--dir", ".", "--key", "revocations.key", "--kind", "cat"], "--kind, --reason: allowed device"),
        (["sign", "keyset", "absent", "--key", "keyset.key", "--out", "x"], "absent: cannot be read"),
        (["sign", "keyset", "root.1.signed", "--key", "keyset.key", "--out", "x"], "root.1.signed: DOCUMENT_ROLE_WRONG"),
        (["sign", "keyset", "keyset.key", "--key", "keyset.key", "--out", "x"], "keyset.key: DOCUMENT_MALFORMED"),
        (["verify", "absent"], "absent: cannot be read"),
        (["destroy", "keyset.key"], "--yes: missing"),
        (["root", "--out", "."], "root-a.key: is there already"),
    ],
)
def test_what_is_wrong_is_named(jvpn: Jvpn, made: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    """A keeper of keys would have to guess, or a wrong key would make a list that every gateway refuses."""
    monkeypatch.chdir(made)
    before = (made / "revocations.signed").read_bytes()
    done = jvpn("keys", *words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert (made / "revocations.signed").read_bytes() == before


def test_every_change_is_recorded(jvpn: Jvpn, tmp_path: Path) -> None:
    """Keys are made, revoked and destroyed, and the history has nothing of it, or does not verify."""
    folder, log = tmp_path / "trust", tmp_path / "history" / "audit"
    assert jvpn("keys", "root", "--out", folder, "--audit", log).status == 0
    renew(jvpn, folder, key_text(making.static("lost")), "--audit", log)
    assert jvpn("keys", "destroy", folder / "keyset.key", "--yes", "--audit", log).status == 0
    assert events(log) == [
        *[("KEY_CHANGED", "KEY_GENERATED")] * 5, ("DOCUMENT_JUDGED", "DOCUMENT_ACCEPTED"), ("KEY_CHANGED", "KEY_REVOKED"),
        ("DOCUMENT_JUDGED", "DOCUMENT_ACCEPTED"), ("KEY_CHANGED", "KEY_DESTROYED"),
    ]  # fmt: skip
    assert verify_log(log).verdict.name == "VERIFIED"
    assert not (folder / "keyset.key").exists()


def test_no_secret_is_shown(jvpn: Jvpn, made: Path) -> None:
    """A private key stands in a terminal's history or in a log of a script."""
    for path in made.glob("*.key"):
        assert json.loads(path.read_text())["private"] not in jvpn.everything


GATEWAY = """node = "gw-1"
key = "gateway.key"
devices = "devices.json"
state = "state"
[listen]
udp = ["127.0.0.1:{port}"]
[tun]
kind = "pump"
[trust]
dir = "trust"
root = "{digest}"
"""


def test_a_session_ends_with_its_key_and_an_old_list_does_not_bring_it_back(jvpn: Jvpn, made: Path, tmp_path: Path) -> None:
    """[K-30] [K-32] [K-34] A gateway that runs does not use the documents, forgets what it saw, or leaves no record of it."""
    digest, config = jvpn("keys", "verify", made / "root.1.signed", "--json").json["digest"], tmp_path / "gateway.toml"
    config.write_text(GATEWAY.format(digest=digest, port=free_port()))
    assert jvpn("keygen", "gateway", "--out", tmp_path / "gateway.key").status == 0
    assert jvpn("enroll", "laptop", "--gateway-config", config, "--out", tmp_path / "laptop", "--endpoint", "127.0.0.1").status == 0
    assert jvpn("keys", "status", "--config", config).status == 0
    (device,) = json.loads((tmp_path / "devices.json").read_text())["devices"]
    client = tmp_path / "laptop" / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    with Process("gateway", "--config", config) as process, Process("client", "--config", client) as other:
        until(lambda: state(tmp_path / "laptop" / "state") == "ATTACHED", other)
        told = ask(tmp_path / "state" / "control.sock", {"order": "status"})["trust"]
        assert told == {"floors_not_kept": None, "nobody_new_because": None}
        first = (made / "revocations.signed").read_bytes()
        renew(jvpn, made, device["public"])
        process.process.send_signal(signal.SIGHUP)
        until(lambda: not ask(tmp_path / "state" / "control.sock", {"order": "status"})["sessions"], process)
        (made / "revocations.signed").write_bytes(first)
        assert [each.end(signal.SIGTERM).status for each in (other, process)] == [0, 0]
    said = jvpn("keys", "status", "--config", config, "--json")
    assert said.status == 1
    assert said.json["documents"]["revocations"] == "DOCUMENT_ROLLED_BACK"
    assert said.json["nobody_new_because"] == "REVOCATIONS_STALE"
    recorded = events(tmp_path / "state" / "audit")
    assert {("KEY_CHANGED", "KEY_REVOKED"), ("DOCUMENT_JUDGED", "DOCUMENT_ACCEPTED"), ("SESSION_ENDED", "KEY_REVOKED")} <= set(recorded)
    assert verify_log(tmp_path / "state" / "audit").verdict.name == "VERIFIED"
