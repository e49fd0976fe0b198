"""Asking witnesses: real ones in their own processes, and servers that lie, hang or talk nonsense."""

import re
import shutil
import time
from pathlib import Path

import pytest

from audit.files import COSIGNED
from audit.tlog import note, policy, witness_key
from audit.tlog.checkpoint import Signed, read_signed
from audit.tlog.note import WITNESS, Verifier
from audit.tlog.publishing import Publisher
from audit.tlog.sealed import Wanted
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from observability.cosigning import Cosigners
from observability.publication import Publication
from tests.audit.made import opened, records
from tests.audit.tlog.test_sealing import FACTS, sealed_log
from tests.observability.witnesses import Reply, answering, log_line, policy_file, running, several

W = SigningKey(b"w" * 32)
VKEY = Verifier("w", WITNESS, W.public).vkey


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of several epochs."""
    return sealed_log(tmp_path / "log")


def go_on(log: Path, first: int) -> None:
    """Let the log grow by a run of its writer."""
    again, journal = opened(log)
    with again:
        journal.write(*records(FACTS[first : first + 5]))
        assert journal.close()


def test_two_of_three_are_enough_and_the_log_goes_on(log: Path, tmp_path: Path) -> None:
    """[A-69] [A-70] One witness that is away would keep the log from being vouched for; or none of them would be missed."""
    with several(tmp_path, log, 3) as witnesses:
        asks = policy.parse(policy_file(tmp_path / "policy", log, witnesses, 2).read_bytes())
        publication = Publication(log, tmp_path / "tree", asks)
        step = publication.step()
        assert (step.lacks, step.troubles) == ("", ())
        assert len(asks.cosigned(note.parse((log / COSIGNED).read_bytes()))) == 3
        assert publication.step().published is None, "it is published already"
        witnesses[0].process.terminate()
        witnesses[0].process.wait(30)
        go_on(log, 40)
        step = publication.step()
        assert step.lacks == ""
        assert [trouble[:10] for trouble in step.troubles] == ["witness w0"]
        assert verify(log, wanted=Wanted(asks)).witnessed == step.signed.says.size  # type: ignore[union-attr]  # there is one
        witnesses[1].process.terminate()
        witnesses[1].process.wait(30)
        go_on(log, 45)
        before = (log / COSIGNED).read_bytes()
        step = publication.step()
        assert "no quorum" in step.lacks
        assert (log / COSIGNED).read_bytes() == (tmp_path / "tree" / "checkpoint").read_bytes() == before
        with running(tmp_path, log, 1, int(witnesses[1].url.rpartition(":")[2])):
            assert publication.step().lacks == ""


def test_a_log_that_was_put_back_is_caught(log: Path, tmp_path: Path) -> None:
    """[A-70] Who restores yesterday's log, and goes on from there, would get it cosigned."""
    older = shutil.copytree(log, tmp_path / "older")
    key = (tmp_path / "audit.key").read_bytes()
    go_on(log, 40)
    with several(tmp_path, log, 1) as witnesses:
        asks = policy.parse(policy_file(tmp_path / "policy", log, witnesses, 1).read_bytes())
        assert Publication(log, tmp_path / "tree", asks).step().lacks == ""
        step = Publication(older, tmp_path / "other-tree", asks).step()
        assert step.lacks
        assert "an older state" in step.troubles[0]
        (tmp_path / "audit.key").write_bytes(key)
        go_on(older, 50)
        go_on(older, 55)
        step = Publication(older, tmp_path / "other-tree", asks).step()
        assert step.lacks
        assert "422" in step.troubles[0]


def reply(status: int, body: bytes, kind: str = "text/plain") -> Reply:
    """A server that always says this."""
    return lambda _: (status, kind, body)


def of_another(body: bytes) -> tuple[int, str, bytes]:
    """Cosign another checkpoint than was asked for."""
    return 200, "text/plain", f"{note.cosign('other' + _text(body), 'w', W, 1).line}\n".encode()


def of_nobody(body: bytes) -> tuple[int, str, bytes]:
    """Cosign with a key that the policy does not know."""
    return 200, "text/plain", f"{note.cosign(_text(body), 'w', SigningKey(bytes(32)), 1).line}\n".encode()


def with_more(body: bytes) -> tuple[int, str, bytes]:
    """Cosign as asked, and add a line of somebody else."""
    lines = [note.cosign(_text(body), "x", SigningKey(bytes(32)), 1).line, note.cosign(_text(body), "w", W, 1).line]
    return 200, "text/plain", "".join(f"{line}\n" for line in lines).encode()


def slow(_: bytes) -> tuple[int, str, bytes]:
    """Answer too late."""
    time.sleep(1.5)
    return 200, "text/plain", b""


