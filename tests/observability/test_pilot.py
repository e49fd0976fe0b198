"""A pilot's promises: read strictly, judged by what the logs say, and never kept by a log that is broken."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from audit.files import segments_in
from observability.pilot import NUMBERS, ManifestMalformed, load, parse
from observability.report import render
from observability.reporting.criteria import JUDGES, Met, judge, switches_in_a_minute
from observability.reporting.material import Material, Request, gather
from observability.timeline import EPOCH, Session
from tests.observability.reading import Reader
from tests.observability.story import write_story
from tests.observability.synthetic import Scribe

HEAD = b'environment = "edge"\n[criteria]\n'
GENEROUS = b"""
name = "trams"
environment = "mobile"
[failure_model]
loss_percent = 2.5
[criteria]
recovery_window_ms = 60000
recovery_p99_ms = 60000
switches_per_minute = 100
sessions_lost = 0
measured_percent = 100
both_ends_percent = 100
telemetry_lost = 17
detections_from = "critical"
signed = "log"
"""
STRICT = {"recovery_window_ms": 1, "recovery_p99_ms": 1, "switches_per_minute": 0, "telemetry_lost": 16, "detections_from": '"low"'}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Logs of a gateway, which lost 17 records, and of a client."""
    return write_story(tmp_path_factory.mktemp("pilot"), sessions=3, minutes=2)


@pytest.fixture(scope="module")
def material(logs: tuple[Path, Path]) -> Material:
    """What they say."""
    return gather(Request(logs=logs, manifest=parse(GENEROUS)))


def test_each_criterion_is_judged(material: Material) -> None:
    """A-104: a pilot would be called a success by criteria that nobody looked at."""
    assert set(JUDGES) == set(parse(GENEROUS).criteria)
    judged = judge(parse(GENEROUS), material)
    assert [(each.criterion, each.met) for each in judged] == [(each.criterion, Met.YES) for each in judged]
    text = Reader(render(material)).text
    assert "Pilot “trams”, environment mobile. Expected of the network: packets lost, %: 2.5." in text
    assert "9 of 9 criteria of the pilot met, 0 not met, 0 not to be judged." in text


@pytest.mark.parametrize(("name", "limit"), STRICT.items())
def test_a_broken_promise_is_named(material: Material, name: str, limit: object) -> None:
    """A-104: what was not kept would be called kept."""
    (judged,) = judge(parse(HEAD + f"{name} = {limit}\n".encode()), material)
    assert judged.met is Met.NO


def test_what_lacks_is_counted(logs: tuple[Path, Path]) -> None:
    """A-104: half of the story would be missing, and the promise of audit visibility be kept."""
    manifest = parse(HEAD + b'both_ends_percent = 1\nsigned = "witnesses"\n')
    judged = judge(manifest, gather(Request(logs=logs[:1])))
    assert [(each.found, each.met) for each in judged] == [("0 of 3", Met.NO), ("not so: L1", Met.NO)]
    (signed,) = judge(parse(HEAD + b'signed = "log"\n'), gather(Request(logs=segments_in(logs[0]))))
    assert signed.met is Met.NO, "nobody signs for a single file"


def test_a_lost_session_is_counted(material: Material) -> None:
    """A-104: a session that ended with a failure would be one that was closed."""
    name, session = next(iter(material.story.sessions.items()))
    lost = {**material.story.sessions, name: replace(session, lost=True)}
    (judged,) = judge(parse(HEAD + b"sessions_lost = 0\n"), replace(material, story=replace(material.story, sessions=lost)))
    assert (judged.met, judged.found) == (Met.NO, f"1, the first is {session.name}")


def test_nothing_is_promised_by_an_empty_log(tmp_path: Path) -> None:
    """A-104: a pilot in which nothing happened would have kept its promises."""
    Scribe(tmp_path / "log").close()
    told = b"".join(f"{name} = 0\n".encode() for name in NUMBERS if name != "telemetry_lost")
    judged = judge(parse(HEAD + told), gather(Request(logs=[tmp_path / "log"])))
    assert {each.met for each in judged} == {Met.UNKNOWN}


def test_a_broken_log_keeps_no_promise(logs: tuple[Path, Path], tmp_path: Path) -> None:
    """A-104: whoever cuts a log before the first failure would have had a good pilot."""
    cut = Path(shutil.copytree(logs[0], tmp_path / "log"))
    (segment,) = segments_in(cut)
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:40]))
    judged = {each.criterion: each.met for each in judge(parse(GENEROUS), gather(Request(logs=[cut, logs[1]])))}
    assert Met.YES not in judged.values()
    assert judged["each log is sound and signed"] is Met.NO
    assert judged["detections from level critical on"] is Met.NO


def test_a_minute_is_sixty_seconds(material: Material) -> None:
    """A-104: a limit on the rate would let bursts pass that fall across the full minute."""
    session = Session("s", "c")
    for number, second in enumerate((0, 30, 60, 61, 100, 121)):
        session.moves.append((EPOCH + timedelta(seconds=second), "UDP", "TCP", "MOVED_BETTER", number, 0, number))
    session.moves.append((EPOCH + timedelta(seconds=59), "TCP", "TCP", "REKEYED", 9, 0, 9))
    assert switches_in_a_minute(session) == 3  # 0, 30, 60: exactly a minute, and new keys are no jump


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff", "not TOML"),
        (b"environment = ", "not TOML"),
        (b"[criteria]\nsessions_lost = 0\n", "environment: found None, allowed are mobile, fintech, edge"),
        (HEAD, "criteria: there is none"),
        (HEAD + b"speed = 1\n", "criteria.speed is not known"),
        (HEAD + b"sessions_lost = -1\n", "criteria.sessions_lost: found -1"),
        (HEAD + b"sessions_lost = true\n", "criteria.sessions_lost: found True"),
        (HEAD + b"sessions_lost = nan\n", "criteria.sessions_lost: found nan"),
        (HEAD + b"measured_percent = 101\n", "criteria.measured_percent: found 101, allowed is a number from 0 to 100"),
        (HEAD + b'signed = "me"\n', "criteria.signed: found 'me', allowed are log, witnesses"),
        (HEAD + b"signed = []\n", "criteria.signed: found "),
        (b'criteria = 3\nenvironment = "edge"\n', "criteria is no table"),
        (b'name = "a\\u202eb"\nenvironment = "edge"\n', "name: allowed are up to 100 printable characters"),
        (b'more = 1\nenvironment = "edge"\n', "more is not known"),
        (b"#" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    """A criterion with a typing error in its name would never be judged, and nobody would know."""
    (tmp_path / "pilot.toml").write_bytes(raw)
    with pytest.raises(ManifestMalformed) as caught:
        load(tmp_path / "pilot.toml")
    assert said in str(caught.value)
