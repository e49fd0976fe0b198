"""A witness: every answer of its specification, what it keeps, and the races that would make it forget."""

import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.errors import KeyUnusable, NoteMalformed
from audit.tlog import note, witness_key
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import EMPTY, Frontier, consistency, leaf
from audit.tlog.note import LOG, WITNESS, Note, Verifier
from audit.tlog.tiles import Memory, Tiles
from audit.tlog.witness import CONFLICTS_MAX, PLAIN, SIZE_TYPE, Answer, Request, States, Witness
from core.crypto.primitives import SigningKey

ORIGIN, NAME, NOW = "jvp-audit/of-a-test", "witness.example/w", 1_790_000_000
KEY, OTHER, W = SigningKey(b"k" * 32), SigningKey(b"o" * 32), SigningKey(b"w" * 32)
ENTRIES = [number.to_bytes(32, "big") for number in range(600)]


class History:
    """A log, as far as its witness sees it; `fork` changes all its entries from there on."""

    def __init__(self, fork: int | None = None) -> None:
        self.entries = [entry if fork is None or number < fork else b"\xff" + entry[1:] for number, entry in enumerate(ENTRIES)]
        self.tiles = Tiles(Memory())
        self.tiles.extend(self.entries)
        self.tiles.settle()

    def says(self, size: int) -> Checkpoint:
        """What its checkpoint of this size says."""
        tree = Frontier()
        tree.extend([leaf(entry) for entry in self.entries[:size]])
        return Checkpoint(ORIGIN, size, tree.root())

    def asks(self, old: int, size: int, key: SigningKey = KEY) -> Request:
        """An honest request from one size to another."""
        text = self.says(size).text
        return Request(old, tuple(consistency(old, size, self.tiles.subtree)), Note(text, (note.sign(text, ORIGIN, key),)))


HONEST, FORKED = History(), History(fork=100)


@pytest.fixture
def states(tmp_path: Path) -> States:
    """What a new witness has cosigned: nothing."""
    return States(tmp_path / "witness.db")


@pytest.fixture
def witness(states: States) -> Witness:
    """A new witness, which knows one log."""
    return Witness(NAME, W, {ORIGIN: (Verifier(ORIGIN, LOG, KEY.public),)}, states)


def test_what_goes_on_is_cosigned(witness: Witness, states: States) -> None:
    """[A-70] An honest log would get no cosignature, or one that nobody can verify."""
    old = 0
    for size in (1, 3, 3, 256, 257, 600):
        request = HONEST.asks(old, size)
        answer = witness.add_checkpoint(request.raw, NOW + size)
        assert (answer.status, answer.content_type) == (200, PLAIN)
        (line,) = answer.body.decode().splitlines()
        cosigned = Note(request.signed.text, (note.parse_line(line),))
        verifier = Verifier(NAME, WITNESS, W.public)
        assert note.cosigners(cosigned, [verifier]) == [(verifier, NOW + size)]
        old = size
    assert states.latest() == [HONEST.says(600)]
    assert states.conflicts() == []


def asked(request: Request, **changed: object) -> bytes:
    """A request with something changed."""
    return request._replace(**changed).raw  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "the first line is not"),
        (b"old 0\n\n", 400, "no empty line before signatures|not UTF-8|note"),
        (b"old 00\n\n" + HONEST.asks(0, 3).signed.raw, 400, "not a size"),
        (b"new 0\n\n" + HONEST.asks(0, 3).signed.raw, 400, "the first line is not"),
        (b"old 0\nAAAA\n\n" + HONEST.asks(0, 3).signed.raw, 400, "has 32 bytes"),
        (b"old \xff\n\n" + HONEST.asks(0, 3).signed.raw, 400, "ASCII"),
        (asked(HONEST.asks(0, 3), proof=(bytes(32),) * 64), 400, "64 hashes"),
        (asked(HONEST.asks(0, 3), signed=Note("no checkpoint\n", HONEST.asks(0, 3).signed.signatures)), 400, "three"),
        (b"x" * 80_000, 400, "80000 bytes"),
        (asked(HONEST.asks(0, 3), old=4), 400, "above"),
        (HONEST.asks(0, 3).raw.replace(ORIGIN.encode(), b"jvp-audit/other"), 404, "is not a log"),
        (HONEST.asks(0, 3, OTHER).raw, 403, "no signature"),
        (asked(HONEST.asks(0, 3), signed=Note(HONEST.says(4).text, HONEST.asks(0, 3).signed.signatures)), 403, "no signature"),
        (asked(HONEST.asks(1, 3), old=0), 422, "too many"),
        (HONEST.asks(1, 3).raw, 409, "^0$"),
    ],
)
def test_what_it_refuses_changes_nothing(witness: Witness, states: States, body: bytes, status: int, said: str) -> None:
    """[A-70] Garbage would be cosigned, or make the witness forget, or tell the client something else than is wrong."""
    answer = witness.add_checkpoint(body, NOW)
    assert answer.status == status
    assert re.search(said, answer.body.decode())
    assert states.latest() == []


