"""The demonstration without namespaces: it needs no privileges, says what it is, and fails when something is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import netns
from lab.demo import __main__ as demo
from lab.demo import story
from lab.demo.loopback import FOREIGN, Loopback
from lab.demo.scene import Failed, Scene, T
from tests.support import ROOT

DEAD, BETTER, FOLLOWED = ("MOVED_PATH_DEAD", "UDP", "TCP"), ("MOVED_BETTER", "TCP", "UDP"), ("MOVED_HINTED", "UDP", "UDP")
ATTACKS_SENT = 6  # the other two are the insider's
LABEL = "No namespaces: loopback sockets and a packet pump instead of TUN; nftables not used."


@pytest.mark.timeout(300)
def test_it_plays_the_whole_story_and_says_how(tmp_path: Path) -> None:
    """Who has neither root nor namespaces would see nothing, or something else than what is claimed."""
    command = [sys.executable, "-m", "lab.demo", "--loopback", "--json", "--out", str(tmp_path / "o")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told, summary = json.loads(done.stdout), json.loads((tmp_path / "o" / "summary.json").read_text())
    assert told == summary
    assert told["passed"] is True
    assert all(told["claims"].values())
    assert {"the download's SHA-256 is right", "the download outlasted every jump", "one session from start to end"} < set(told["claims"])
    assert len(told["sessions"]) == 1
    jumps = [(jump["reason"], jump["from"], jump["to"]) for jump in told["jumps"]]
    assert jumps in ([DEAD, BETTER, FOLLOWED], [DEAD, BETTER, ("MOVED_PATH_DEAD", "UDP", "UDP")]), (
        "the latter on a machine too busy to hint"
    )
    assert len(told["attacks"]) == 8
    assert all(each["recorded"] and each["session_unchanged"] for each in told["attacks"])
    assert set(told["outages_ms"]) == {"udp black-holed", "udp back", "address changed"}
    page = (tmp_path / "o" / "index.html").read_text()
    assert (told["mode"], told["label"], told["why"]) == ("loopback", LABEL, "Asked for by --loopback.")
    for text in (page, " ".join(done.stderr.split())):
        assert f"{LABEL} Asked for by --loopback." in text
        assert "MOVED_HINTED, not MOVED_ADDRESS_CHANGED" in text
    assert "Two network namespaces" not in page + done.stderr


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A story of seconds."""
    monkeypatch.setattr(story, "FILE_BYTES", 10_000_000)
    monkeypatch.setattr(story, "STEADY_S", 0.3)


def failed(out: Path) -> set[str]:
    """Return the claims that did not hold."""
    summary = json.loads((out / "summary.json").read_text())
    assert summary["passed"] is False
    return {claim for claim, held in summary["claims"].items() if not held}


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("short")
def test_one_wrong_bit_of_the_download_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes lost or changed by a jump would be celebrated."""
    work = Loopback.work

    def lying(scene: Loopback, side: str, *arguments: str, out: str) -> subprocess.Popen[bytes]:
        module = "tests.lab.demo.altered" if arguments[1] == "serve" else arguments[0]
        return work(scene, side, module, *arguments[1:], out=out)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Loopback, "work", lying)
    assert demo.main(["--loopback", "--json", "--out", str(tmp_path / "o")]) == 1
    assert failed(tmp_path / "o") == {"the download's SHA-256 is right"}


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("short")
def test_an_attack_that_moves_the_session_fails_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker's success would be shown as a refusal."""
    send, sent = Loopback.send, list[Sequence[str]]()

    def strong(scene: Loopback, frames: Sequence[str], *, foreign: bool = False) -> None:
        send(scene, frames, foreign=foreign)
        sent.append(frames)
        if len(sent) == ATTACKS_SENT:  # the last one is given what no attacker has: the session goes where he is
            scene._order("move", source=FOREIGN)
            scene.wait(lambda: str(scene.session().get("remote")).startswith(f"{FOREIGN}:"), "the session has moved")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Loopback, "send", strong)
    assert demo.main(["--loopback", "--json", "--out", str(tmp_path / "o")]) == 1
    last = "DATA of the session with another counter"
    assert failed(tmp_path / "o") == {f"refused: {last}", "each jump has its reason"}
    attacks = json.loads((tmp_path / "o" / "summary.json").read_text())["attacks"]
    assert [each["attack"] for each in attacks if not each["session_unchanged"]] == [last]


