"""Who may come in, by the documents and the clock: a gateway's judgement of its own and its devices' keys, a client's of its gateway's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from core.errors import given
from core.keys.states import Kind, State
from core.reasons import Reason
from core.values import Admission, Fact, Instant
from core.wire.layout import Type
from jvpn.keys.documents import NUMBER_MAX
from jvpn.keys.envelope import Role
from jvpn.keys.life import ALWAYS, Key, Times, Validity
from jvpn.keys.trust import Trust
from jvpn.shell import keyfile
from jvpn.shell.config import ClientConfig, GatewayConfig
from jvpn.shell.keytext import GATEWAY
from jvpn.shell.trust import CODES, Documents
from jvpn.shell.vault import vault_of

GIVEN_UP: Final = frozenset({State.DEACTIVATED, State.COMPROMISED, State.DESTROYED})
NO_TIMES: Final[Mapping[bytes, Times]] = MappingProxyType({})


class Keys:
    """The static keys that a gateway knows: its own and its devices'. Their changes are handed to `record`."""

    def __init__(
        self, documents: Documents | None, node: bytes, serial: Callable[[], int], record: Callable[[Fact], None], *, stale: str = "keep"
    ) -> None:
        """Judge by these documents, or without any by the times on the allow list alone. `stale`: what `[trust]` says of live sessions."""
        self._documents, self._end_when_stale, self._node = documents, stale == "end", node
        self._serial, self._record = serial, record
        self._keys: dict[bytes, Key] = {}
        self._times: Mapping[bytes, Times] = NO_TIMES
        self._begun = False
        self.unloaded: bytes | None = None
        """The key that the keyset offers for this gateway, and that it does not have."""

    def admission(
        self, own: Sequence[bytes], devices: Iterable[bytes], wall_s: int, now: Instant, sure_s: int | None = None,
        times: Mapping[bytes, Times] = NO_TIMES,
    ) -> Admission:  # fmt: skip
        """Read the documents again, judge every key, and return what the engine is to be told [K-32].

        `own` are the gateway's public keys, the newest first: while one of them is valid, it is served under that one. `times` are those of
        devices that have one. `sure_s` is the clock for what cannot be undone: what is over by the wall alone lets nobody in, and ends
        nothing [K-35].
        """
        sure_s = wall_s if sure_s is None else sure_s
        if self._documents:
            wall_s = self._documents.refresh(wall_s, now)
        trust, listed = self._trust(), set(devices)
        self.unloaded = unloaded(trust, self._node, own, wall_s)
        for public in self._keys.keys() - listed - set(own):
            self._keys.pop(public).judge(Validity(listed=False), wall_s, now)
        for public in listed:
            self._judge_device(public, times.get(public, ALWAYS), wall_s, sure_s, now)
        self._times = times
        mine = {public: self._own(public, wall_s) for public in own}
        for public, validity in mine.items():
            self._key(Kind.GATEWAY, public, now).judge(validity, sure_s, now)
        self._begun = True
        ended = {public: _reason(key, trust, wall_s) for public, key in self._keys.items() if not key.accepted}
        refusal = self._documents.stale(wall_s, now) if self._documents else None
        if refusal and self._end_when_stale and trust.refusal(sure_s):
            ended = dict.fromkeys(own, Reason.KEY_OUTDATED) | ended
        over = {
            public: Reason.KEY_OUTDATED for public, its in mine.items() if its.not_after is not None and its.not_after <= wall_s
        } | ended
        without = over.get(own[0]) if own and all(public in over for public in own) else None
        shut = {public: Reason.KEY_OUTDATED for public in listed & times.keys() - ended.keys() if not times[public].hold(wall_s)}
        return Admission(refusal or without, MappingProxyType(ended), MappingProxyType(shut))

    def own(self) -> dict[bytes, str]:
        """Return the states of the gateway's own keys by their public parts."""
        return {key.public: key.state.name for key in self._keys.values() if key.kind is Kind.GATEWAY}

    def devices(self) -> dict[str, int]:
        """Return how many keys of devices are in which state."""
        names = [key.state.name for key in self._keys.values() if key.kind is Kind.DEVICE]
        return {name: names.count(name) for name in sorted(set(names))}

    def unkept(self) -> str | None:
        """Return why the floors of the documents could not be written, or None."""
        return self._documents.unkept if self._documents else None

    def documents(self, wall_s: int) -> dict[str, object]:
        """Return when each document that is believed runs out, whether floors are kept, and from when until when the offered key is valid.

        Times are seconds since 1970. Without `[trust]` only that floors are kept.
        """
        trust = self._trust()
        held = {Role.ROOT: trust.root, Role.KEYSET: trust.keyset, Role.REVOCATIONS: trust.revocations}
        offered = trust.offered(b"", self._node, wall_s)
        key = {"from": offered.not_before, "until": offered.not_after} if offered else {}
        return {"expire": {role.value: each.expires for role, each in held.items() if each}, "kept": self.unkept() is None, "key": key}

    def _trust(self) -> Trust:
        return self._documents.trust if self._documents else Trust(b"")

    def _judge_device(self, public: bytes, its: Times, wall_s: int, sure_s: int, now: Instant) -> None:
        """Judge a device's key; one whose time was over, and whose entry has another time now, begins anew, and that is recorded [K-42]."""
        revoked = self._trust().ended(public, wall_s)
        known = self._keys.get(public)
        if known and known.state is State.DEACTIVATED and its != self._times.get(public, ALWAYS) and not revoked:
            del self._keys[public]
        found = Validity(not_before=its.valid_from, not_after=its.valid_until, revoked=revoked)
        self._key(Kind.DEVICE, public, now, Validity(not_before=its.valid_from), sure_s).judge(found, sure_s, now)

    def _key(self, kind: Kind, public: bytes, now: Instant, at_first: Validity | None = None, sure_s: int = 0) -> Key:
        """Return a key; one that is new after the start is recorded as such, those of the start were so when they were listed."""
        if public not in self._keys:
            self._keys[public] = key = Key(kind, public, self._serial, self._record if self._begun else _nothing, held=kind is Kind.GATEWAY)
            key.born(Reason.KEY_LISTED, now)
            if at_first and not self._begun:
                key.judge(at_first, sure_s, now)
            key.record = self._record
        return self._keys[public]

    def _own(self, own: bytes, wall_s: int) -> Validity:
        """Return what the documents say of the gateway's own key; where there never was a keyset only whether it is revoked.

        Before it was ever listed it waits: in a rotation the gateway has its next key before somebody can have signed for it.
        """
        trust, known = self._trust(), self._keys.get(own)
        revoked = trust.ended(own, wall_s)
        if trust.keyset is None:  # one that was accepted before, and is gone or over since, frees nobody
            gone = Role.KEYSET in trust.floors
            return Validity(not_before=NUMBER_MAX if gone else 0, revoked=revoked)
        mine = [each for each in trust.keyset.gateways if each.node == self._node]
        entry = next((each for each in mine if each.public == own), None)
        if entry is None:
            waits = known is None or known.state is State.PRE_ACTIVE
            return Validity(listed=waits, not_before=NUMBER_MAX, revoked=revoked)
        succeeded = trust.successor(entry, wall_s) is not None
        return Validity(not_before=entry.not_before, not_after=entry.not_after, succeeded=succeeded, revoked=revoked)


