"""A history is rewritten as a whole (T-35).

ATTACK
    Somebody takes over the host of the log: they can write its directory, and have the key that signs the log now. They change an event of
    before and make all hashes, head.json and the newest checkpoint anew; they take the seals away, or put those of another log there; they
    make the whole log anew with a key of their own.

EXPECTED REFUSAL
    What an older key has sealed stays sealed: that key is destroyed, and the one of now does not lead back to it [A-64] [A-65]. A log
    without its seals, or with a tail that nobody has signed for, is a fault and no pass [A-66]. An auditor's policy knows the key and the
    witnesses [A-67], and the tree is over the hashes of all events [A-60].

EXPECTED EVIDENCE
    verdict SEAL_WRONG
    verdict UNSEALED
    verdict UNWITNESSED
    EPOCH_SEALED / EPOCH_OVER
    EPOCH_SEALED / EPOCH_CLOSED
"""

import shutil
from pathlib import Path

import pytest

from audit.files import CHECKPOINT, SEALS, create_key
from audit.tlog import epochs, policy
from audit.tlog.note import LOG, WITNESS, Verifier
from audit.tlog.policy import Policy
from audit.tlog.sealed import Wanted
from audit.tlog.sealer import Sealer, origin_of
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from tests.audit.made import events_of
from tests.audit.tlog.test_sealing import cosigned, resigned, rewritten, sealed_log

W = SigningKey(b"w" * 32)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of several epochs."""
    return sealed_log(tmp_path / "log")


def of_the_auditor(key: str, quorum: str = "none") -> Policy:
    """Return the policy of somebody who noted the key, and knows a witness."""
    return policy.parse(f"log {key}\nwitness w {Verifier('w.example', WITNESS, W.public).vkey}\nquorum {quorum}\n".encode())


def test_what_older_keys_have_sealed_stays(log: Path, tmp_path: Path) -> None:
    """The intruder's own arrival would be taken out of the history."""
    assert {event["reason_code"] for event in events_of(log) if event["event_type"] == "EPOCH_SEALED"} == {"EPOCH_OVER", "EPOCH_CLOSED"}
    rewritten(log, 3)
    resigned(log, tmp_path)
    result = verify(log)
    assert result.verdict is Verdict.SEAL_WRONG
    assert result.fault
    assert result.fault.seq == next(event["seq"] for event in events_of(log) if event["event_type"] == "EPOCH_SEALED")


def test_without_its_seals_it_is_none(log: Path) -> None:
    """Who takes the signatures away would have a log that passes as it did before there were any."""
    shutil.rmtree(log / SEALS)
    assert verify(log).verdict is Verdict.UNSEALED


def test_a_log_of_somebody_elses_making_is_not_the_auditors(log: Path, tmp_path: Path) -> None:
    """A whole new history with a new key would satisfy whoever does not know the old one."""
    key = verify(log).key
    assert verify(log, wanted=Wanted(of_the_auditor(key))).verdict is Verdict.VERIFIED
    create_key(epochs.key_path(tmp_path / "other" / "log"), epochs.fresh(b"another key of thirty-two bytes!"))
    other = sealed_log(tmp_path / "other" / "log", 12)
    assert verify(other).verdict is Verdict.VERIFIED
    assert verify(other, wanted=Wanted(of_the_auditor(key))).verdict is Verdict.SEAL_WRONG
    shutil.copy(log / CHECKPOINT, other / CHECKPOINT)
    assert verify(other).verdict is Verdict.TAIL_CUT


def test_a_key_that_is_only_named_has_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes a history with keys of their own would only have to name the auditor's key as that of the log."""
    victim, forger = SigningKey(b"v" * 32), tmp_path / "log"
    real = Sealer._told
    monkeypatch.setattr(Sealer, "_told", staticmethod(lambda epoch, key: real(epoch, key) | {"log": victim.public.hex()}))
    sealed_log(forger)
    key = Verifier(origin_of(events_of(forger)[0]["chain_id"]), LOG, victim.public).vkey
    assert verify(forger, wanted=Wanted(of_the_auditor(key))).verdict is Verdict.SEAL_WRONG
    shutil.rmtree(forger / SEALS)
    (forger / CHECKPOINT).unlink()
    assert verify(forger, wanted=Wanted(of_the_auditor(key))).verdict is Verdict.UNSEALED


def test_an_older_state_is_known_to_the_witness(log: Path) -> None:
    """A log that is put back to an older state, and goes on from there, would be as good as the one that was."""
    asks = of_the_auditor(verify(log).key, "w")
    assert verify(log, wanted=Wanted(asks)).verdict is Verdict.UNWITNESSED
    cosigned(log, W)
    assert verify(log, wanted=Wanted(asks)).verdict is Verdict.VERIFIED
