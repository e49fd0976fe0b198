"""Logs of every schema version that there ever was, read by the program of today."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from audit.files import segments_in
from audit.schema import check
from audit.show import Wanted as Shown
from audit.show import events
from audit.tlog import policy
from audit.tlog.proof import parse_proof
from audit.tlog.sealed import Wanted
from audit.verdict import Verdict
from audit.verify import verify
from audit.vocabulary import Vocabulary, parse, vocabulary
from lab import evolution, golden
from observability.projections import ecs, ocsf, otlp
from observability.projections.lines import FORMATS
from observability.template import mappings

PRESENT = vocabulary().schema.rpartition("/")[2]
VERSIONS = sorted(path.name for path in golden.CORPUS.iterdir())
CASES = [pytest.param(golden.CORPUS / version / role, id=f"{version}-{role}") for version in VERSIONS for role in golden.ROLES]


def lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log: event and hash."""
    return [json.loads(line) for path in segments_in(log) for line in path.read_text().splitlines()]


def words(version: str) -> Vocabulary:
    """The vocabulary of a version."""
    if version == PRESENT:
        return vocabulary()
    return next(parse(each.registry, digest="") for each in evolution.released() if each.number == version)


def test_there_is_a_corpus_of_every_version() -> None:
    """A-17: nobody would notice that logs of a version cannot be read any more."""
    assert set(VERSIONS) == {each.number for each in evolution.released()} | {PRESENT}


def test_the_corpus_of_this_version_is_made_by_this_program(capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept for ever would be something that no released program has written."""
    assert golden.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_a_version_can_say_is_said(version: str) -> None:
    """A-17: an event type could become unreadable, and no log of the corpus would show it."""
    known = words(version)
    said = {
        (line["event"]["event_type"], line["event"]["reason_code"])
        for role in golden.ROLES
        for line in lines(golden.CORPUS / version / role / "log")
    }
    assert said == {(kind.name, reason) for kind in known.kinds.values() for reason in kind.reasons}
    assert {line["event"]["schema"] for role in golden.ROLES for line in lines(golden.CORPUS / version / role / "log")} == {known.schema}


@pytest.mark.parametrize("case", CASES)
def test_it_verifies(case: Path) -> None:
    """A-17: the history of a pilot would be worthless after an update: seals, checkpoint, witnesses, and each event."""
    asked = policy.parse((case / "policy").read_bytes())
    result = verify(case / "log", wanted=Wanted(asked))
    assert (result.verdict, result.fault) == (Verdict.VERIFIED, None)
    assert result.witnessed == result.sealed == len(lines(case / "log"))
    proof = parse_proof((case / "proof").read_bytes())
    assert proof.check(proof.entry(), asked).size == len(lines(case / "log"))
    for line in lines(case / "log"):
        check(line["event"])
    assert len(list(events(case / "log", Shown(), lambda *_: None))) == len(lines(case / "log"))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("share", [0.1, 0.37, 0.62, 0.93])
def test_a_flipped_byte_is_refused(case: Path, share: float, tmp_path: Path) -> None:
    """A-17: old logs would be read by a reader that has become blind."""
    log = tmp_path / "log"
    shutil.copytree(case / "log", log)
    for path in [*segments_in(log), log / "checkpoint", log / "head.json", log / "seals" / "0000000001", log / "cosigned"]:
        before = path.read_bytes()
        place = int(len(before) * share)
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        asked = Wanted(policy.parse((case / "policy").read_bytes()))
        assert verify(log, wanted=asked).verdict is not Verdict.VERIFIED, (path.name, place)
        path.write_bytes(before)
    assert verify(log).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("project", "restore"), [(ocsf.project, ocsf.restore), (ecs.project, ecs.restore), (otlp.project, otlp.restore)])
def test_it_is_told_in_the_words_of_others(case: Path, project: Callable[..., Any], restore: Callable[..., Any]) -> None:
    """A-17, A-81: old events could not be sent to a SIEM any more, or would lose something on the way."""
    for line in lines(case / "log"):
        assert restore(project(line["event"], line["hash"])).event == line["event"]
        assert all(made(line["event"], line["hash"]) for made in FORMATS.values())


@pytest.mark.parametrize("case", CASES)
def test_it_fits_into_an_index(case: Path) -> None:
    """A-17, A-94: old events would be refused by the strict indices of today, and lie in the quarantine."""
    known = mappings()["properties"]
    for line in lines(case / "log"):
        assert not list(unmapped(line["event"], known))


def unmapped(value: Mapping[str, Any], known: Mapping[str, Any], at: str = "") -> list[str]:
    """The fields of a document that an index does not take."""
    found = []
    for name, each in value.items():
        if name not in known:
            found.append(f"{at}{name}")
        elif isinstance(each, dict):
            found += unmapped(each, known[name].get("properties", {}), f"{at}{name}.")
        elif known[name]["type"] not in ({"long"} if isinstance(each, int) else {"keyword", "date_nanos"}):
            found.append(f"{at}{name}")
    return found