class Told(Loopback):
    """A place of which only the log is there."""

    def __init__(self, log: list[dict[str, Any]]) -> None:
        self.log, self.binding = log, 4

    def events(self, role: str = "gateway") -> Iterator[dict[str, Any]]:
        """Yield the events so far."""
        yield from self.log

    def session(self) -> dict[str, Any]:
        """Return what an attack must not change."""
        return {"correlation_id": "c", "binding_version": self.binding}

    def wait(self, what: Callable[[], T], claim: str, process: object = None, seconds: float = 0.0) -> T:
        """Look once."""
        if not (found := what()):
            raise Failed(claim)
        return found


def refusal(peer: str) -> dict[str, Any]:
    """Return the record of a refusal."""
    return {"event_type": "TRAFFIC_REFUSED", "reason_code": "UNBOUND_PATH", "peer": peer, "count": 1}


@pytest.mark.parametrize(
    ("does", "recorded", "unchanged"),
    [
        ("is refused", True, True),
        ("is not recorded", False, True),
        ("moves the session", True, False),
        ("is not recorded, but an earlier refusal of the session's own datagrams is", False, True),
    ],
)
def test_an_attack_is_judged_by_its_own_record(does: str, *, recorded: bool, unchanged: bool) -> None:
    """A sum of earlier refusals, which comes late, would pass for the refusal of an attack that went through."""
    moved = {"event_type": "SESSION_MOVED", "reason_code": "MOVED_HINTED", "peer": "own", "session": {"correlation_id": "c"}}
    place = Told([moved, refusal("own"), refusal("stranger")])
    played = story.Story(place, lambda _step, _state: None)
    played.outcome.sessions = {"c"}

    def act() -> None:
        if "earlier" in does:
            place.log.append(refusal("own"))
        elif "not recorded" not in does:
            place.log.append(refusal("stranger"))
        place.binding += "moves" in does

    played._attack("an attack", "UNBOUND_PATH", act)
    (judged,) = played.outcome.attacks
    assert (judged["recorded"], judged["session_unchanged"]) == (recorded, unchanged)
    assert played.outcome.passed is (recorded and unchanged)


def test_nothing_claimed_is_not_passed() -> None:
    """A story that ended before its first judgement would be a success."""
    assert not story.Outcome().passed


def test_a_machine_without_namespaces_plays_on_loopback_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make demo` would refuse where it could play, or leave the reader to guess what was played."""
    monkeypatch.setattr(netns, "probe", lambda: netns.Possible("", "no network namespace: not allowed"))
    assert demo.choose(loopback=False) == (Loopback, "This machine allows no network namespaces: not allowed.")
    monkeypatch.setattr(netns, "probe", lambda: netns.Possible("root", ""))
    monkeypatch.setattr(demo, "PROBE", ("-c", "raise SystemExit('no TUN')"))
    monkeypatch.setattr(netns, "COMMAND", (sys.executable, "-c", "import sys; sys.exit('no: ' + sys.argv[-1])"))
    place, why = demo.choose(loopback=False)
    assert place is Loopback
    assert why.startswith("Network namespaces are possible here, but what the demonstration needs in them is not: no:")
    assert demo.told(place, why)[0] == f"{LABEL} {why}"
    monkeypatch.setattr(netns, "COMMAND", (sys.executable, "-c", "pass"))
    assert demo.choose(loopback=False) == (Scene, "As root.")
    assert demo.choose(loopback=True)[0] is Loopback


def test_the_report_is_labelled_or_there_is_none(tmp_path: Path) -> None:
    """A page about loopback would be passed on as one about namespaces."""
    page = tmp_path / "index.html"
    page.write_text("<h1>Title</h1>\n<p>rest</p>\n")
    demo.label(page, demo.told(Loopback, "Because <so>."))
    text = page.read_text()
    assert text.startswith(
        f'<h1>Title</h1>\n<p class="verdict">A demonstration. {LABEL} Because &lt;so&gt;.</p>\n<p class="soft">Not shown here: '
    )
    assert text.endswith("\n<p>rest</p>\n")
    page.write_text("<h2>Title</h2>\n")
    with pytest.raises(Failed, match="no title"):
        demo.label(page, ["a"])


def test_a_path_too_long_for_unix_sockets_is_told_apart(tmp_path: Path) -> None:
    """The gateway would not answer, and nobody would know why."""
    with pytest.raises(Failed, match="bytes too long for unix sockets"):
        Loopback(tmp_path / ("n" * 100))