def test_an_old_state_is_told_what_is_known(witness: Witness, states: States) -> None:
    """[A-70] A log that was put back to yesterday would be cosigned again; and an honest one could not find its place."""
    assert witness.add_checkpoint(HONEST.asks(0, 200).raw, NOW).status == 200
    for request in (HONEST.asks(0, 150), HONEST.asks(0, 300), HONEST.asks(150, 300), HONEST.asks(100, 150), HONEST.asks(199, 200)):
        assert witness.add_checkpoint(request.raw, NOW) == Answer(409, b"200\n", SIZE_TYPE)
    assert states.latest() == [HONEST.says(200)]
    assert states.conflicts() == []


@pytest.mark.parametrize("size", [201, 300, 600])
def test_another_history_is_not_gone_on_with(witness: Witness, states: States, size: int) -> None:
    """[A-70] A log could show the auditor another history than it showed the witness."""
    assert witness.add_checkpoint(HONEST.asks(0, 200).raw, NOW).status == 200
    assert witness.add_checkpoint(FORKED.asks(200, size).raw, NOW).status == 422
    assert witness.add_checkpoint(asked(FORKED.asks(200, size), proof=HONEST.asks(200, size).proof), NOW).status == 422
    assert states.latest() == [HONEST.says(200)]


@pytest.mark.parametrize("old", [0, 150, 200])
def test_two_histories_of_one_size_are_kept_as_proof(witness: Witness, states: States, old: int) -> None:
    """[A-71] Who equivocates would be refused, and nobody could show it to a third party."""
    assert witness.add_checkpoint(HONEST.asks(0, 200).raw, NOW).status == 200
    for _ in range(2):
        assert witness.add_checkpoint(FORKED.asks(old, 200).raw, NOW + 5) == Answer(409, b"200\n", SIZE_TYPE)
    (conflict,) = states.conflicts()
    assert (conflict.origin, conflict.time_s) == (ORIGIN, NOW + 5)
    for raw, history in ((conflict.ours, HONEST), (conflict.theirs, FORKED)):
        note.check(note.parse(raw), Verifier(ORIGIN, LOG, KEY.public))
        assert Checkpoint.of(note.parse(raw)) == history.says(200)


def test_what_is_kept_as_proof_is_bounded(witness: Witness, states: States) -> None:
    """[A-71] Whoever has a log's key could fill the witness's disk."""
    assert witness.add_checkpoint(HONEST.asks(0, 200).raw, NOW).status == 200
    for number in range(CONFLICTS_MAX + 3):
        text = Checkpoint(ORIGIN, 200, number.to_bytes(32, "big")).text
        signed = Note(text, (note.sign(text, ORIGIN, KEY),))
        assert witness.add_checkpoint(Request(200, (), signed).raw, NOW).status == 409
    assert len(states.conflicts()) == CONFLICTS_MAX


def test_an_empty_tree_has_one_root(witness: Witness) -> None:
    """[A-70] A first checkpoint with a false root of nothing would lock the log out for ever."""
    for root, status in ((bytes(32), 422), (EMPTY, 200)):
        text = Checkpoint(ORIGIN, 0, root).text
        assert witness.add_checkpoint(Request(0, (), Note(text, (note.sign(text, ORIGIN, KEY),))).raw, NOW).status == status
    assert witness.add_checkpoint(HONEST.asks(0, 3).raw, NOW).status == 200


