"""The log's notes, trees and proofs before a foreign judge: Go's code of its own checksum database (golang.org/x/mod/sumdb)."""

import json
import random
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from audit.errors import NoteMalformed, ProofWrong, SignatureWrong
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import check_consistency, check_inclusion, consistency, inclusion, leaf, node, root_of
from audit.tlog.note import LOG, Note, Verifier
from core.crypto.primitives import SigningKey
from tests.interop.peers import ModulesError, built
from tests.support import MISSING, requires

pytestmark = [pytest.mark.timeout(900), requires("go")]  # the first test builds a Go program, in a fresh checkout with the Go library too

SIZES = 1_000
LARGEST = 5_000
ENTRIES = [leaf(b"event %d" % number) for number in range(LARGEST)]  # 32 bytes each, as the log's are
LEAVES = [leaf(entry) for entry in ENTRIES]
ORIGIN = "gw-1.example/jvp-audit"


class Judge:
    """The program in Go, running."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def says(self, **request: object) -> dict[str, Any]:
        """Return its answer; bytes become base64, as Go's JSON has them."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request, default=lambda raw: b64encode(raw).decode()).encode() + b"\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer

    def accepts(self, **request: object) -> bool:
        """Tell whether it finds no error."""
        return not self.says(**request)["error"]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """The judge; it draws nothing and keeps nothing."""
    try:
        running = Judge(built("sumdb", tmp_path_factory.mktemp("sumdb")))
    except ModulesError as error:
        pytest.skip(f"{MISSING}go: {error}")
    with running.process:
        yield running


@cache
def subtree(level: int, number: int) -> bytes:
    """Return the root of a whole subtree."""
    return node(subtree(level - 1, 2 * number), subtree(level - 1, 2 * number + 1)) if level else LEAVES[number]


def ours(check: object, *words: object) -> bool:
    """Tell whether our own check accepts."""
    try:
        check(*words)  # type: ignore[operator]  # one of the two checks, with its arguments
    except ProofWrong:
        return False
    return True


def test_every_proof_is_accepted_and_every_changed_one_refused(judge: Judge) -> None:
    """The world's verifiers would refuse our proofs, or accept what we refuse."""
    draw = random.Random("sizes of trees")
    for size in draw.sample(range(2, LARGEST), SIZES):
        index, old = draw.randrange(size), draw.randrange(1, size)
        root, old_root = root_of(0, size, subtree), root_of(0, old, subtree)
        record, tree = inclusion(index, size, subtree), consistency(old, size, subtree)
        told = {"size": size, "root": root}
        assert judge.accepts(op="record", proof=record, index=index, leaf=LEAVES[index], **told)
        assert judge.accepts(op="tree", proof=tree, old=old, old_root=old_root, **told)
        for proof in mutants(record, draw):
            assert not judge.accepts(op="record", proof=proof, index=index, leaf=LEAVES[index], **told)
            assert not ours(check_inclusion, index, size, LEAVES[index], proof, root)
        for proof in mutants(tree, draw):
            assert not judge.accepts(op="tree", proof=proof, old=old, old_root=old_root, **told)
            assert not ours(check_consistency, old, size, old_root, root, proof)


def mutants(proof: list[bytes], draw: random.Random) -> Iterator[list[bytes]]:
    """Yield a proof that lacks a hash, has one too many, and has one bit changed, each at a random place."""
    at = draw.randrange(len(proof) + 1)
    yield [*proof[:at], draw.randbytes(32), *proof[at:]]
    if proof:
        at = draw.randrange(len(proof))
        yield proof[:at] + proof[at + 1 :]
        spoilt = bytearray(proof[at])
        spoilt[draw.randrange(32)] ^= 1 << draw.randrange(8)
        yield [*proof[:at], bytes(spoilt), *proof[at + 1 :]]


def test_its_own_proofs_are_ours(judge: Judge) -> None:
    """We would make other trees than the world, in which each proof is right by itself."""
    draw = random.Random("its own proofs")
    for size in (1, 2, 3, 255, 256, 257, *draw.sample(range(4, 2_000), 20)):
        index, old = draw.randrange(size), draw.randrange(1, size + 1)
        its = judge.says(op="prove", leaves=ENTRIES[:size], index=index, old=old)
        assert its["error"] == ""
        assert b64decode(its["root"]) == root_of(0, size, subtree)
        assert [b64decode(each) for each in its.get("record", [])] == inclusion(index, size, subtree)
        assert [b64decode(each) for each in its.get("tree", [])] == consistency(old, size, subtree)


def signed(key: SigningKey, size: int) -> Note:
    """Return a checkpoint of ours."""
    text = Checkpoint(ORIGIN, size, root_of(0, size, subtree)).text
    return Note(text, (note.sign(text, ORIGIN, key), note.cosign(text, "witness.example/1", SigningKey(bytes(32)), 1_700_000_000)))


def test_checkpoints_are_accepted_and_changed_ones_refused(judge: Judge) -> None:
    """Our checkpoints would not be signed notes for anybody else."""
    key = SigningKey(bytes(range(32)))
    log = Verifier(ORIGIN, LOG, key.public)
    draw, raw = random.Random("bytes of notes"), b""
    for size in draw.sample(range(LARGEST), 50):
        raw = signed(key, size).raw
        assert judge.accepts(op="note", vkey=log.vkey, note=raw)
        note.check(note.parse(raw), log)
        spoilt = bytearray(raw)
        spoilt[draw.randrange(raw.index("\u2014 witness".encode()))] ^= 1 << draw.randrange(7)
        assert not judge.accepts(op="note", vkey=log.vkey, note=bytes(spoilt))
        with pytest.raises((NoteMalformed, SignatureWrong)):
            note.check(note.parse(bytes(spoilt)), log)
    other = Verifier(ORIGIN, LOG, SigningKey(bytes(32)).public)
    assert not judge.accepts(op="note", vkey=other.vkey, note=raw)
    assert not judge.accepts(op="note", vkey=log.vkey.replace("+", "+0", 1), note=raw)
