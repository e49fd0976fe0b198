"""What can be wrong with records, events and logs."""

from core.errors import JvpError


class AuditError(JvpError):
    """Base of every error that audit raises on purpose."""


class RecordMalformed(AuditError):
    """Bytes are not a record (A-1): our own program's fault, or a foreign writer's."""


class EventRefused(AuditError):
    """A record does not fit the event that it names, or an event its schema (A-10, A-12)."""


class LineMalformed(AuditError):
    """Bytes are not a line in canonical form (A-20)."""


class LogUnsound(AuditError):
    """A log contradicts itself where it was durable; it is not continued (A-33)."""


class LogGone(AuditError):
    """The log's newest segment is no longer under its name: somebody removed it or moved it away while it was written (A-35)."""


class LogBusy(AuditError):
    """Another process writes this log (A-31)."""


class KeyUnusable(AuditError):
    """The key of the pseudonyms is missing, of a wrong length, or readable by others (A-14)."""


class ProofWrong(AuditError):
    """A Merkle proof does not show what it is to show (A-60)."""


class TreeIncomplete(AuditError):
    """Published tiles are missing, or not those of the tree that they should be (A-68)."""


class NoteMalformed(AuditError):
    """Bytes are not a note, a checkpoint, a key of one, or a proof file (A-63)."""


class SignatureWrong(AuditError):
    """No signature of a trusted key is on a note, or one that claims to be of such a key is not (A-63)."""


class QuorumMissing(SignatureWrong):
    """Too few witnesses of a policy have cosigned a note (A-67)."""


class PolicyMalformed(AuditError):
    """Bytes are not a policy (A-66)."""
