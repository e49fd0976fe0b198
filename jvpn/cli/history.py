"""The history of commands: what they change of keys, in an audit log that any verifier reads."""

import os
from pathlib import Path

from core.keys.states import Kind
from core.reasons import Reason
from core.values import Fact
from jvpn.keys.envelope import Role
from jvpn.keys.life import Key
from jvpn.shell.audit_link import AuditLink, Writer
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import boottime, wall
from jvpn.shell.entropy import entropy
from jvpn.shell.files import DIRECTORY
from jvpn.shell.forms import node_id
from jvpn.shell.trust import judged


class History:
    """What a command changes, recorded in an audit log of its own: telemetry of the role gateway, from the node `keys`."""

    def __init__(self, directory: Path | None) -> None:
        """Record into this directory, or nowhere. Misconfigured when it cannot be written, so that a command learns that first."""
        if directory is not None:
            above = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
            if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
                raise Misconfigured(f"--audit: {directory}: {above} is no directory that this user can write")
        self._directory, self.facts = directory, list[Fact]()

    def serial(self) -> int:
        """Return the next number of a fact."""
        return len(self.facts) + 1

    def key(self, kind: Kind, public: bytes) -> Key:
        """Return a key whose changes are recorded here."""
        return Key(kind, public, self.serial, self.facts.append, held=True)

    def document(self, role: Role, version: int) -> None:
        """Record that a document was made."""
        self.facts.append(judged(role, Reason.DOCUMENT_ACCEPTED, version, self.serial(), boottime()))

    def write(self) -> None:
        """Write all of it, durably, before the change is made; Misconfigured when the log does not take it, so that it is not made."""
        if self._directory is None or not self.facts:
            return
        self._directory.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY)
        link = AuditLink(Writer(self._directory, node_id("keys"), entropy(8), "gateway"), wall, boottime())
        for fact in self.facts:
            link.record(fact)
        if not link.close():
            raise Misconfigured(
                f"{self._directory}: nothing is changed, because the audit log did not take it: `jvpn audit verify` says more"
            )
