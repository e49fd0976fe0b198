"""Trust: the documents that are accepted, and the floors that keep old ones out. A value; each accepted document makes a new one.

Order of judgement [K-26]: size and form, root, signatures, then the payload, then version, then clock. A refusal changes nothing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from core.crypto.primitives import sha256
from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits
from jvpn.keys.documents import Document, GatewayKey, Keyset, Revocations, Revoked, Root, read_keyset, read_revocations, read_root
from jvpn.keys.envelope import Envelope, Role, parse


class Floor(NamedTuple):
    """The highest version that was ever accepted, and the digest of its payload (32 bytes)."""

    version: int
    digest: bytes


NO_FLOOR = Floor(0, b"")
READERS: Mapping[Role, Callable[[bytes], Keyset | Revocations]] = {Role.KEYSET: read_keyset, Role.REVOCATIONS: read_revocations}


class Trust(NamedTuple):
    """What is believed. `pin`: digest of the first root, 32 bytes; `floors` are to be kept in a file before what they belong to is used."""

    pin: bytes
    floors: Mapping[Role, Floor] = MappingProxyType({})
    root: Root | None = None
    keyset: Keyset | None = None
    revocations: Revocations | None = None

    def offer(self, role: Role, raw: bytes, wall_s: int) -> "Trust":
        """Return the trust with this document, `raw` being its file and `wall_s` the time now.

        Raises:
            PeerFault: it is refused; the reason is one of DOCUMENT_... or ROOT_NOT_PINNED.
        """
        envelope = parse(raw)
        if envelope.role is not role:
            raise PeerFault(Reason.DOCUMENT_ROLE_WRONG)
        return self._offer_root(envelope) if role is Role.ROOT else self._offer_other(envelope, wall_s)

    def refusal(self, wall_s: int) -> Reason | None:
        """Return why nobody may come in now: no fresh revocations under a root that stands [K-30]; None where they may."""
        try:
            self._standing_root(wall_s)
            _timely(self.revocations, wall_s)
        except PeerFault:
            return Reason.REVOCATIONS_STALE
        return None

    def expiring(self, wall_s: int) -> dict[Role, int]:
        """Return which of the documents that are believed run out soon, or have run out, and when: seconds since 1970."""
        soon = {
            Role.ROOT: limits.ROOT_SOON_S,
            Role.KEYSET: limits.KEYSET_SOON_S,
            Role.REVOCATIONS: _life(self.revocations) // limits.REVOCATIONS_SOON_PART,
        }
        held = {Role.ROOT: self.root, Role.KEYSET: self.keyset, Role.REVOCATIONS: self.revocations}
        return {role: each.expires for role, each in held.items() if each and each.expires - wall_s < soon[role]}

    def ended(self, public: bytes, wall_s: int) -> Revoked | None:
        """Return how a static key is revoked at this time, or None. The last list that was accepted counts, fresh or not [K-31]."""
        found = self.revocations.revoked.get(sha256(public)) if self.revocations else None
        return found if found and found.since <= wall_s else None

    def listing(self, public: bytes) -> GatewayKey | None:
        """Return what the keyset says of a gateway's key, 32 bytes; None where it has none such."""
        gateways = self.keyset.gateways if self.keyset else ()
        return next((each for each in gateways if each.public == public), None)

    def offered(self, public: bytes, node: bytes | None, wall_s: int) -> GatewayKey | None:
        """Return the key that a gateway offers now to who was given its key `public` [K-33] [K-44], or None.

        It is the newest of its node whose time is now and that is not revoked. The entry of `public` names the node, whether or not that
        key is still good; `node`, 8 bytes, is for who has no such entry, and may not contradict one.
        """
        known = self.listing(public)
        if known and node not in {None, known.node}:
            return None
        mine = [each for each in (self.keyset.gateways if self.keyset else ()) if each.node == (known.node if known else node)]
        good = [each for each in mine if each.not_before <= wall_s < each.not_after and not self.ended(each.public, wall_s)]
        return max(good, key=lambda each: each.not_before, default=None)

    def successor(self, key: GatewayKey, wall_s: int) -> GatewayKey | None:
        """Return the key that is offered in the place of this one [K-33], or None."""
        newest = self.offered(key.public, key.node, wall_s)
        return newest if newest and newest.not_before > key.not_before else None

    def begins(self, public: bytes, node: bytes | None, wall_s: int) -> tuple[bytes, Reason | None]:
        """Return under which key a client begins sessions that was given `public` and `node` [K-44], and why it may not now, or None."""
        entry = self.offered(public, node, wall_s)
        if entry is None:
            return public, self.refusal(wall_s) or (Reason.KEY_REVOKED if self.ended(public, wall_s) else Reason.KEY_OUTDATED)
        return entry.public, self.beginning(entry.public, wall_s)

    def beginning(self, public: bytes, wall_s: int) -> Reason | None:
        """Return why nothing may begin under this key of a gateway now, no jump either [K-39]; None where it may."""
        if (stale := self.refusal(wall_s)) is not None:
            return stale
        if self.ended(public, wall_s):
            return Reason.KEY_REVOKED
        entry = self.listing(public)
        try:
            _timely(self.keyset, wall_s)
        except PeerFault:
            return Reason.KEY_OUTDATED
        return None if entry and entry.not_before <= wall_s < entry.not_after else Reason.KEY_OUTDATED

    def _standing_root(self, wall_s: int) -> Root:
        """Return the root, which must be the newest that was ever accepted, and not expired [K-28]."""
        root = self.root
        _timely(root, wall_s)
        if root is None or root.version < self.floors[Role.ROOT].version:
            raise PeerFault(Reason.DOCUMENT_ROLLED_BACK)
        return root

    def _offer_root(self, envelope: Envelope) -> "Trust":
        """Judge a root: the first by the pin, each other by the one before and by itself [K-27]; it may be expired when another follows."""
        floor, old = self.floors.get(Role.ROOT, NO_FLOOR), self.root
        if old is None:
            if envelope.digest != self.pin:
                raise PeerFault(Reason.ROOT_NOT_PINNED)
        elif (old.version, envelope.digest) == floor:
            return self
        else:
            envelope.verify(old.roles[Role.ROOT].keys, old.roles[Role.ROOT].threshold)
        root = read_root(envelope.payload)
        envelope.verify(root.roles[Role.ROOT].keys, root.roles[Role.ROOT].threshold)
        if old and root.version > old.version + 1:
            raise PeerFault(Reason.DOCUMENT_VERSION_GAP)
        if old and root.version < old.version:
            raise PeerFault(Reason.DOCUMENT_ROLLED_BACK)
        if (old and root.version == old.version) or (root.version == floor.version and envelope.digest != floor.digest):
            raise PeerFault(Reason.DOCUMENT_EQUIVOCATED)
        if root.version <= floor.version:  # known from before a restart
            return self._replace(root=root)
        # [K-29]: a role whose keys are new starts anew; whoever had the old ones may have signed the highest version there is
        kept = {role for role in Role if role is not Role.ROOT and (old is None or old.roles[role].keys == root.roles[role].keys)}
        floors = {role: at for role, at in self.floors.items() if role in kept} | {Role.ROOT: Floor(root.version, envelope.digest)}
        return Trust(self.pin, MappingProxyType(floors), root, self.keyset if Role.KEYSET in kept else None,
                     self.revocations if Role.REVOCATIONS in kept else None)  # fmt: skip

    def _offer_other(self, envelope: Envelope, wall_s: int) -> "Trust":
        signers = self._standing_root(wall_s).roles[envelope.role]
        envelope.verify(signers.keys, signers.threshold)
        document = READERS[envelope.role](envelope.payload)
        floor = self.floors.get(envelope.role, NO_FLOOR)
        if document.version < floor.version:
            raise PeerFault(Reason.DOCUMENT_ROLLED_BACK)
        if document.version == floor.version and envelope.digest != floor.digest:
            raise PeerFault(Reason.DOCUMENT_EQUIVOCATED)
        _timely(document, wall_s)
        floors = MappingProxyType({**self.floors, envelope.role: Floor(document.version, envelope.digest)})
        return self._replace(floors=floors, **{envelope.role.value: document})  # type: ignore[arg-type]  # fields are named by role


def _life(document: Document | None) -> int:
    return document.expires - document.created if document else 0


def _timely(document: Document | None, wall_s: int) -> None:
    """Require that there is a document of now, as far as clocks agree [K-26]: freeze, and a clock that was set back, are seen here."""
    if document is None:
        raise PeerFault(Reason.DOCUMENT_MISSING)
    if document.created > wall_s + limits.CLOCK_TOLERANCE_S:
        raise PeerFault(Reason.DOCUMENT_FROM_FUTURE)
    if document.expires <= wall_s - limits.CLOCK_TOLERANCE_S:
        raise PeerFault(Reason.DOCUMENT_EXPIRED)
