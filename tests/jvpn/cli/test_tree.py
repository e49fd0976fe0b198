"""Publishing, proving, checking on the command line; and a witness, from its key to its list."""

import json
import shutil
from pathlib import Path

import pytest

from audit.files import COSIGNED, create_key
from audit.tlog import epochs
from audit.tlog.note import LOG, Verifier
from audit.tlog.witness import States, Witness
from tests.audit.made import events_of
from tests.audit.tlog.test_sealing import sealed_log
from tests.audit.tlog.test_witness import FORKED, HONEST, KEY, NOW, ORIGIN, W
from tests.jvpn.cli.calling import Jvpn
from tests.observability.test_cosigning import go_on
from tests.observability.witnesses import running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of several epochs."""
    return sealed_log(tmp_path / "log")


def kept_policy(jvpn: Jvpn, log: Path, *words: object) -> Path:
    """The policy that `audit policy` makes, as the auditor keeps it."""
    path = log.parent / "policy"
    said = jvpn("audit", "policy", log, *words)
    assert said.status == 0
    path.write_text(said.out, encoding="utf-8")
    return path


def test_from_a_log_to_a_proof_for_a_stranger(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """[A-68] [A-69] [A-70] An operator could not hand one event to an auditor who trusts nobody but the witness."""
    bare = kept_policy(jvpn, log)
    with running(tmp_path, log) as witness:
        policy = kept_policy(jvpn, log, "--witness", f"{witness.vkey}={witness.url}")
        told = jvpn("audit", "publish", log, "--out", tmp_path / "tree", "--policy", policy, "--json").json
        assert (told["size"], told["signatures"]) == (len(events_of(log)), 3)
        assert jvpn("witness", "status", "--state", witness.state, "--json").json["latest"][0]["size"] == told["size"]
    assert jvpn("audit", "verify", log, "--policy", policy).status == 0
    proof = tmp_path / "7.tlog-proof"
    assert jvpn("audit", "prove", tmp_path / "tree", 7, "--log", log, "--out", proof).status == 0
    shutil.rmtree(log)
    shutil.rmtree(tmp_path / "tree")
    said = jvpn("audit", "check", proof, "--policy", policy)
    assert (said.status, "PROVEN: event 7 of" in said.out, "cosigned by w1" in said.out) == (0, True, True)
    told = jvpn("audit", "check", proof, "--policy", bare, "--json").json
    assert (told["verdict"], told["event"]["seq"]) == ("VERIFIED", 7)


def test_a_proof_without_its_event_wants_the_hash(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A proof of nothing in particular would be shown as one."""
    policy, proof = kept_policy(jvpn, log), tmp_path / "p"
    assert jvpn("audit", "publish", log, "--out", tmp_path / "tree").status == 0
    assert jvpn("audit", "prove", tmp_path / "tree", 7, "--out", proof).status == 0
    assert jvpn("audit", "check", proof, "--policy", policy).status == 2
    assert jvpn("audit", "check", proof, "--policy", policy, "--hash", "7").status == 2
    told = json.loads(next(iter(jvpn("audit", "show", log, "--from", 7, "--to", 7, "--json").out.splitlines())))["hash"]
    assert jvpn("audit", "check", proof, "--policy", policy, "--hash", told).status == 0
    said = jvpn("audit", "check", proof, "--policy", policy, "--hash", "00" * 32)
    assert (said.status, "NOT PROVEN" in said.out) == (17, True)