class Peer:
    """The keys of one gateway as a client judges them by signed documents [K-39] [K-40] [K-44]. Their changes are handed to `record`."""

    def __init__(
        self, documents: Documents, public: bytes, serial: Callable[[], int], record: Callable[[Fact], None], *, stale: str,
        node: bytes | None = None,
    ) -> None:  # fmt: skip
        """Judge the keys of the gateway that has, or had, this public key, 32 bytes, or is this node. `stale`: what `[trust]` says."""
        self._documents, self._given, self._node, self._end_when_stale = documents, public, node, stale == "end"
        self._serial, self._record = serial, record
        self._seen: bytes | None = None
        self._keys = {public: Key(Kind.GATEWAY, public, serial, record, held=False)}  # one more with each rotation
        self._vouched = frozenset[bytes]()
        self._refusal: Reason | None = Reason.REVOCATIONS_STALE
        self.public = public
        """The key for what is new."""

    def admission(self, wall_s: int, now: Instant, sure_s: int) -> Admission:
        """Read the documents again, judge the keys, and return what the engine is to be told [K-32]; the clocks are those of `Keys`."""
        wall_s = self._documents.refresh(wall_s, now)
        trust = self._documents.trust
        if entry := trust.listing(self._given):
            self._seen = entry.node
        public, refusal = trust.begins(self._given, self._node or self._seen, wall_s)
        if refusal is None:
            self._take_in(public, now)
        for key in self._keys.values():
            key.judge(self._validity(key, wall_s), sure_s, now)
        over = {each.public: _reason(each, trust, wall_s) for each in self._keys.values() if each.state in GIVEN_UP}
        doubted = {public for public in self._keys if trust.beginning(public, wall_s)}
        self._vouched = frozenset(self._keys.keys() - doubted - over.keys())
        self._refusal = self._documents.stale(wall_s, now) or over.get(self.public) or refusal
        stale = {public for public in doubted if trust.beginning(public, sure_s)} if self._end_when_stale else set()
        ended = {public: _reason(self._keys[public], trust, wall_s) for public in stale} | over
        return Admission(self._refusal, MappingProxyType(ended))

    def withheld(self, public: bytes) -> frozenset[Type]:
        """Return what an engine must not send now whose session is under this key; its INIT is under the one that is offered."""
        begins, jumps = self._refusal is None, public in self._vouched
        return frozenset(kind for kind, may in ((Type.INIT, begins), (Type.REATTACH, jumps)) if not may)

    def unkept(self) -> str | None:
        """Return why the floors of the documents could not be written, or None."""
        return self._documents.unkept

    def state(self, public: bytes) -> str:
        """Return the name of the state of a key that was given or offered."""
        return self._keys[public].state.name

    def _take_in(self, public: bytes, now: Instant) -> None:
        """Know a key that is offered; one whose successor is not offered any more begins anew, and that is recorded [K-45]."""
        if public not in self._keys or self._keys[public].state is State.RETIRING:
            self._keys[public] = Key(Kind.GATEWAY, public, self._serial, self._record, held=False)
            self._keys[public].born(Reason.KEY_LISTED, now)
        self.public = public

    def _validity(self, key: Key, wall_s: int) -> Validity:
        """Return what the documents say; before it was ever listed a key waits, afterwards not to be listed is to be withdrawn."""
        trust = self._documents.trust
        entry, revoked = trust.listing(key.public), trust.ended(key.public, wall_s)
        if entry is None:
            return Validity(listed=key.state is State.PRE_ACTIVE or trust.keyset is None, not_before=NUMBER_MAX, revoked=revoked)
        succeeded = trust.successor(entry, wall_s) is not None
        return Validity(not_before=entry.not_before, not_after=entry.not_after, succeeded=succeeded, revoked=revoked)


