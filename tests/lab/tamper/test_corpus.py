"""The corpus of tampering: nothing is missed, nothing else raises an alarm, and a verifier that lacks a check does not get through."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit import verify
from audit.lives import Lives
from audit.machine import Machines
from audit.tlog import note, sealed
from audit.tlog.policy import Policy
from audit.tlog.sealed import Sealing
from lab.evidence import FOLDER
from lab.tamper import evidence
from lab.tamper.__main__ import main
from lab.tamper.corpus import BASES, Bases, bases, classes, run, run_clean

POSITIONS = 8
SEED = 11
SYSTEMD = ("CVE-2023-31439", "CVE-2023-31438", "systemd #15425", "systemd #11524", "systemd #35595")


@pytest.fixture(scope="module")
def made() -> Iterator[Bases]:
    """The sound logs that are tampered with."""
    with bases(SEED) as built:
        yield built


@pytest.mark.parametrize("name", classes())
def test_nothing_is_missed(made: Bases, name: str) -> None:
    """A-50 to A-67: somebody could change a log in this way, and nobody would know, or look in the wrong place."""
    outcome = run(classes()[name], made, range(POSITIONS))
    assert outcome.tried == POSITIONS
    assert not outcome.said


def test_clean_logs_raise_no_alarm(made: Bases) -> None:
    """A-53, A-66: alarms about logs that are as their writers made them would teach everybody to ignore alarms."""
    outcome = run_clean(made, range(25))
    assert not outcome.said
    assert len(outcome.ways) == 7
    assert outcome.tried >= 25 * 5


def test_the_corpus_is_wide() -> None:
    """A failure that others had in public would not be tried here."""
    stories = [each.story for each in classes().values()]
    assert len([each for each in classes().values() if not each.harmless]) >= 30
    assert all(any(each in story for story in stories) for each in SYSTEMD)
    assert all(each.endswith(".") and "\n" not in each and len(each) > 40 for each in stories)
    assert {each.look.name for each in classes().values() if each.blind} == {"POLICY", "FRESH", "KEPT", "PARTIAL_POLICY"}


def nothing(*_: object, **__: object) -> None:
    """A check that is not made."""


def any_form(data: bytes, valid: Callable[[Any], None]) -> Any:  # noqa: ANN401 - as a JSON parser does
    """Read JSON in any form."""
    event = orjson.loads(data)
    valid(event)
    return event


def any_key(self: Sealing, log: note.Verifier) -> None:
    """Believe every key that a log states."""
    self.log = log


REMOVED: dict[str, tuple[object, str, object, str]] = {
    "the hash beside an event": (verify, "line_of", lambda *_: Anything(), "hash_changed"),
    "the one form of an event": (verify, "parse_valid", any_form, "members_reordered"),
    "the schema": (verify, "check", nothing, "member_added"),
    "the link to the event before": (verify._Walk, "_link", nothing, "event_forged"),
    "the number of the first event": (verify._Walk, "_expected", nothing, "segment_removed"),
    "evidence once": (verify._Walk, "_first_time", nothing, "evidence_repeated"),
    "the end and head.json": (verify, "_tail", nothing, "head_removed"),
    "no writer, no unsigned end": (verify, "writer_is_there", lambda _: True, "events_appended"),
    "a writer, a torn line": (verify, "writer_is_there", lambda _: False, "written_at_this_moment"),
    "the tables of sessions": (Machines, "_transition", nothing, "transition_that_no_row_allows"),
    "the life of a binding": (Machines, "_binding", nothing, "session_moved_after_its_end"),
    "the life of a key": (Lives, "_", nothing, "key_in_a_wrong_step"),
    "the versions of documents": (Lives, "_", nothing, "document_rolled_back"),
    "signatures": (note, "check", nothing, "seal_signed_by_another"),
    "that all is signed for": (Sealing, "end", nothing, "events_appended"),
    "the tree": (sealed, "Checkpoint", lambda *_: Anything(), "rewritten_with_new_hashes"),
    "the policy's key": (Sealing, "_named", any_key, "wrong_verification_key"),
    "the quorum": (Policy, "cosigned", lambda *_: [], "cosignatures_too_few"),
}
"""What is not checked any more: where it is, what stands in its place, and the class that sees that."""


class Anything:
    """What is equal to whatever it is compared with."""

    __hash__ = None  # type: ignore[assignment]  # nothing keeps it

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False


@pytest.mark.parametrize("check", REMOVED)
def test_a_verifier_that_lacks_a_check_is_found_out(made: Bases, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    """The corpus would say that nothing is missed whatever the verifier does."""
    where, what, instead, name = REMOVED[check]
    made.build_all()  # by a sound writer
    if where is Lives:
        monkeypatch.setattr("audit.machine.OF_KEYS", {})
    else:
        monkeypatch.setattr(where, what, instead)
    assert run(classes()[name], made, range(12)).missed


def test_an_epochs_own_key_has_to_sign(made: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpus would not see whether the log's key alone, which an intruder has, vouches for old epochs (CVE-2023-31439)."""
    made.build_all()
    named, check = {made[number].key.public for number in range(BASES)}, note.check
    monkeypatch.setattr(note, "check", lambda signed, key: check(signed, key) if key.public in named else None)
    assert run(classes()["resealed_with_the_key_of_now"], made, range(5)).missed == 5
    assert run(classes()["one_epoch_resealed"], made, range(5)).missed == 5


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever runs the corpus would not be told what was missed, and how to see it again."""
    asked = ["--seed", "11", "--class", "event_forged", "--positions", "3", "--json"]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tamperings"], told["missed"], told["false_alarms"]) == (3, 0, 0)
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(classes())
    monkeypatch.setattr(verify._Walk, "_link", nothing)
    assert main(asked) == 1
    said = capsys.readouterr().err
    assert "CHAIN_BROKEN at" in said
    assert "again: python -m lab.tamper --seed 11 --class event_forged --case 0" in said
    assert main([*asked[:4], "--case", "0"]) == 1
    assert "1 tamperings of 1 classes: 1 missed" in capsys.readouterr().out


def test_the_evidence_is_about_this_corpus(tmp_path: Path) -> None:
    """The page would praise a corpus that is not the one in the tree: run `make tamper`."""
    told = json.loads((FOLDER / "tamper.json").read_text())
    assert {row["name"]: row["story"] for row in told["classes"]} == {each.name: each.story for each in classes().values()}
    assert all(row["tried"] >= 500 for row in told["classes"])
    assert (told["missed"], told["false_alarms"], told["clean_logs"] >= 1_000) == (0, 0, True)
    evidence.write(told, tmp_path)
    assert (tmp_path / "tamper.md").read_text() == (FOLDER / "tamper.md").read_text()
