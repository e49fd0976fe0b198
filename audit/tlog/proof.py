"""Proof files (C2SP tlog-proof): one event, the hashes that lead from it to a checkpoint, and the checkpoint with its cosignatures (A-69).

Ours carry the event itself as extra data, so that one file and a policy say all.
"""

from base64 import b64encode
from typing import Any, Final, NamedTuple

from audit.canonical import LINE_BYTES_MAX, parse_valid, split
from audit.chain import digest
from audit.errors import EventRefused, LineMalformed, NoteMalformed, SignatureWrong
from audit.schema import check
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint, hashes_of, size_of
from audit.tlog.merkle import check_inclusion, leaf
from audit.tlog.note import Note, decoded
from audit.tlog.policy import Policy
from audit.tlog.sealer import origin_of

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX: Final = 2 * LINE_BYTES_MAX + 2 * note.NOTE_BYTES_MAX


class Proof(NamedTuple):
    """A proof file: which leaf, the hashes from its sibling on, the signed checkpoint; and the line of the log, empty when it has none."""

    leaf: int
    hashes: tuple[bytes, ...]
    signed: Note
    line: bytes = b""

    @property
    def raw(self) -> bytes:
        """Return the file's bytes."""
        extra = [f"extra {b64encode(self.line).decode()}"] if self.line else []
        lines = [FIRST_LINE, *extra, f"index {self.leaf}", *(b64encode(each).decode() for each in self.hashes)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.signed.raw

    def entry(self) -> bytes:
        """Return the hash of the event that the file carries, computed from its bytes; raise LineMalformed."""
        data, told = split(self.line)
        if digest(data) != told:
            raise LineMalformed("the event is not the one that its line says")
        return bytes.fromhex(told)

    def event(self, says: Checkpoint) -> dict[str, Any] | None:
        """Return the event that the file carries, if it does.

        Raises LineMalformed unless it is a valid event with the number of this leaf, and of the log that the checkpoint is of: whose key
        signs could show one event in the place of another.
        """
        if not self.line:
            return None
        try:
            event = parse_valid(split(self.line).event, check)
        except EventRefused as error:
            raise LineMalformed(f"not a valid event: {error}") from error
        if (event["seq"], origin_of(event["chain_id"])) != (self.leaf, says.origin):
            raise LineMalformed(f"event {event['seq']} of chain {event['chain_id']}, where event {self.leaf} of {says.origin} must be")
        return event

    def check(self, entry: bytes, policy: Policy) -> Checkpoint:
        """Return what the checkpoint says, when a log of the policy has this entry, 32 bytes, at this place, and the quorum is reached.

        Raises:
            NoteMalformed: what is signed is no checkpoint.
            ProofWrong: the hashes do not lead from the entry to its root.
            SignatureWrong: of no key that the policy has for the log; QuorumMissing: too few witnesses.
        """
        says = Checkpoint.of(self.signed)
        if not (keys := policy.logs.get(says.origin)):
            raise SignatureWrong(f"{says.origin} is no log of the policy")
        if not any(note.carries(self.signed, key) for key in keys):
            raise SignatureWrong(f"no signature of a key that the policy has for {says.origin}")
        check_inclusion(self.leaf, says.size, leaf(entry), self.hashes, says.root)
        policy.cosigned(self.signed)
        return says


def parse_proof(raw: bytes) -> Proof:
    """Return the proof in a file's bytes; raise NoteMalformed."""
    head, parted, signed = raw.partition(b"\n\n")
    if not parted or len(raw) > PROOF_BYTES_MAX:
        raise NoteMalformed("no empty line between proof and checkpoint, or too long")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteMalformed("a proof is ASCII") from None
    if first != FIRST_LINE:
        raise NoteMalformed(f"the first line is not {FIRST_LINE}")
    line = decoded(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
    if not lines or not lines[0].startswith("index "):
        raise NoteMalformed("no line `index N`")
    return Proof(size_of(lines[0].removeprefix("index ")), hashes_of(lines[1:]), note.parse(signed), line)
