"""Sealing and its verification: what the writer signs, what a crash leaves, and what somebody with the disk and a key cannot change."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.canonical import canonical, line_of
from audit.chain import digest
from audit.errors import KeyUnusable, LogUnsound
from audit.files import CHECKPOINT, COSIGNED, HEAD, SEALS, segments_in
from audit.journal import Journal, open_journal
from audit.segments import SEGMENT_BYTES
from audit.tlog import epochs, note, policy
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import Frontier, leaf
from audit.tlog.note import WITNESS, Note, Verifier
from audit.tlog.sealed import Sealing, Wanted
from audit.tlog.sealer import Sealer, origin_of, seal_name
from audit.verdict import Result, Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from core.crypto.secret import Secret
from tests.audit.made import BOOT, KEY, NODE, Clock, a_log, builder, events_of, lines_of, opened, records, sealing, story

FACTS = [fact for handle in range(1, 7) for fact in story(handle)]
EPOCH_NS = 8_000_000  # of a clock that goes on by a millisecond each time it is read


def sealed_log(directory: Path, facts: int = 40, *, segment_bytes: int = SEGMENT_BYTES) -> Path:
    """A log of several epochs, closed."""
    sealing(directory)
    log, journal = open_journal(directory, NODE, BOOT, builder(), Clock(), segment_bytes, EPOCH_NS)
    with log:
        for fact in FACTS[:facts]:
            journal.write(*records([fact]))
        assert journal.close()
    return directory


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Such a log."""
    return sealed_log(tmp_path / "log")


def epochs_of(directory: Path) -> list[int]:
    """Which epochs have a seal."""
    return sorted(int(path.name) for path in (directory / SEALS).iterdir())


def test_every_epoch_is_sealed_and_the_rest_signed_for(log: Path) -> None:
    """[A-63] [A-64] A log that its writer has kept would not be vouched for, or not to its end."""
    result = verify(log)
    assert result.verdict is Verdict.VERIFIED
    assert result.sealed == result.events == len(lines_of(log))
    ended = [event["seal"]["epoch"] for event in events_of(log) if event["event_type"] == "EPOCH_SEALED"]
    assert ended == epochs_of(log) == list(range(len(ended)))
    assert len(ended) > 3
    assert epochs.load(epochs.key_path(log)).epoch == len(ended)
    assert result.key == f"{origin_of(events_of(log)[0]['chain_id'])}+" + result.key.split("+", 1)[1]


def test_the_tree_is_that_of_the_events_hashes(log: Path) -> None:
    """[A-60] [A-62] A foreign verifier that hashes what the specification says would come to another root."""
    tree = Frontier()
    tree.extend([leaf(bytes.fromhex(digest(canonical(event)))) for event in events_of(log)])
    said = Checkpoint.of(note.parse((log / CHECKPOINT).read_bytes()))
    assert said == (origin_of(events_of(log)[0]["chain_id"]), tree.size, tree.root())


def test_the_key_of_an_epoch_leads_to_those_after_it_and_to_none_before() -> None:
    """[A-64] Whoever takes today's key could sign for yesterday."""
    first = epochs.LogKeys(0, Secret(KEY), Secret(b"n" * 32))
    second = first.following()
    assert (second.epoch, second.public) == (1, first.following().public)
    assert len({first.public, second.public, second.following().public, first.log.public}) == 4
    assert first.log.public == second.log.public, "what names the log stays"
    assert "Secret" not in repr(first)


@pytest.mark.parametrize("segment_bytes", [1, 3_000, SEGMENT_BYTES])
def test_a_log_goes_on_with_its_tree(tmp_path: Path, segment_bytes: int) -> None:
    """[A-61] After a restart the tree would begin anew, or the whole log be read."""
    directory = sealed_log(tmp_path / "log", segment_bytes=segment_bytes)
    for _ in range(3):
        again, journal = opened(directory, segment_bytes=segment_bytes)
        with again:
            journal.write(*records(FACTS[40:45]))
            assert journal.close()
        result = verify(directory)
        assert (result.verdict, result.sealed) == (Verdict.VERIFIED, result.events)
    for noted in directory.glob("*.tree"):
        noted.unlink()
    again, journal = opened(directory)
    with again:
        assert journal.close()
    assert verify(directory).verdict is Verdict.VERIFIED


def test_a_note_of_another_tree_is_noticed(tmp_path: Path) -> None:
    """[A-61] Whoever can write beside the log would have its writer sign another tree, and nobody see it."""
    directory = sealed_log(tmp_path / "log", segment_bytes=3_000)
    noted = max(directory.glob("*.tree"))
    noted.write_bytes(noted.read_bytes().replace(b"0", b"1"))
    again, journal = opened(directory)
    with again:
        journal.write(*records(FACTS[40:42]))
        assert journal.close()
    result = verify(directory)
    assert result.verdict is Verdict.SEAL_WRONG


class Crash(Exception):
    """The power is gone."""


