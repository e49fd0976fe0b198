"""A log's tree, published with the cosignatures that a policy asks for, checkpoint after checkpoint (clauses A-68, A-69)."""

from pathlib import Path
from typing import NamedTuple

from audit.tlog.checkpoint import Signed
from audit.tlog.note import Note
from audit.tlog.policy import Policy
from audit.tlog.publishing import Publisher
from observability.cosigning import Cosigners, lacking


class Step(NamedTuple):
    """What one step did: the log's newest checkpoint (None: there is none), what was published of it, and what witnesses had against it."""

    signed: Signed | None
    published: Note | None = None
    lacks: str = ""
    troubles: tuple[str, ...] = ()


class Publication:
    """One log, where its tree is published, and who has to cosign that."""

    def __init__(self, log: Path, out: Path, policy: Policy | None = None, ca_file: Path | None = None) -> None:
        """Go on from what is published. NoteMalformed, TreeIncomplete, LogUnsound, OSError."""
        self._publisher, self._policy = Publisher(log, out), policy
        self._cosigners = Cosigners(policy, ca_file) if policy else None
        self._done = -1

    def step(self) -> Step:
        """Publish the newest checkpoint, if it is new and the policy's quorum is there. LogUnsound, NoteMalformed, OSError.

        Without the quorum what was published before stands, and the next step asks again.
        """
        signed = self._publisher.advance()
        if signed is None or signed.says.size == self._done:
            return Step(signed)
        note, lacks = signed.note, ""
        troubles: tuple[str, ...] = ()
        if self._policy and self._cosigners:
            note, asked = self._cosigners.ask(signed, self._publisher.consistency)
            troubles = tuple(f"witness {each.name}: {each.trouble}" for each in asked if each.trouble)
            lacks = lacking(self._policy, note)
        if lacks:
            return Step(signed, None, lacks, troubles)
        self._publisher.publish(note)
        self._done = signed.says.size
        return Step(signed, note, "", troubles)
