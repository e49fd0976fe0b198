"""Audit logs on the command line: the verifier's exit statuses, filters, reports."""

import json
from pathlib import Path

import pytest

from audit.recovery import note_tree
from audit.tlog.merkle import Frontier, leaf
from audit.verdict import MEANINGS
from jvpn.cli.audit import VERDICTS
from tests.audit.made import a_log, story
from tests.jvpn.cli.calling import Jvpn


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of two sessions, as the machine allows them."""
    return a_log(tmp_path / "audit", [*story(1), *story(2)])


def segment(log: Path) -> Path:
    """Return the log's first segment."""
    return min(log.glob("audit-*.jsonl"))


def test_a_sound_log(jvpn: Jvpn, log: Path) -> None:
    """An auditor could not verify what nobody changed."""
    said = jvpn("audit", "verify", log)
    assert (said.status, said.out.splitlines()[0]) == (0, f"VERIFIED: {log}")
    answer = jvpn("audit", "verify", log, "--json").json
    assert (answer["verdict"], answer["exit_status"]) == ("VERIFIED", 0)


def test_a_changed_log_has_its_own_status(jvpn: Jvpn, log: Path) -> None:
    """A script would take a forged history for a sound one, or for a missing file."""
    path = segment(log)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"gateway", b"gatewaz"), *lines[3:]]))
    said = jvpn("audit", "verify", log)
    assert said.status == 11
    assert said.out.startswith("HASH_WRONG: ")
    assert jvpn("audit", "verify", log, "--json").status == 11
    path.write_bytes(b"".join(lines[:-1]))
    assert jvpn("audit", "verify", log).status == 14
    assert jvpn("audit", "verify", log / "absent").status == 2


def test_statuses_are_documented() -> None:
    """Whoever writes a script would not learn from --help what a status means."""
    for verdict, meaning in MEANINGS.items():
        assert f"  {verdict.value:<3} {meaning}" in VERDICTS


def test_oldest_segments_may_be_elsewhere(jvpn: Jvpn, log: Path) -> None:
    """A log whose beginning was put away could not be verified, or would pass without being asked."""
    path = segment(log)
    lines = path.read_bytes().splitlines(keepends=True)
    (log / "audit-00000000000000000003.jsonl").write_bytes(b"".join(lines[3:]))
    path.unlink()
    assert jvpn("audit", "verify", log).status == 13
    assert jvpn("audit", "verify", log, "--partial").status == 16, "nothing says which tree came before"
    tree = Frontier()
    tree.extend([leaf(bytes.fromhex(json.loads(line)["hash"])) for line in lines[:3]])
    note_tree(log, tree)
    assert jvpn("audit", "verify", log, "--partial").status == 0


def test_a_policy_says_whose_log_it_must_be(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """[A-67] Whoever knows the log's key could not have it asked for; or a mistake in the policy would ask for nothing."""
    key, file = jvpn("audit", "verify", log, "--json").json["key"], tmp_path / "policy"
    file.write_text(f"log {key}\nquorum none\n")
    assert jvpn("audit", "verify", log, "--policy", file).status == 0
    file.write_text("quorum none\n")
    assert jvpn("audit", "verify", log, "--policy", file).status == 17
    file.write_text(f"log {key}\nquorum w\n")
    said = jvpn("audit", "verify", log, "--policy", file)
    assert (said.status, said.err) == (2, f"jvpn: {file}: line 2: the quorum w is not defined above\n")
    said = jvpn("audit", "verify", log, "--policy", tmp_path / "absent")
    assert (said.status, said.err) == (2, f"jvpn: {tmp_path / 'absent'}: cannot be read: No such file or directory\n")


def shown(jvpn: Jvpn, log: Path, *words: str) -> list[dict[str, object]]:
    """Return the events that a filter shows."""
    said = jvpn("audit", "show", log, "--json", *words)
    assert said.status == 0
    return [json.loads(line) for line in said.out.splitlines()]


def test_filters(jvpn: Jvpn, log: Path) -> None:
    """Whoever looks for an event would miss it, or drown in others."""
    everything = shown(jvpn, log)
    assert [event["seq"] for event in everything] == list(range(len(everything)))
    some = shown(jvpn, log, "--type", "SESSION_MOVED", "--type", "SESSION_BORN")
    assert {event["event_type"] for event in some} == {"SESSION_MOVED", "SESSION_BORN"}
    reason = str(some[0]["reason_code"])
    assert {event["reason_code"] for event in shown(jvpn, log, "--reason", reason)} == {reason}
    assert {event["event_class"] for event in shown(jvpn, log, "--class", "evidence")} == {"evidence"}
    assert min(int(str(event["severity"])) for event in shown(jvpn, log, "--severity", "low")) == 2
    assert [event["seq"] for event in shown(jvpn, log, "--from", "3", "--to", "5")] == [3, 4, 5]
    middle = sorted({str(event["time"]) for event in everything})[1]
    assert shown(jvpn, log, "--since", middle.removesuffix("Z")) == shown(jvpn, log, "--since", middle)
    assert shown(jvpn, log, "--until", middle[:19] + "Z") == shown(jvpn, log, "--until", middle[:19])
    early, late = shown(jvpn, log, "--until", middle), shown(jvpn, log, "--since", middle)
    assert early == [event for event in everything if str(event["time"]) < middle] != []
    assert late == [event for event in everything if str(event["time"]) >= middle]
    session = next(event["session"] for event in everything if "pseudonym" in (event.get("session") or {}))  # type: ignore[operator]  # a JSON object
    assert shown(jvpn, log, "--session", session["pseudonym"])  # type: ignore[index]  # it was chosen for its pseudonym
    assert shown(jvpn, log, "--session", "0" * 16) == []
    lines = jvpn("audit", "show", log, "--type", "SESSION_MOVED").out.splitlines()
    assert len(lines) == len([event for event in everything if event["event_type"] == "SESSION_MOVED"])


def test_a_bad_line_is_told(jvpn: Jvpn, log: Path) -> None:
    """Events would be missing from what is shown, and nobody would know."""
    with segment(log).open("ab") as file:
        file.write(b"garbage\n")
    said = jvpn("audit", "show", log, "--json")
    assert said.status == 1
    assert f"{segment(log).name}, line " in said.err
    assert said.out


def test_what_is_no_log_is_told_briefly(jvpn: Jvpn, tmp_path: Path) -> None:
    """Who names the wrong file would get a complaint for each of its lines."""
    path = tmp_path / "notes.txt"
    path.write_text("not an event\n" * 5_000)
    said = jvpn("audit", "show", path)
    assert (said.status, said.out) == (1, "")
    assert len(said.err.splitlines()) == 11
    assert f"4990 more lines are no valid event: is {path} an audit log?" in said.err


def test_a_directory_that_is_no_log(jvpn: Jvpn, tmp_path: Path) -> None:
    """An empty answer would look like a history in which nothing happened."""
    said = jvpn("audit", "show", tmp_path)
    assert said.status == 2
    assert said.err == f"jvpn: {tmp_path} holds no segment of an audit log\n"


def test_a_report(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """Whoever decides would get no page, or one about a forged log without being told."""
    out = tmp_path / "report.html"
    said = jvpn("audit", "report", log, "--out", out, "--json")
    assert (said.status, said.json["report"], said.json["logs"][0]["verdict"]) == (0, str(out), "VERIFIED")
    assert "<html" in out.read_text()
    path = segment(log)
    path.write_bytes(path.read_bytes().replace(b"gateway", b"gatewaz", 1))
    said = jvpn("audit", "report", log, "--out", out)
    assert said.status == 11
    assert "HASH_WRONG" in said.out
