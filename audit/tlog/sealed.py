"""Whether a log is what its keys have signed: each epoch's seal, and the newest checkpoint (clauses A-63 to A-67)."""

from collections.abc import Mapping
from errno import ENOENT
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.chain import Head
from audit.errors import NoteMalformed, QuorumMissing, SignatureWrong
from audit.files import CHECKPOINT, COSIGNED, SEALS
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint, read_signed
from audit.tlog.merkle import Frontier, leaf
from audit.tlog.note import LOG, Note, Verifier
from audit.tlog.policy import Policy
from audit.tlog.sealer import origin_of, seal_name
from audit.verdict import Verdict

BATCH: Final = 1_024  # leaves that are hashed together


class Unsealed(Exception):
    """What is not as it was signed, on its way out. `seq` is the first event that is not, where that is not the one at hand."""

    def __init__(self, verdict: Verdict, found: str, file: str = "", seq: int | None = None) -> None:
        """Keep all four."""
        super().__init__(found)
        self.verdict, self.found, self.file, self.seq = verdict, found, file, seq


class Wanted(NamedTuple):
    """What an auditor brings.

    A policy, since when witnesses must have cosigned (seconds of POSIX time), a checkpoint that was kept, and whether what it is of was
    verified when it was kept.
    """

    policy: Policy | None = None
    since_s: int = 0
    known: Path | None = None
    go_on: bool = False


class Found(NamedTuple):
    """A signed checkpoint, as a file holds it."""

    file: str
    note: Note
    says: Checkpoint


