"""The report on the command line: what it is asked for, where it goes, and whose fault it is when it cannot be made."""

import shutil
from pathlib import Path

import pytest

from audit.files import segments_in
from audit.show import events
from audit.tlog.checkpoint import read_signed
from observability import paper
from tests.jvpn.cli.calling import Jvpn
from tests.observability.story import write_story

KEPT = 'environment = "edge"\n[criteria]\nsigned = "log"\n'
BROKEN = 'environment = "edge"\n[criteria]\ntelemetry_lost = 0\n'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gateway's log, which lost some telemetry."""
    return write_story(tmp_path_factory.mktemp("story"), sessions=2, minutes=1)[0]


def test_each_proof_id_can_be_proven(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A-101: an auditor would be given numbers and hashes with which nobody can prove anything."""
    text = (report_on(jvpn, log, tmp_path)).read_text()
    (tmp_path / "policy").write_text(jvpn("audit", "policy", log).out)
    assert jvpn("audit", "publish", log, "--out", tmp_path / "tree").status == 0
    signed = read_signed(log / "checkpoint")
    assert signed is not None
    assert signed.says.root.hex() in text
    for event in events(log):
        anchor = f'id="event-1-{event["seq"]}"'
        assert (event["event_class"] == "evidence") <= (anchor in text)
        if event["event_type"] == "SESSION_MOVED":
            proof = tmp_path / f"{event['seq']}.tlog-proof"
            assert jvpn("audit", "prove", tmp_path / "tree", event["seq"], "--out", proof).status == 0
            row = text[text.index(anchor) :].split("</tr>")[0]
            assert event["hash"] in row
            assert jvpn("audit", "check", proof, "--policy", tmp_path / "policy", "--hash", event["hash"]).status == 0


def test_a_policy_and_a_kept_checkpoint_are_asked_for(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A-100: a report would call another gateway's log, or one that was put back, complete and unchanged."""
    (tmp_path / "policy").write_text(jvpn("audit", "policy", log).out)
    known = Path(shutil.copy(log / "checkpoint", tmp_path / "kept"))
    text = report_on(jvpn, log, tmp_path, "--policy", tmp_path / "policy", "--known", known).read_text()
    for said in ("the key that names the log is the policy&#x27;s", "the log goes on from the checkpoint that was kept"):
        assert "held" in text[text.index(said) :][:120]
    foreign, _ = write_story(tmp_path / "other", sessions=1, minutes=1, seed=8)
    out = tmp_path / "foreign.html"
    answered = jvpn("audit", "report", foreign, "--out", out, "--known", known)
    assert answered.status != 0
    assert out.read_text().index("Do not rely on L1") < out.read_text().index("In short")


def test_a_pilot_is_judged(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """A-104: a script that takes in pilots would take in one that broke its promises."""
    for text, status, met in ((KEPT, 0, "met"), (BROKEN, 1, "NOT MET")):
        (tmp_path / "pilot.toml").write_text(text)
        said = jvpn("audit", "report", log, "--out", tmp_path / "r.html", "--pilot", tmp_path / "pilot.toml", "--json")
        assert (said.status, [each["met"] for each in said.json["criteria"]]) == (status, [met])
    said = jvpn("audit", "report", log, "--out", tmp_path / "r.html", "--pilot", tmp_path / "pilot.toml")
    assert "NOT MET: records of telemetry lost, allowed 0, found 17" in said.out
    segment = segments_in(forged := Path(shutil.copytree(log, tmp_path / "forged")))[0]
    segment.write_bytes(segment.read_bytes().replace(b"gateway", b"gatewaz", 1))
    assert jvpn("audit", "report", forged, "--out", tmp_path / "r.html", "--pilot", tmp_path / "pilot.toml").status == 11


def test_one_session_is_asked_for(jvpn: Jvpn, log: Path, tmp_path: Path) -> None:
    """The session of an incident would be left out for livelier ones, or a typing error give a report about nothing."""
    name = next(event["session"]["pseudonym"] for event in events(log) if "session" in event)
    assert f"Session {name}, event by event" in report_on(jvpn, log, tmp_path, "--session", name).read_text()
    said = jvpn("audit", "report", log, "--out", tmp_path / "none.html", "--session", "0" * 16)
    assert (said.status, said.err) == (2, f"jvpn: --session: no verified event of these logs is of a session {'0' * 16}\n")
    assert not (tmp_path / "none.html").exists()


def test_page_and_paper(jvpn: Jvpn, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever files a report would have a page and no paper, or the other way round, and not be told."""
    monkeypatch.setattr(paper, "available", lambda: None)
    monkeypatch.setattr(paper, "pdf", lambda text, progress: b"%PDF of " + str(len(text)).encode())
    said = jvpn("audit", "report", log, "--out", tmp_path / "r.html", "--pdf", tmp_path / "r.pdf", "--json")
    assert (said.json["report"], said.json["pdf"]) == (str(tmp_path / "r.html"), str(tmp_path / "r.pdf"))
    assert (tmp_path / "r.pdf").read_bytes() == f"%PDF of {len((tmp_path / 'r.html').read_text())}".encode()


def test_paper_that_cannot_be_made_is_told_first(jvpn: Jvpn, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody would wait for minutes, and then be shown a traceback of a library that they never heard of."""

    def missing() -> None:
        raise paper.NoPaper(f"PDF {paper.MISSING}")

    monkeypatch.setattr(paper, "available", missing)
    said = jvpn("audit", "report", log, "--out", tmp_path / "r.html", "--pdf", tmp_path / "r.pdf")
    assert said.status == 2
    assert said.err.startswith("jvpn: --pdf: PDF needs WeasyPrint: pip install -r requirements/pdf.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pdf", "r.html"], "--pdf: r.html is the page's file already"),
        (["--pdf", "absent/r.pdf"], "absent/r.pdf: the page cannot be written"),
        (["--pilot", "absent.toml"], "--pilot: absent.toml: cannot be read: No such file or directory"),
        (["--pilot", "bad.toml"], "--pilot: bad.toml: criteria: there is none, so nothing could be judged"),
        (["--known", "kept", "again"], "--known is a checkpoint of one log"),
        (["--session", "alice"], "'alice' is not 16 or 32 hex digits, as in the log"),
    ],
)
def test_what_cannot_be_is_refused(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    """A typing error would be a traceback, or a report of something else than was asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("")
    answered = jvpn("audit", "report", "log", "--out", "r.html", *words)
    assert answered.status == 2
    assert said in answered.err
    assert not (tmp_path / "r.html").exists()


def report_on(jvpn: Jvpn, log: Path, scratch: Path, *words: object) -> Path:
    """Return the page of a report that has to succeed."""
    said = jvpn("audit", "report", log, "--out", scratch / "report.html", *words)
    assert said.status == 0, said.out + said.err
    return scratch / "report.html"
