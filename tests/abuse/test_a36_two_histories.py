"""One log, two histories (T-36).

ATTACK
    The operator has the whole host, and every key of the log that there is now. They keep a copy of the log, let it go on, and later put
    the copy back, with its key, and let that go on instead: the same origin, valid seals, another history. They show one to the witnesses
    and the other to the auditor; or they ask the witnesses to cosign both.

EXPECTED REFUSAL
    A witness cosigns what goes on from what it cosigned before, and nothing else; what it has seen is one transaction with its answer
    [A-70] [A-71]. Two checkpoints of one size are kept as proof that anybody can check. The publisher publishes nothing without the quorum
    [A-69], and the auditor's policy wants it, or a checkpoint that they kept [A-67].

EXPECTED EVIDENCE
    verdict SEAL_WRONG
    verdict TAIL_CUT
    verdict UNWITNESSED
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from audit.files import COSIGNED
from audit.tlog import note, policy
from audit.tlog.checkpoint import Checkpoint, Signed, read_signed
from audit.tlog.note import LOG, WITNESS, Verifier
from audit.tlog.publishing import Publisher
from audit.tlog.sealed import Wanted
from audit.tlog.witness import Request, States, Witness
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from tests.audit.made import opened, records
from tests.audit.tlog.test_sealing import FACTS, sealed_log

W = SigningKey(b"w" * 32)
NOW = 1_790_000_000


class World(NamedTuple):
    """The log as everybody knows it, a copy of an older state with its key, and the witness, which has seen neither yet."""

    log: Path
    older: Path
    key: Verifier
    witness: Witness
    states: States

    def go_on(self, log: Path, first: int, times: int = 1) -> Signed:
        """Let a log go on, by its own writer; return its newest checkpoint."""
        for number in range(times):
            again, journal = opened(log)
            with again:
                journal.write(*records(FACTS[first + number : first + number + 2]))
                assert journal.close()
        signed = read_signed(log / "checkpoint")
        assert signed
        return signed

    def shown(self, log: Path, old: int) -> int:
        """Show a log to the witness; return the status. What it cosigns goes into the log."""
        publisher = Publisher(log)
        signed = publisher.advance()
        assert signed
        proof = tuple(publisher.consistency(min(old, signed.says.size), signed.says.size))
        answer = self.witness.add_checkpoint(Request(old, proof, signed.note).raw, NOW)
        if answer.status == 200:
            line = note.parse_line(answer.body.decode().removesuffix("\n"))
            publisher.publish(signed.note._replace(signatures=(*signed.note.signatures, line)))
        return answer.status

    def audited(self, log: Path, known: Path | None = None) -> Verdict:
        """What an auditor finds who has the policy."""
        lines = f"log {self.key.vkey}\nwitness w {Verifier('w', WITNESS, W.public).vkey}\nquorum w\n"
        return verify(log, wanted=Wanted(policy.parse(lines.encode()), known=known)).verdict


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The log and its copy each in a place of its own, with its own key file."""
    log = sealed_log(tmp_path / "here" / "log")
    older = shutil.copytree(tmp_path / "here", tmp_path / "there") / "log"
    told = verify(log).key
    key = note.parse_vkey(told, LOG)
    states = States(tmp_path / "witness.db")
    return World(log, older, key, Witness("w", W, {key.name: (key,)}, states), states)


def test_the_witness_cosigns_one_of_them(world: World) -> None:
    """Both would be vouched for, and each be the truth to whoever is shown it."""
    size = world.go_on(world.log, 40).says.size
    assert world.shown(world.log, 0) == 200
    assert world.audited(world.log) is Verdict.VERIFIED
    for times in (1, 2, 3):
        world.go_on(world.older, 50, times)
        assert verify(world.older).verdict is Verdict.VERIFIED, "it is signed by all its keys"
        assert world.shown(world.older, size) in {400, 409, 422}
        assert world.shown(world.older, 0) == 409
        assert world.audited(world.older) is Verdict.UNWITNESSED


def test_what_was_cosigned_does_not_vouch_for_the_other(world: World) -> None:
    """The cosigned checkpoint of one history would be put beside the other."""
    world.go_on(world.log, 40)
    assert world.shown(world.log, 0) == 200
    shutil.copy(world.log / COSIGNED, world.older / COSIGNED)
    assert world.audited(world.older) is Verdict.TAIL_CUT
    world.go_on(world.older, 50, 3)
    assert world.audited(world.older) is Verdict.SEAL_WRONG


def test_who_kept_a_checkpoint_sees_it_too(world: World) -> None:
    """Where there is no witness, nothing would tell the one history from the other."""
    world.go_on(world.log, 40)
    kept = Path(shutil.copy(world.log / "checkpoint", world.log.parent / "kept"))
    assert verify(world.log, wanted=Wanted(known=kept)).verdict is Verdict.VERIFIED
    assert verify(world.older, wanted=Wanted(known=kept)).verdict is Verdict.TAIL_CUT
    world.go_on(world.older, 50, 3)
    assert verify(world.older, wanted=Wanted(known=kept)).verdict is Verdict.SEAL_WRONG


def test_two_histories_of_one_size_are_proof_for_everybody(world: World) -> None:
    """The operator would deny it, and the witness have nothing but its word."""
    ours, theirs = world.go_on(world.log, 40), world.go_on(world.older, 42)
    assert ours.says.size == theirs.says.size
    assert world.shown(world.log, 0) == 200
    assert world.shown(world.older, 0) == 409
    (conflict,) = world.states.conflicts()
    for raw in (conflict.ours, conflict.theirs):
        note.check(note.parse(raw), world.key)
    assert {Checkpoint.of(note.parse(raw)).root for raw in (conflict.ours, conflict.theirs)} == {ours.says.root, theirs.says.root}