class Sealing:
    """Follows the tree and its keys through a log, event by event.

    `sealed` is how many events from the beginning are signed for, `witnessed` for how many a quorum of the policy has cosigned, `log` the
    key that names it, once that is known.
    """

    def __init__(self, directory: Path, tree: Frontier, wanted: Wanted, *, live: bool = False) -> None:
        """Begin with the tree before the first event that comes. Unsealed when what was kept is no checkpoint; OSError."""
        self._directory, self._tree, self._policy, self._since_s = directory, tree, wanted.policy, wanted.since_s
        self._live, self._first, self._partial = live, tree.size, tree.size > 0
        self._pending: list[bytes] = []
        self._judged: list[Found] = []
        self._owed: Mapping[str, Any] | None = None  # an EPOCH_SEALED whose seal the writer is about to make
        self._epoch = 0
        self.log: Verifier | None = None
        self._key: Verifier | None = None  # of the epoch
        self.sealed = self.witnessed = 0
        self._spoilt: Unsealed | None = None  # told when nothing is wrong with the events, which say more
        self._awaited = [_kept(wanted.known)] if wanted.known else []
        for name in (CHECKPOINT, COSIGNED):
            try:
                self._awaited += filter(None, (_read(directory, name),))
            except Unsealed as error:
                self._spoilt = self._spoilt or error
        self._sizes = frozenset(signed.says.size for signed in self._awaited)

    def take(self, event: Mapping[str, Any], digest: bytes) -> None:
        """Take an event that follows the one before, with its hash. Unsealed."""
        if self._owed:  # by now its seal is there: before that nothing else is recorded
            owed, self._owed = self._owed, None
            self._heard(owed, owed=True)
        self._pending.append(digest)
        if len(self._pending) == BATCH:
            self._flush()
        if "seal" in event:
            self._heard(event)
        if event["seq"] + 1 in self._sizes and (self._key or not self._partial):
            for signed in self._awaited:
                if signed.says.size == event["seq"] + 1:
                    self._judge(signed, event["chain_id"])

    def end(self, head: Head | None) -> None:
        """Require that all is signed for, and that the policy is met; of a log that is being written, up to the checkpoint. Unsealed."""
        size = head.seq + 1 if head else 0
        unsigned = max(self.sealed, self._first)
        for signed in self._awaited:
            if signed.says.size > size:
                raise Unsealed(Verdict.TAIL_CUT, f"{signed.file} is of {signed.says.size} events, the log has {size}", signed.file, size)
            if signed not in self._judged and signed.file not in {CHECKPOINT, COSIGNED}:
                raise Unsealed(
                    Verdict.UNSEALED,
                    f"{signed.file} is of {signed.says.size} events, and cannot be compared with these",
                    signed.file,
                    self._first,
                )
        if self._spoilt:
            self._spoilt.seq = self._first if self._spoilt.file == COSIGNED else unsigned
            raise self._spoilt
        newest, whole = CHECKPOINT in {each.file for each in self._judged}, self.sealed >= size
        if not newest or not (whole or self._live):
            found = f"the log's key has signed for {self.sealed} events of {size}" + ("" if newest else f"; {CHECKPOINT} is missing")
            raise Unsealed(Verdict.UNSEALED, found, CHECKPOINT, unsigned)
        if self._policy is not None and self._policy.quorum != "none" and head is not None and not self.witnessed:
            missing = f"no checkpoint that witnesses have cosigned: {COSIGNED} is missing"
            raise Unsealed(Verdict.UNWITNESSED, missing, COSIGNED, self._first)

    @property
    def signed(self) -> bytes:
        """The newest checkpoint that was judged; nothing before there is one."""
        return max(self._judged, key=lambda found: found.says.size).note.raw if self._judged else b""

    def _heard(self, event: Mapping[str, Any], *, owed: bool = False) -> None:
        """Learn keys: the first that the log states, the same again after a restart, or the next one under the seal of the one before."""
        origin, epoch = origin_of(event["chain_id"]), event["seal"]["epoch"]
        key, log = (Verifier(origin, LOG, bytes.fromhex(event["seal"][name])) for name in ("key", "log"))
        ends = event["event_type"] == "EPOCH_SEALED"
        self._named(log)
        if self._key is None and ends and not self._partial:
            raise Unsealed(Verdict.SEAL_WRONG, "an epoch ends, and no key was stated before")
        if self._key is None and ends:
            pass  # the key that signs here was named in what was put away
        elif ends:
            if epoch != self._epoch:
                raise Unsealed(Verdict.SEAL_WRONG, f"epoch {epoch} ends where epoch {self._epoch} must")
            signed = _read(self._directory / SEALS, seal_name(epoch))
            if signed is None and self._live and not owed:
                self._owed = event
                return
            if signed is None:
                missing = f"the seal of epoch {epoch} is missing"
                raise Unsealed(Verdict.UNSEALED, missing, f"{SEALS}/{seal_name(epoch)}", event["seq"])
            self._judge(signed, event["chain_id"], event["seq"] + 1)
        elif self._key is not None and (epoch, key) != (self._epoch, self._key):
            raise Unsealed(Verdict.SEAL_WRONG, f"a key of epoch {epoch} is stated that is not the one which the seal before it names")
        self._epoch, self._key = epoch + ends, key

    def _named(self, log: Verifier) -> None:
        """Require that the key which names the log stays, and that it is one of the policy's."""
        if self.log not in {None, log}:
            raise Unsealed(Verdict.SEAL_WRONG, "the log goes on with another key than the one that names it")
        self.log = log
        if self._policy is not None and log not in self._policy.logs.get(log.name, ()):
            raise Unsealed(Verdict.SEAL_WRONG, f"the policy has another key for {log.name}, or none; the log's is {log.vkey}")

    def _judge(self, signed: Found, chain_id: str, size: int | None = None) -> None:
        """Require that a checkpoint is of the tree as it is now, and signed by the log's key and the epoch's."""
        self._flush()
        wanted = Checkpoint(origin_of(chain_id), size or signed.says.size, self._tree.root())
        if signed.says != wanted:
            raise Unsealed(
                Verdict.SEAL_WRONG,
                f"{signed.file} is of another log or tree: it says {_told(signed.says)}, here is {_told(wanted)}",
                signed.file,
            )
        if self._key is None or self.log is None:
            raise Unsealed(Verdict.SEAL_WRONG, "the log states no key", signed.file)
        try:
            note.check(signed.note, self.log)
            note.check(signed.note, self._key)
            if signed.file == COSIGNED and self._policy:
                self._policy.cosigned(signed.note, self._since_s)
                self.witnessed = self._tree.size
        except SignatureWrong as error:
            verdict = Verdict.UNWITNESSED if isinstance(error, QuorumMissing) else Verdict.SEAL_WRONG
            raise Unsealed(verdict, str(error), signed.file) from None
        self.sealed = self._tree.size
        self._judged.append(signed)

    def _flush(self) -> None:
        self._tree.extend([leaf(digest) for digest in self._pending])
        self._pending = []


def _read(directory: Path, name: str) -> Found | None:
    """Return the checkpoint that a file holds, or None where there is none."""
    shown = name if directory.name != SEALS else f"{SEALS}/{name}"
    try:
        signed = read_signed(directory / name)
    except NoteMalformed as error:
        raise Unsealed(Verdict.SEAL_WRONG, str(error), shown) from None
    return Found(shown, *signed) if signed else None


def _kept(path: Path) -> Found:
    """Return the checkpoint that an auditor has kept. Unsealed when it is none."""
    try:
        signed = read_signed(path)
    except NoteMalformed as error:
        raise Unsealed(Verdict.SEAL_WRONG, str(error), str(path)) from None
    if signed is None:
        raise FileNotFoundError(ENOENT, "No such file or directory", path)
    return Found(str(path), *signed)


def _told(state: Checkpoint) -> str:
    return f"{state.origin}, {state.size} events, root {state.root.hex()[:16]}..."
