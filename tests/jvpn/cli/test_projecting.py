"""`audit export`: what it writes, and what it leaves out."""

import json
import os
from pathlib import Path

import pytest

from observability.projections import ecs, ocsf, otlp
from tests.jvpn.cli.calling import Jvpn
from tests.observability.synthetic import write_everything

PROJECTIONS = {"ocsf": ocsf, "ecs": ecs, "otlp": otlp}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log in which much occurs."""
    folder = tmp_path_factory.mktemp("exported") / "audit"
    write_everything(folder, "gateway")
    return folder


def lines(log: Path) -> list[bytes]:
    """Return the lines of a log."""
    return [line for path in sorted(log.glob("audit-*.jsonl")) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("form", PROJECTIONS)
def test_each_line_leads_back_to_the_log(jvpn: Jvpn, log: Path, form: str) -> None:
    """An export would lose or change events on its way into the SIEM."""
    said = jvpn("audit", "export", log, "--format", form)
    assert said.status == 0
    back = [PROJECTIONS[form].restore(json.loads(line)) for line in said.out.splitlines()]
    assert [b'{"event":%b,"hash":"%b"}' % (each.data, each.hash.encode()) for each in back] == lines(log)


def test_own_lines_can_be_verified(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """Who was given an export could not check it."""
    out = tmp_path / "lines.jsonl"
    said = jvpn("audit", "export", log, "--format", "own", "--out", out, "--json")
    assert said.json == {"file": str(out), "format": "own", "written": len(lines(log)), "refused": 0}
    assert out.read_bytes().splitlines() == lines(log)
    assert [path.name for path in tmp_path.iterdir()] == ["lines.jsonl"]


def test_record_integrity_is_asked_for(jvpn: Jvpn, log: Path) -> None:
    """A SIEM of OCSF 1.8.0 would be sent what it does not know, or one of 1.9.0 would miss the chain."""
    plain = json.loads(jvpn("audit", "export", log).out.splitlines()[1])
    asked = json.loads(jvpn("audit", "export", log, "--record-integrity").out.splitlines()[1])
    assert (plain["metadata"]["version"], asked["metadata"]["version"]) == ("1.8.0", "1.9.0")
    assert "attestation_list" not in plain
    assert asked["attestation_list"][0]["prev_event"]["fingerprint"]["value"] == json.loads(lines(log)[0])["hash"]
    refused = jvpn("audit", "export", log, "--record-integrity", "--format", "ecs")
    assert (refused.status, "needs --format ocsf" in refused.err) == (2, True)


def test_what_was_changed_is_left_out(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A changed event would get into the SIEM with the look of a true one."""
    kept = lines(log)
    changed = tmp_path / "changed.jsonl"
    other = kept[3].replace(b'"seq":3', b'"seq":4')
    assert other != kept[3]
    changed.write_bytes(b"\n".join([*kept[:3], other, b"{}", *kept[5:8]]) + b"\n")
    said = jvpn("audit", "export", changed, "--format", "own")
    assert said.status == 1
    assert said.out.encode().splitlines() == [*kept[:3], *kept[5:8]]
    assert "event 4: its hash is" in said.err
    assert "changed.jsonl, line 5: the line is not" in said.err


def test_very_many_bad_lines_are_told_in_sum(jvpn: Jvpn, tmp_path: Path) -> None:
    """A wrong file would fill the screen."""
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("{}\n" * 25)
    said = jvpn("audit", "export", wrong)
    assert (said.status, said.out) == (1, "")
    assert len(said.err.splitlines()) == 11
    assert "15 more lines are left out" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent",), "absent: No such file or directory"),
        ((".",), "holds no segment of an audit log"),
        (("LOG", "--out", "absent/x"), "there is no such directory"),
        (("LOG", "--out", "."), "is a directory"),
        (("LOG", "--out", "pipe"), "it is no file"),
        (("LOG", "--format", "cef"), "'cef' is not one of"),
    ],
)
def test_what_cannot_be(jvpn: Jvpn, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str) -> None:
    """A typing error would be an empty export, or a traceback."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    done = jvpn("audit", "export", *(log if word == "LOG" else word for word in words))
    assert (done.status, done.out) == (2, "")
    assert said in done.err