def test_statuses_say_what_is_wrong(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A script would take a forged proof for an unreadable one, or a lack of witnesses for a forgery."""
    policy, proof = kept_policy(jvpn, log), tmp_path / "p"
    assert jvpn("audit", "publish", log, "--out", tmp_path / "tree").status == 0
    assert jvpn("audit", "prove", tmp_path / "tree", 3, "--log", log, "--out", proof).status == 0
    assert jvpn("audit", "prove", tmp_path / "tree", 3, "--out", proof).status == 2, "nothing is overwritten"
    raw = proof.read_bytes()
    for changed, status in ((raw[:40], 10), (raw.replace(b"index 3", b"index 4"), 17), (raw.replace(b"extra eyJ", b"extra eyI"), 11)):
        proof.write_bytes(changed)
        assert jvpn("audit", "check", proof, "--policy", policy, "--json").json["exit_status"] == status
    proof.write_bytes(raw)
    with running(tmp_path, log) as witness:
        asks = kept_policy(jvpn, log, "--witness", f"{witness.vkey}={witness.url}")
    assert jvpn("audit", "check", proof, "--policy", asks).status == 18
    said = jvpn("audit", "publish", log, "--out", tmp_path / "tree", "--policy", asks)
    assert (said.status, "no quorum" in said.err, "still stands" in said.err) == (1, True, True)
    assert jvpn("audit", "prove", tmp_path / "tree", 999, "--out", tmp_path / "q").status == 1
    assert jvpn("audit", "prove", log / "nothing", 0, "--out", tmp_path / "q").status == 1
    assert jvpn("audit", "publish", tmp_path / "absent", "--out", tmp_path / "tree").status == 1
    assert jvpn("audit", "policy", log, "--witness", "w+00000000+AAAA").status == 2


def test_a_checkpoint_that_was_kept_is_gone_on_from(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """[A-67] Whoever has no witness but has kept a checkpoint could not tell that the log was put back."""
    older, first = shutil.copytree(log, tmp_path / "older"), shutil.copy(log / "checkpoint", tmp_path / "first")
    go_on(log, 40)
    kept = shutil.copy(log / "checkpoint", tmp_path / "kept")
    assert jvpn("audit", "verify", log, "--known", kept).status == 0
    assert jvpn("audit", "verify", log, "--known", first).status == 0
    assert jvpn("audit", "verify", older, "--known", kept).status == 14
    create_key(epochs.key_path(tmp_path / "other" / "log"), epochs.fresh(b"another key of thirty-two bytes!"))
    other = sealed_log(tmp_path / "other" / "log")
    assert jvpn("audit", "verify", other, "--known", first).status == 17
    assert jvpn("audit", "verify", other, "--known", tmp_path / "nothing").status == 2
    assert jvpn("audit", "verify", min(other.glob("audit-*.jsonl")), "--known", kept).status == 2
    assert jvpn("audit", "verify", other, "--fresh", 60).status == 2
    policy = tmp_path / "policy"
    policy.write_text(jvpn("audit", "policy", other).out)
    assert jvpn("audit", "verify", other, "--policy", policy).status == 0
    nobody = jvpn("audit", "verify", other, "--policy", policy, "--fresh", 60)
    assert (nobody.status, "asks for no witness" in nobody.err) == (2, True), "a cosignature of the last minute would be said to be there"


def test_a_later_run_goes_on_where_the_last_one_ended(jvpn: Jvpn, tmp_path: Path) -> None:
    """[A-72] A log of a year would be read from its first event each day; or what was changed since the last run be passed over."""
    log, state = sealed_log(tmp_path / "log", segment_bytes=3_000), tmp_path / "state"
    kept = shutil.copytree(log, tmp_path / "kept")
    assert jvpn("audit", "verify", log, "--state", state).status == 0
    assert state.read_bytes() == (log / "checkpoint").read_bytes()
    go_on(log, 40)
    whole, rest = jvpn("audit", "verify", log, "--json").json, jvpn("audit", "verify", log, "--state", state, "--json").json
    assert (rest["verdict"], rest["head"], rest["sealed"]) == ("VERIFIED", whole["head"], whole["sealed"])
    assert 0 < rest["first_seq"] < whole["events"] - rest["events"] + 1
    newest = state.read_bytes()
    assert newest == (log / "checkpoint").read_bytes()
    assert jvpn("audit", "verify", log, "--state", state).status == 0, "with nothing new"
    assert jvpn("audit", "verify", kept, "--state", state).status == 14
    last = max(log.glob("audit-*.jsonl"))
    last.write_bytes(last.read_bytes().replace(b"gateway", b"gatewaz", 1))
    assert jvpn("audit", "verify", log, "--state", state).status == 11
    assert state.read_bytes() == newest, "what was kept stays"
    state.write_bytes(b"garbage")
    assert jvpn("audit", "verify", kept, "--state", state).status == 17
    assert jvpn("audit", "verify", kept, "--state", state, "--known", state).status == 2


def test_a_witness_lists_who_has_two_histories(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """[A-71] A witness would know of a forged history, and its operator not."""
    state = tmp_path / "w.db"
    asked = Witness("w", W, {ORIGIN: (Verifier(ORIGIN, LOG, KEY.public),)}, States(state))
    assert asked.add_checkpoint(HONEST.asks(0, 200).raw, NOW).status == 200
    assert jvpn("witness", "status", "--state", state).status == 0
    assert asked.add_checkpoint(FORKED.asks(0, 200).raw, NOW).status == 409
    said = jvpn("witness", "status", "--state", state)
    assert (said.status, f"TWO HISTORIES of {ORIGIN}" in said.out) == (1, True)
    assert len(jvpn("witness", "status", "--state", state, "--json").json["conflicts"]) == 1
    assert jvpn("witness", "status", "--state", log / COSIGNED).status == 2


def test_a_witness_says_what_it_cannot_start_with(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """An operator would see a traceback, or a witness that knows no log."""
    key, policy = tmp_path / "w.key", kept_policy(jvpn, log)
    assert jvpn("witness", "keygen", "two words", "--out", key).status == 2
    assert jvpn("witness", "keygen", "w.example", "--out", key, "--json").json["vkey"].startswith("w.example+")
    assert jvpn("witness", "keygen", "w.example", "--out", key).status == 2
    empty = tmp_path / "empty"
    empty.write_text("quorum none\n", encoding="utf-8")
    state = tmp_path / "w.db"
    assert jvpn("witness", "serve", "--key", key, "--logs", empty, "--state", state).status == 2
    assert jvpn("witness", "serve", "--key", log / "absent", "--logs", policy, "--state", state).status == 2
    assert jvpn("witness", "serve", "--key", key, "--logs", policy, "--state", state, "--listen", "here").status == 2
    assert jvpn("witness", "serve", "--key", key, "--logs", policy, "--state", policy).status == 1
