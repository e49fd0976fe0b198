"""What signs the log: a checkpoint of the newest tree, and the seal of each epoch (clauses A-63 to A-65).

An epoch ends with EPOCH_SEALED, which names the next key. Then the old key signs the tree with that event in it, once and for all, and is
destroyed. Until that is done nothing else is recorded, so what a crash leaves undone can be done at the next start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.chain import Head
from audit.errors import LogUnsound
from audit.files import CHECKPOINT, DIRECTORY_MODE, SEALS, replace
from audit.tlog import epochs, note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import Frontier
from core.reasons import Event


def origin_of(chain_id: str) -> str:
    """Return the origin line of a log: the name of its keys."""
    return f"jvp-audit/{chain_id}"


def seal_name(epoch: int) -> str:
    """Return the name of an epoch's seal, among the seals."""
    return f"{epoch:010d}"


class Sealer:
    """The signing side of one log."""

    def __init__(self, directory: Path, key_file: Path) -> None:
        """Take up the key. KeyUnusable; LogUnsound when it is of another epoch than the log goes on with."""
        self._directory, self._file, self._key = directory, key_file, epochs.load(key_file)
        self._signed = -1
        (directory / SEALS).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sealed = max((int(path.name) for path in (directory / SEALS).iterdir() if path.name.isdecimal()), default=None)
        if sealed is not None and self._key.epoch not in {sealed, sealed + 1}:
            raise LogUnsound(f"{key_file}: of epoch {self._key.epoch}, but {directory} has a seal of epoch {sealed}: it is an old copy")

    def stated(self) -> dict[str, Any]:
        """Return what LOG_OPENED and LOG_RESUMED say of the keys that sign from here on."""
        return self._told(self._key.epoch, self._key)

    def following(self) -> dict[str, Any]:
        """Return what EPOCH_SEALED says: which epoch ends, and the next key."""
        return self._told(self._key.epoch, self._key.following())

    def owes(self, last: Mapping[str, Any]) -> bool:
        """Tell whether a log that ends with this event waits for the seal of the epoch that it ends."""
        return bool(last["event_type"] == Event.EPOCH_SEALED.name and last["seal"]["epoch"] == self._key.epoch)

    def checkpoint(self, head: Head, tree: Frontier) -> None:
        """Sign the newest tree, unless that is done (A-62). OSError: the checkpoint before stands."""
        if tree.size != self._signed:
            replace(self._directory, CHECKPOINT, self._note(head, tree))
            self._signed = tree.size

    def seal(self, head: Head, tree: Frontier) -> None:
        """Sign the tree that ends with the epoch's EPOCH_SEALED, and destroy the key. OSError: it is owed still."""
        sealed = self._note(head, tree)
        replace(self._directory / SEALS, seal_name(self._key.epoch), sealed)
        following = self._key.following()
        following.store(self._file)
        self._key = following

    def _note(self, head: Head, tree: Frontier) -> bytes:
        origin = origin_of(head.chain_id)
        text = Checkpoint(origin, tree.size, tree.root()).text
        return note.Note(text, tuple(note.sign(text, origin, key) for key in (self._key.log, self._key.signing))).raw

    @staticmethod
    def _told(epoch: int, key: epochs.LogKeys) -> dict[str, Any]:
        return {"epoch": epoch, "key": key.public.hex(), "log": key.log.public.hex()}
