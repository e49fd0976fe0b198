"""Where the verifier places what is wrong with signatures, and what it forgives a writer that is at work."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.chain import Head
from audit.files import CHECKPOINT, COSIGNED, HEAD, LOCK, SEALS, segments_in, tree_name
from audit.recovery import read_tree
from audit.tlog import policy
from audit.tlog.merkle import Frontier
from audit.tlog.note import LOG, Verifier
from audit.tlog.sealed import Wanted
from audit.tlog.sealer import Sealer, seal_name
from audit.verdict import Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from tests.audit.made import events_of, lines_of, resealed
from tests.audit.tlog.test_sealing import rewritten, sealed_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of several epochs, closed."""
    return sealed_log(tmp_path / "log")


@pytest.fixture
def held(log: Path) -> Iterator[Path]:
    """The same while somebody holds its lock."""
    with (log / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield log


def ends(log: Path) -> list[int]:
    """The number of each EPOCH_SEALED."""
    return [event["seq"] for event in events_of(log) if event["event_type"] == "EPOCH_SEALED"]


def cut(log: Path, size: int) -> None:
    """Leave the first events, and a head.json that fits."""
    lines = lines_of(log)[:size]
    segments_in(log)[0].write_bytes(b"".join(lines))
    event = events_of(log)[-1]
    (log / HEAD).write_bytes(b'{"chain_id":"%s","hash":"%s","seq":%d}\n' % (event["chain_id"].encode(), lines[-1][-67:-3], size - 1))


def found(log: Path, wanted: Wanted = Wanted()) -> tuple[Verdict, int | None]:  # noqa: B008 - it never changes
    """What a verification says, and where."""
    result = verify(log, wanted=wanted)
    return result.verdict, result.fault.seq if result.fault else None


def test_a_cut_end_is_placed_where_the_first_event_is_missing(log: Path) -> None:
    """[A-50] Who looks into it would begin at the last seal, and not where the end was cut off."""
    size = ends(log)[-1] - 2
    cut(log, size)
    assert found(log) == (Verdict.TAIL_CUT, size)


def test_an_end_of_an_epoch_is_no_end_of_a_log(log: Path) -> None:
    """[A-66] A log could be cut back to any old seal, by somebody without a key."""
    end = ends(log)[1]
    cut(log, end + 1)
    shutil.copy(log / SEALS / seal_name(1), log / CHECKPOINT)
    assert found(log) == (Verdict.SEAL_WRONG, end)
    (log / CHECKPOINT).unlink()
    assert found(log) == (Verdict.UNSEALED, end + 1)


@pytest.mark.parametrize("name", [HEAD, CHECKPOINT, COSIGNED])
@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"{}"), os.mkfifo], ids=["garbage", "pipe"])
def test_a_spoilt_file_hides_no_spoilt_event(log: Path, name: str, spoil: Callable[[Path], object]) -> None:
    """[A-50] [A-53] Who changes an event would garble a file beside it too, and nobody learn which event it was; or wait on a pipe."""
    (log / name).unlink(missing_ok=True)
    spoil(log / name)
    size = len(lines_of(log))
    wanted = {HEAD: (Verdict.MALFORMED, size), CHECKPOINT: (Verdict.SEAL_WRONG, size - 1), COSIGNED: (Verdict.SEAL_WRONG, 0)}[name]
    assert found(log) == wanted
    lines = lines_of(log)
    segments_in(log)[0].write_bytes(b"".join([*lines[:5], resealed(lines[5], mono_us=1), *lines[6:]]))
    assert found(log) == (Verdict.CHAIN_BROKEN, 6)


def test_a_key_that_the_policy_does_not_have_is_wrong_from_the_first_event_on(log: Path) -> None:
    """[A-67] A whole log of another key would be said to be sound up to its end."""
    key = verify(log).key
    other = Verifier(key.split("+")[0], LOG, SigningKey(b"x" * 32).public).vkey
    wanted = Wanted(policy.parse(f"log {other}\nquorum none\n".encode()))
    result = verify(log, wanted=wanted)
    assert (result.verdict, result.fault and result.fault.seq, result.key) == (Verdict.SEAL_WRONG, 0, key)


def test_what_was_kept_has_to_be_a_checkpoint(log: Path, tmp_path: Path) -> None:
    """[A-67] An auditor whose own file is spoilt would get a traceback, or no comparison."""
    (tmp_path / "kept").write_bytes(b"no note")
    assert found(log, Wanted(known=tmp_path / "kept")) == (Verdict.SEAL_WRONG, None)


def test_a_file_meets_no_policy(log: Path) -> None:
    """[A-53] One segment would pass a policy that nobody compared it with."""
    wanted = Wanted(policy.parse(f"log {verify(log).key}\nquorum none\n".encode()))
    assert found(segments_in(log)[0], wanted) == (Verdict.UNSEALED, None)
    assert found(segments_in(log)[0]) == (Verdict.VERIFIED, None)


def test_a_writer_may_be_about_to_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[A-66] Who verifies a log in the moment in which an epoch ends would be alarmed."""
    seen, real = list[tuple[Verdict, int | None]](), Sealer.seal

    def seal(self: Sealer, head: Head, tree: Frontier) -> None:
        seen.append(found(tmp_path / "log"))
        real(self, head, tree)

    monkeypatch.setattr(Sealer, "seal", seal)
    sealed_log(tmp_path / "log")
    assert seen == [(Verdict.VERIFIED, None)] * len(ends(tmp_path / "log"))


def test_a_seal_that_is_gone_is_not_about_to_be_made(held: Path) -> None:
    """[A-66] Who holds the lock could take seals away, and rewrite what they were of."""
    (held / SEALS / seal_name(1)).unlink()
    assert found(held) == (Verdict.UNSEALED, ends(held)[1])


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_lock_forgives_no_rewritten_log_without_a_checkpoint(held: Path, at: int) -> None:
    """[A-66] Who holds the lock could rewrite the newest epoch without any key, and the log would pass as one that is being written."""
    rewritten(held, at % len(lines_of(held)))
    (held / CHECKPOINT).unlink()
    assert found(held)[0] is not Verdict.VERIFIED


def test_a_note_of_a_tree_has_peaks_of_32_bytes(tmp_path: Path) -> None:
    """[A-61] A note of another form would be used, and its log called another than the one that was signed."""
    log = sealed_log(tmp_path / "split", segment_bytes=3_000)
    first = int(segments_in(log)[1].name[6:26])
    assert read_tree(log, first)
    noted = log / tree_name(first)
    noted.write_bytes(noted.read_bytes().replace(b'["', b'["00', 1))
    assert read_tree(log, first) is None
    segments_in(log)[0].unlink()
    result = verify(log, partial=True)
    assert (result.verdict, result.fault and result.fault.seq) == (Verdict.UNSEALED, first)