def until_the_key_changes(journal: Journal, *, closing: bool) -> None:
    """Close a log, or write until its epoch is over."""
    if closing:
        journal.close()
    for fact in FACTS:
        journal.write(*records([fact]))


@pytest.mark.parametrize("seal", ["before", "after", "key"])
@pytest.mark.parametrize("closing", [True, False], ids=["at the end", "in between"])
def test_what_a_crash_leaves_unsealed_is_sealed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: str, *, closing: bool
) -> None:
    """[A-65] A crash at the change of keys would leave an epoch that nobody can seal, or a key that should be gone."""
    directory = tmp_path / "log"
    sealing(directory)
    log, journal = open_journal(directory, NODE, BOOT, builder(), Clock(), SEGMENT_BYTES, EPOCH_NS)
    real = epochs.LogKeys.store

    def fails(key: epochs.LogKeys, path: Path) -> None:
        if seal == "key":
            real(key, path)
        raise Crash

    def dies(*_: object) -> None:
        raise Crash

    with log, monkeypatch.context() as patched:
        if seal == "before":
            patched.setattr(Sealer, "seal", dies)
        else:
            patched.setattr(epochs.LogKeys, "store", fails)
        with pytest.raises(Crash):
            until_the_key_changes(journal, closing=closing)
    assert events_of(directory)[-1]["event_type"] == "EPOCH_SEALED"
    assert verify(directory).verdict is (Verdict.UNSEALED if seal == "before" else Verdict.VERIFIED)
    again, journal = opened(directory)
    with again:
        assert journal.close()
    result = verify(directory)
    assert (result.verdict, result.sealed) == (Verdict.VERIFIED, result.events)


def test_a_full_disk_at_the_change_of_keys_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[A-65] Events of the next epoch would stand before the seal of the last, or evidence be lost with it."""
    directory = tmp_path / "log"
    sealing(directory)
    clock = Clock()
    log, journal = open_journal(directory, NODE, BOOT, builder(), clock, SEGMENT_BYTES, EPOCH_NS)
    real, full = Sealer.seal, [True]

    def seal(*words: object) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*words)  # type: ignore[arg-type]  # as it was called

    with log, monkeypatch.context() as patched:
        patched.setattr(Sealer, "seal", seal)
        for fact in FACTS[:20]:
            journal.write(*records([fact]))
        assert events_of(directory)[-1]["event_type"] == "EPOCH_SEALED"
        assert (journal.troubled, journal.waiting > 0) == (True, True)
        full[0] = False
        clock.ns += 300_000_000
        journal.write((), ())
        assert (journal.waiting, journal.lost) == (0, 0)
        assert journal.close()
    result = verify(directory)
    assert (result.verdict, result.by_type["EPOCH_SEALED"] >= 2) == (Verdict.VERIFIED, True)


def test_an_old_copy_of_the_key_is_not_signed_with(log: Path, tmp_path: Path) -> None:
    """[A-65] A key that was put back from a copy would sign what nobody believes any more."""
    (tmp_path / "audit.key").unlink()
    sealing(log)
    with pytest.raises(LogUnsound, match="it is an old copy"):
        opened(log)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "not a key"),
        (lambda path: path.write_bytes(b"y" * epochs.FORM.size), "not a key"),
        (lambda path: path.chmod(0o640), "mode 0640"),
    ],
)
def test_a_key_that_cannot_be_used_is_called_so(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    """[A-64] A log would be signed by a key that others can read, or the writer end with a traceback."""
    path = epochs.key_path(tmp_path / "log")
    sealing(tmp_path / "log")
    spoil(path)
    with pytest.raises(KeyUnusable, match=said):
        epochs.load(path)


def rewritten(log: Path, at: int) -> None:
    """Change an event and everything that follows from it: hashes, links, head.json. All but signatures."""
    events, previous, lines = events_of(log), "", list[bytes]()
    for number, event in enumerate(events):
        if number == at:
            event["mono_us"] += 1
        event["prev_hash"] = previous or event["prev_hash"]
        data = canonical(event)
        previous = digest(data)
        lines.append(line_of(data, previous))
    for segment in segments_in(log)[1:]:
        segment.unlink()
    segments_in(log)[0].write_bytes(b"".join(lines))
    (log / HEAD).write_bytes(canonical({"chain_id": events[0]["chain_id"], "hash": previous, "seq": len(lines) - 1}) + b"\n")


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_log_that_was_rewritten_with_new_hashes_is_noticed(log: Path, at: int) -> None:
    """[A-63] Whoever can write the log's directory could rewrite any of it with new hashes."""
    rewritten(log, at)
    result = verify(log)
    assert result.verdict is Verdict.SEAL_WRONG
    assert result.fault
    ends = [event["seq"] for event in events_of(log) if event["event_type"] == "EPOCH_SEALED"]
    assert result.fault.seq == min([end for end in ends if end >= at] or [len(lines_of(log)) - 1])