def _text(body: bytes) -> str:
    return note.parse(body.partition(b"\n\n")[2]).text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(500, b"<b>oops</b>\n\x1b[31m"), "answers 500: '<b>oops</b>.n.x1b"),
        (reply(302, b""), "answers 302"),
        (reply(403, b"no signature"), "answers 403: 'no signature'"),
        (reply(200, b""), "without a signature of the policy's key"),
        (reply(200, b"\xff\xfe"), "no signature line"),
        (reply(200, "\u2014 w AAAA\n".encode()), "signature without bytes"),
        (reply(200, b"x" * 100_000 + b"\n"), "is not a signature line|without a signature"),
        (of_another, "is wrong"),
        (of_nobody, "without a signature of the policy's key"),
        (reply(409, b"many\n", "text/x.tlog.size"), "is not a size"),
        (reply(409, b"9007199254740991\n", "text/x.tlog.size"), "an older state"),
        (reply(409, b"3\n", "text/x.tlog.size"), "another history"),
        (reply(409, b"gone\n"), "another history"),
        (slow, "cannot be asked"),
    ],
)
def test_who_is_no_witness_vouches_for_nothing(log: Path, answer: Reply, said: str) -> None:
    """[A-69] A server that lies would count as a witness, or keep the log from being published by a traceback."""
    with answering(answer) as url:
        asks = policy.parse(f"{log_line(log)}witness w {VKEY} {url}\nquorum w\n".encode())
        publisher = Publisher(log)
        signed = publisher.advance()
        assert signed
        cosigners = Cosigners(asks, timeout_seconds=1)
        cosigned, (asked,) = cosigners.ask(signed, publisher.consistency)
        assert cosigners.ask(signed, publisher.consistency)[0] == cosigned, "what it claimed the first time is asked for the second time"
    assert cosigned == signed.note
    assert asked.signature is None
    assert re.search(said, asked.trouble)


def test_lines_of_others_are_passed_over(log: Path) -> None:
    """[A-69] A witness that also signs for somebody else could not be used."""
    with answering(with_more) as url:
        asks = policy.parse(f"{log_line(log)}witness w {VKEY} {url}\nquorum w\n".encode())
        assert Publication(log, log.parent / "tree", asks).step().lacks == ""


def test_a_witness_that_hangs_holds_up_no_other(log: Path, tmp_path: Path) -> None:
    """[A-69] One slow witness would cost the others their turn."""
    with answering(slow) as url, running(tmp_path, log) as good:
        lines = f"{log_line(log)}witness slow {VKEY} {url}\nwitness good {good.vkey} {good.url}\ngroup g 1 slow good\nquorum g\n"
        asks = policy.parse(lines.encode())
        publisher = Publisher(log)
        signed = publisher.advance()
        assert signed
        cosigned, asked = Cosigners(asks, timeout_seconds=1).ask(signed, publisher.consistency)
        assert [each.signature is not None for each in asked] == [False, True]
        assert asks.cosigned(cosigned)


def test_what_a_witness_cosigned_survives_kill(log: Path, tmp_path: Path) -> None:
    """[A-71] A witness that is killed would forget what it saw, and cosign another history."""
    with running(tmp_path, log) as first:
        asks = policy.parse(policy_file(tmp_path / "policy", log, [first], 1).read_bytes())
        assert Publication(log, tmp_path / "tree", asks).step().lacks == ""
        first.process.kill()
        first.process.wait(30)
    with running(tmp_path, log, 0, int(first.url.rpartition(":")[2])):
        go_on(log, 40)
        publisher = Publisher(log)
        signed = publisher.advance()
        assert signed
        again = Cosigners(asks).ask(signed, publisher.consistency)
        assert again[1][0].trouble == ""
        smaller = read_signed(tmp_path / "tree" / "checkpoint")
        assert isinstance(smaller, Signed)
        assert "an older state" in Cosigners(asks).ask(smaller, publisher.consistency)[1][0].trouble


def test_freshness_is_what_the_auditor_asks_for(log: Path, tmp_path: Path) -> None:
    """[A-67] A log that nobody has witnessed for a year would pass as one of today."""
    key = witness_key.create(tmp_path / "w.key", "w", b"w" * 32)
    asks = policy.parse(f"{log_line(log)}witness w {key.verifier.vkey}\nquorum w\n".encode())
    signed = read_signed(log / "checkpoint")
    assert signed
    line = note.cosign(signed.note.text, "w", key.signing, 1_000_000)
    (log / COSIGNED).write_bytes(signed.note._replace(signatures=(*signed.note.signatures, line)).raw)
    assert verify(log, wanted=Wanted(asks)).verdict is Verdict.VERIFIED
    assert verify(log, wanted=Wanted(asks, 1_000_000)).verdict is Verdict.VERIFIED
    result = verify(log, wanted=Wanted(asks, 1_000_001))
    assert (result.verdict, "since 1970-01-12T13:46:41Z" in str(result.fault)) == (Verdict.UNWITNESSED, True)