class Seen(NamedTuple):
    """What a service would believe, how it would judge each document, and why it would let nobody in, or begin nothing.

    `unreadable` says of each file that is there and counts as missing why it could not be read.
    """

    trust: Trust
    judged: Mapping[str, str]
    refusal: Reason | None
    unreadable: Sequence[str]

    def told(self) -> str:
        """Say which version of each document would be believed; and of one that would not be, why, and which version was seen before."""
        return ", ".join(map(self._of, Role))

    def _of(self, role: Role) -> str:
        held, floor, reason = getattr(self.trust, role.value), self.trust.floors.get(role), self.judged.get(role.value)
        version, notes = (held.version if held else "none"), list[str]()
        if reason and reason != Reason.DOCUMENT_ACCEPTED.name:
            notes.append(f"another: {reason}" if held else reason)
        if floor and (held is None or held.version < floor.version):
            notes.append(f"seen up to {floor.version}")
        return f"{role.value} {version}" + (f" ({', '.join(notes)})" if notes else "")


def look(config: GatewayConfig | ClientConfig, wall_s: int, now: Instant) -> Seen:
    """Return what a service that starts now with this configuration, which has `[trust]`, would find; nothing is kept or recorded.

    Unavailable when the floors, or a gateway's key file, cannot be read.
    """
    facts, trust = list[Fact](), given(config.trust, "only asked where there is one")
    documents = Documents(trust, config.state, lambda: 0, facts.append, keep=False)
    documents.refresh(wall_s, now)
    names = {code: role.value for role, code in CODES.items()}
    told = {names[fact.carrier_to]: fact.reason.name for fact in facts}
    if isinstance(config, ClientConfig):
        peer = Peer(documents, config.gateway_public, lambda: 0, facts.append, stale=trust.stale, node=config.gateway_node)
        order = peer.admission(wall_s, now, wall_s)
    else:
        own = keyfile.publics_of(config.key, GATEWAY, vault_of(config.key_passphrase))
        order = Keys(documents, config.node, lambda: 0, facts.append).admission(own, (), wall_s, now)
    return Seen(documents.trust, told, order.refusal, list(documents.unreadable.values()))


def unloaded(trust: Trust, node: bytes, own: Sequence[bytes], wall_s: int) -> bytes | None:
    """Return the key that the keyset offers for a gateway [K-33] and that is none of its `own`: who asks under it gets silence. Or None."""
    offered = trust.offered(b"", node, wall_s)
    return offered.public if offered and offered.public not in own else None


def _reason(key: Key, trust: Trust, wall_s: int) -> Reason:
    """Return why what a key carries ends; one that was revoked before is so by every clock."""
    revoked = key.state is State.COMPROMISED or trust.ended(key.public, wall_s) is not None
    return Reason.KEY_REVOKED if revoked else Reason.KEY_OUTDATED


def _nothing(_: Fact) -> None:
    """Take a fact that was recorded before."""