def resigned(log: Path, tmp_path: Path) -> None:
    """Sign the newest tree again with the key that is in the file."""
    key = epochs.load(tmp_path / "audit.key")
    tree = Frontier()
    tree.extend([leaf(bytes.fromhex(digest(canonical(event)))) for event in events_of(log)])
    text = Checkpoint(origin_of(events_of(log)[0]["chain_id"]), tree.size, tree.root()).text
    (log / CHECKPOINT).write_bytes(Note(text, (note.sign(text, text.split("\n")[0], key.signing),)).raw)


def test_todays_key_cannot_rewrite_yesterday(log: Path, tmp_path: Path) -> None:
    """[A-64] Whoever takes the key and the disk could rewrite all of the history, not only that of this epoch."""
    rewritten(log, 5)
    resigned(log, tmp_path)
    assert verify(log).verdict is Verdict.SEAL_WRONG
    shutil.rmtree(log / SEALS)
    assert verify(log).verdict is Verdict.UNSEALED


@pytest.mark.parametrize(
    ("damage", "verdict"),
    [
        (lambda log: (log / CHECKPOINT).unlink(), Verdict.UNSEALED),
        (lambda log: (log / CHECKPOINT).write_bytes(b"no note"), Verdict.SEAL_WRONG),
        (lambda log: (log / SEALS / seal_name(1)).unlink(), Verdict.UNSEALED),
        (lambda log: shutil.copy(log / SEALS / seal_name(1), log / SEALS / seal_name(2)), Verdict.SEAL_WRONG),
        (lambda log: shutil.copy(log / SEALS / seal_name(1), log / CHECKPOINT), Verdict.SEAL_WRONG),
        (lambda log: (log / SEALS / seal_name(1)).write_bytes(b"\xff"), Verdict.SEAL_WRONG),
    ],
)
def test_what_is_not_signed_for_fails(log: Path, damage: Callable[[Path], object], verdict: Verdict) -> None:
    """[A-66] A log without its signatures would pass: that is how signing is attacked first."""
    damage(log)
    assert verify(log).verdict is verdict


def test_a_log_from_before_is_unsealed(tmp_path: Path) -> None:
    """[A-66] A log that was never signed for would be called verified like one that is."""
    log = a_log(tmp_path / "log", FACTS[:3])
    for name in (CHECKPOINT,):
        (log / name).unlink()
    shutil.rmtree(log / SEALS)
    result = verify(log)
    assert result.verdict is Verdict.UNSEALED


def cosigned(log: Path, *witnesses: SigningKey) -> None:
    """Let witnesses cosign the newest checkpoint."""
    signed = note.parse((log / CHECKPOINT).read_bytes())
    lines = [note.cosign(signed.text, "w.example", witness, 1_795_000_000) for witness in witnesses]
    (log / COSIGNED).write_bytes(Note(signed.text, (*signed.signatures, *lines)).raw)


def judged(log: Path, quorum: str, **pin: str) -> Result:
    """Verify with a policy of two witnesses."""
    lines = [f"log {pin.get('key') or verify(log).key}"]
    lines += [f"witness {name} {Verifier('w.example', WITNESS, SigningKey(name.encode() * 32).public).vkey}" for name in "ab"]
    lines += ["group both all a b", f"quorum {quorum}", ""]
    return verify(log, wanted=Wanted(policy.parse("\n".join(lines).encode())))


def test_a_policy_asks_for_its_key_and_its_witnesses(log: Path) -> None:
    """[A-67] A log of somebody else's making, or one that no witness has seen, would satisfy an auditor."""
    a, b, stranger = (SigningKey(name * 32) for name in (b"a", b"b", b"c"))
    assert judged(log, "none").verdict is Verdict.VERIFIED
    other = Verifier(verify(log).key.split("+")[0], note.LOG, stranger.public).vkey
    assert judged(log, "none", key=other).verdict is Verdict.SEAL_WRONG
    assert judged(log, "a").verdict is Verdict.UNWITNESSED
    cosigned(log, a, stranger)
    result = judged(log, "a")
    assert (result.verdict, result.witnessed) == (Verdict.VERIFIED, result.events)
    assert judged(log, "both").verdict is Verdict.UNWITNESSED
    cosigned(log, a, b)
    assert judged(log, "both").verdict is Verdict.VERIFIED
    key, spoilt = verify(log).key, bytearray((log / COSIGNED).read_bytes())
    spoilt[-10] ^= 1
    (log / COSIGNED).write_bytes(spoilt)
    assert judged(log, "none", key=key).verdict is Verdict.SEAL_WRONG, "a forged line of a known witness spoils the file"


def test_a_log_that_goes_on_meanwhile_is_no_cut_log(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[A-66] A writer that begins a segment while its log is verified would be taken for somebody who cut it."""
    again, journal = opened(log, segment_bytes=1)
    real = Sealing.__init__

    def meanwhile(sealing: Sealing, *arguments: object, **words: object) -> None:
        journal.write(*records(FACTS[40:42]))
        journal.sign()
        real(sealing, *arguments, **words)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(Sealing, "__init__", meanwhile)
    with again:
        assert verify(log).verdict is Verdict.VERIFIED
