"""A witness that lies (T-37).

ATTACK
    The server that a policy names as a witness was taken over, or was never one. It answers with the cosignature of another checkpoint or
    of another key, with an old one of its own, with another witness's name on it, with a size that no log has; or a quorum of two is made
    of one witness that cosigns twice.

EXPECTED REFUSAL
    A cosignature counts when a key of the policy verifies it over this checkpoint, once for each key; whatever else comes is passed over
    or a trouble with that witness [A-63] [A-69]. A quorum is of different keys [A-67].

EXPECTED EVIDENCE
    verdict UNWITNESSED
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.files import COSIGNED
from audit.tlog import note, policy
from audit.tlog.checkpoint import read_signed
from audit.tlog.note import WITNESS, Signature, Verifier
from audit.tlog.policy import Policy
from audit.tlog.sealed import Wanted
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from observability.publication import Publication
from tests.audit.tlog.test_sealing import sealed_log
from tests.observability.witnesses import answering

LIAR, HONEST = SigningKey(b"l" * 32), SigningKey(b"h" * 32)
NOW = 1_790_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of several epochs."""
    return sealed_log(tmp_path / "log")


def asks(log: Path, liar: str = "http://127.0.0.1:9", honest: str = "http://127.0.0.1:9") -> Policy:
    """A policy that wants both witnesses."""
    keys = [Verifier(name, WITNESS, key.public).vkey for name, key in (("liar", LIAR), ("honest", HONEST))]
    lines = (
        f"log {verify(log).key}",
        f"witness liar {keys[0]} {liar}",
        f"witness honest {keys[1]} {honest}",
        "group g all liar honest",
        "quorum g",
    )
    return policy.parse("\n".join(lines).encode())


def twice(text: str) -> list[Signature]:
    """One witness, two lines."""
    return [note.cosign(text, "liar", LIAR, NOW), note.cosign(text, "liar", LIAR, NOW + 1)]


def in_anothers_name(text: str) -> list[Signature]:
    """The other's name and id over one's own signature."""
    mine = note.cosign(text, "liar", LIAR, NOW)
    return [mine, Signature("honest", Verifier("honest", WITNESS, HONEST.public).id, mine.raw)]


def of_an_older_text(text: str) -> list[Signature]:
    """A true cosignature of both, of another checkpoint."""
    other = text.replace("\n", "\n1", 1)
    return [note.cosign(other, "liar", LIAR, NOW), note.cosign(other, "honest", HONEST, NOW)]


def with_another_time(text: str) -> list[Signature]:
    """A true cosignature of the other, said to be newer."""
    true = note.cosign(text, "honest", HONEST, NOW)
    return [note.cosign(text, "liar", LIAR, NOW), true._replace(raw=(NOW + 9).to_bytes(8, "big") + true.raw[8:])]


@pytest.mark.parametrize("lie", [twice, in_anothers_name, of_an_older_text, with_another_time])
def test_a_lie_is_not_a_quorum(log: Path, lie: Callable[[str], list[Signature]]) -> None:
    """One server would vouch for a history in the name of several."""
    signed = read_signed(log / "checkpoint")
    assert signed
    lines = lie(signed.note.text)
    body = "".join(f"{line.line}\n" for line in lines).encode()
    with answering(lambda _: (200, "text/plain", body)) as url:
        step = Publication(log, log.parent / "tree", asks(log, url, url)).step()
    assert step.published is None
    assert step.lacks
    assert not (log / COSIGNED).exists()
    (log / COSIGNED).write_bytes(signed.note._replace(signatures=(*signed.note.signatures, *lines)).raw)
    assert verify(log, wanted=Wanted(asks(log))).verdict in {Verdict.UNWITNESSED, Verdict.SEAL_WRONG}


def test_it_can_refuse_but_not_stop_the_others(log: Path) -> None:
    """One witness would keep the log from being vouched for, where the policy can do without it."""
    signed = read_signed(log / "checkpoint")
    assert signed
    good = f"{note.cosign(signed.note.text, 'honest', HONEST, NOW).line}\n".encode()
    with (
        answering(lambda _: (409, "text/x.tlog.size", b"9007199254740991\n")) as liar,
        answering(lambda _: (200, "text/plain", good)) as honest,
    ):
        wants = asks(log, liar, honest)
        either = wants._replace(groups={"g": wants.groups["g"]._replace(least=1)})
        step = Publication(log, log.parent / "tree", either).step()
        assert (step.lacks, len(step.troubles)) == ("", 1)
    assert verify(log, wanted=Wanted(either)).verdict is Verdict.VERIFIED
    assert verify(log, wanted=Wanted(wants)).verdict is Verdict.UNWITNESSED