def test_the_race_of_the_specification_is_lost_by_the_older(witness: Witness, states: States) -> None:
    """[A-71] Between check and update another request would come, and the witness go back by some leaves."""
    requests = [HONEST.asks(0, size).raw for size in range(100, 140)]
    for _ in range(25):
        with states.exchange() as connection:
            connection.execute("DELETE FROM latest")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda body: witness.add_checkpoint(body, NOW), requests))
        assert sorted(answer.status for answer in answers) == [200] + [409] * 39
        won = next(size for size, answer in zip(range(100, 140), answers, strict=True) if answer.status == 200)
        assert states.latest() == [HONEST.says(won)]


def test_steps_at_once_only_go_up(witness: Witness, states: States) -> None:
    """[A-71] Two clients that both go on would leave a witness that has cosigned more than it knows."""
    assert witness.add_checkpoint(HONEST.asks(0, 100).raw, NOW).status == 200
    cosigned = []

    def client(seed: int) -> None:
        known = 100
        for size in range(101 + seed, 400, 4):
            answer = witness.add_checkpoint(HONEST.asks(known, size).raw, NOW)
            if answer.status == 409 and int(answer.body) < size:
                answer = witness.add_checkpoint(HONEST.asks(int(answer.body), size).raw, NOW)
            if answer.status == 200:
                cosigned.append(size)
                known = size

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(client, range(4)))
    assert len(set(cosigned)) == len(cosigned)
    assert states.latest() == [HONEST.says(max(cosigned))]


@pytest.mark.parametrize("moment", ["before it is kept", "while it is kept"])
def test_what_cannot_be_kept_is_not_cosigned(
    witness: Witness, states: States, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """[A-71] After a full disk the witness would have cosigned what it does not know of."""
    assert witness.add_checkpoint(HONEST.asks(0, 100).raw, NOW).status == 200
    with monkeypatch.context() as patched:
        signs: list[str] = []
        patched.setattr(note, "cosign", lambda *_: signs.append("signed"))
        if moment == "while it is kept":
            full(patched, tmp_path / "witness.db")
        else:
            patched.setattr(States, "exchange", lambda _: (_ for _ in ()).throw(sqlite3.OperationalError("disk I/O error")))
        with pytest.raises(sqlite3.Error):
            witness.add_checkpoint(HONEST.asks(100, 200).raw, NOW)
        assert not signs
    assert states.latest() == [HONEST.says(100)]
    assert witness.add_checkpoint(HONEST.asks(100, 200).raw, NOW).status == 200


def full(patched: pytest.MonkeyPatch, path: Path) -> None:
    """Let each write to this database fail."""
    real = sqlite3.connect

    def connect(*arguments: object, **words: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **words)  # type: ignore[call-overload]  # whatever it is called with
        connection.execute("PRAGMA query_only = 1")
        return connection

    assert path.exists()
    patched.setattr(sqlite3, "connect", connect)


def test_a_witness_key_is_read_as_it_was_made(tmp_path: Path) -> None:
    """[A-70] A witness would change its name or key with a restart, and its cosignatures count for nothing."""
    made = witness_key.create(tmp_path / "w.key", NAME, b"s" * 32)
    assert witness_key.load(tmp_path / "w.key").verifier == made.verifier
    assert (tmp_path / "w.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        witness_key.create(tmp_path / "w.key", NAME, b"t" * 32)
    with pytest.raises(NoteMalformed):
        witness_key.create(tmp_path / "x.key", "two words", b"t" * 32)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.chmod(0o640), "mode 0640"),
        (lambda path: path.write_bytes(b"another file"), "not a key"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "not a key"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\xff"), "not a key"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_key_that_is_none_is_not_used(tmp_path: Path, harm: Callable[[Path], object], said: str) -> None:
    """A witness would start with a key that others can read, or with a traceback."""
    witness_key.create(tmp_path / "w.key", NAME, b"s" * 32)
    harm(tmp_path / "w.key")
    with pytest.raises(KeyUnusable, match=said):
        witness_key.load(tmp_path / "w.key")
