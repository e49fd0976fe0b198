"""Whether a log is what its keys have signed: each epoch's seal, and the newest checkpoint (clauses A-63 to A-67)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.chain import Head
from audit.errors import NoteMalformed, QuorumMissing, SignatureWrong
from audit.files import CHECKPOINT, COSIGNED, SEALS
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import Frontier, leaf
from audit.tlog.note import LOG, NOTE_BYTES_MAX, Note, Verifier
from audit.tlog.policy import Policy
from audit.tlog.sealer import origin_of, seal_name
from audit.verdict import Verdict

BATCH: Final = 1_024  # leaves that are hashed together


class Unsealed(Exception):
    """What is not as it was signed, on its way out."""

    def __init__(self, verdict: Verdict, found: str, file: str = "") -> None:
        """Keep all three."""
        super().__init__(found)
        self.verdict, self.found, self.file = verdict, found, file


class Signed(NamedTuple):
    """A signed checkpoint, as a file holds it."""

    file: str
    note: Note
    says: Checkpoint


class Sealing:
    """Follows the tree and its keys through a log, event by event.

    `sealed` is how many events from the beginning are signed for, `witnessed` for how many a quorum of the policy has cosigned, `keys`
    those that it names, from the first on.
    """

    def __init__(self, directory: Path, tree: Frontier, policy: Policy | None = None) -> None:
        """Begin with the tree before the first event that comes. Unsealed when a file that is there is no checkpoint; OSError."""
        self._directory, self._tree, self._policy = directory, tree, policy
        self._pending: list[bytes] = []
        self._epoch, self._partial = 0, tree.size > 0
        self.keys: list[Verifier] = []
        self._signers: set[Verifier] = set()  # to be named is not to have signed: anybody can name the policy's key
        self.sealed = self.witnessed = 0
        self._awaited = [each for each in (_read(directory, CHECKPOINT), _read(directory, COSIGNED)) if each]

    def take(self, event: Mapping[str, Any], told: str) -> None:
        """Take an event that follows the one before, with its hash. Unsealed."""
        self._pending.append(leaf(bytes.fromhex(told)))
        if len(self._pending) == BATCH:
            self._flush()
        if "seal" in event:
            self._heard(event)
        for signed in self._awaited:
            if signed.says.size == event["seq"] + 1 and (self.keys or not self._partial):
                self._judge(signed, event["chain_id"])

    def end(self, head: Head | None, *, live: bool) -> None:
        """Require that all is signed for, and that the policy is met; of a log that is being written, up to the checkpoint. Unsealed."""
        size = head.seq + 1 if head else 0
        for signed in self._awaited:
            if signed.says.size > size:
                raise Unsealed(Verdict.TAIL_CUT, f"{signed.file} is of {signed.says.size} events, the log has {size}", signed.file)
        if self.sealed < size and not (live and self.sealed):
            raise Unsealed(Verdict.UNSEALED, f"the log's key has signed for {self.sealed} events of {size}", CHECKPOINT)
        if self._policy is None or head is None:
            return
        pinned = self._policy.logs.get(origin_of(head.chain_id), ())
        if not self._signers.intersection(pinned):
            raise Unsealed(Verdict.SEAL_WRONG, f"the policy knows no key of {origin_of(head.chain_id)} that has signed this log")
        if self._policy.quorum != "none" and not self.witnessed:
            raise Unsealed(Verdict.UNWITNESSED, f"no checkpoint that witnesses have cosigned: {COSIGNED} is missing", COSIGNED)

    def _heard(self, event: Mapping[str, Any]) -> None:
        """Learn a key: the first that the log states, the same again after a restart, or the next one under the seal of the one before."""
        origin, epoch = origin_of(event["chain_id"]), event["seal"]["epoch"]
        key = Verifier(origin, LOG, bytes.fromhex(event["seal"]["key"]))
        if event["event_type"] == "EPOCH_SEALED" and not self.keys and self._partial:
            self._epoch, self.keys = epoch + 1, [key]  # the one that ends here was named in what was put away
        elif event["event_type"] == "EPOCH_SEALED":
            if not self.keys:
                raise Unsealed(Verdict.SEAL_WRONG, "an epoch ends, and no key was stated before")
            if epoch != self._epoch:
                raise Unsealed(Verdict.SEAL_WRONG, f"epoch {epoch} ends where epoch {self._epoch} must")
            signed = _read(self._directory / SEALS, seal_name(epoch))
            if signed is None:
                raise Unsealed(Verdict.UNSEALED, f"the seal of epoch {epoch} is missing", f"{SEALS}/{seal_name(epoch)}")
            self._judge(signed, event["chain_id"], event["seq"] + 1)
            self._epoch, self.keys = epoch + 1, [*self.keys, key]
        elif not self.keys:
            self._epoch, self.keys = epoch, [key]
        elif (epoch, key) != (self._epoch, self.keys[-1]):
            raise Unsealed(Verdict.SEAL_WRONG, f"a key of epoch {epoch} is stated that is not the one which the seal before it names")

    def _judge(self, signed: Signed, chain_id: str, size: int | None = None) -> None:
        """Require that a checkpoint is of the tree as it is now, and signed by the key of now."""
        self._flush()
        wanted = Checkpoint(origin_of(chain_id), size or signed.says.size, self._tree.root())
        if signed.says != wanted:
            raise Unsealed(
                Verdict.SEAL_WRONG,
                f"{signed.file} is of another log or tree: it says {_told(signed.says)}, here is {_told(wanted)}",
                signed.file,
            )
        if not self.keys:
            raise Unsealed(Verdict.SEAL_WRONG, "the log states no key", signed.file)
        try:
            note.check(signed.note, self.keys[-1])
            if signed.file == COSIGNED and self._policy:
                self._policy.cosigned(signed.note)
                self.witnessed = self._tree.size
        except SignatureWrong as error:
            verdict = Verdict.UNWITNESSED if isinstance(error, QuorumMissing) else Verdict.SEAL_WRONG
            raise Unsealed(verdict, str(error), signed.file) from None
        self.sealed = self._tree.size
        self._signers.add(self.keys[-1])

    def _flush(self) -> None:
        self._tree.extend(self._pending)
        self._pending = []


def _read(directory: Path, name: str) -> Signed | None:
    """Return the checkpoint that a file holds, or None where there is none."""
    shown = name if directory.name != SEALS else f"{SEALS}/{name}"
    try:
        with (directory / name).open("rb") as file:
            read = note.parse(file.read(NOTE_BYTES_MAX + 1))
        return Signed(shown, read, Checkpoint.of(read))
    except FileNotFoundError:
        return None
    except NoteMalformed as error:
        raise Unsealed(Verdict.SEAL_WRONG, str(error), shown) from None


def _told(state: Checkpoint) -> str:
    return f"{state.origin}, {state.size} events, root {state.root.hex()[:16]}..."
