"""The directory of signed documents: read at the start, every KEY_CHECK_NS and at a reload; what was accepted is kept in floors.

`DIR/root.1.signed`, `root.2.signed`, ..., `keyset.signed` and `revocations.signed` may be written by anybody: their signatures count, not
where they come from. The floors stand in `STATE/trust.json`, which is replaced before what they belong to is used [K-29]; who can
remove that file can bring back an old document that has not expired.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import structlog

from core import limits
from core.errors import Invariant, PeerFault, require
from core.keys.states import Kind
from core.reasons import Event, Reason
from core.values import Admission, Fact, Instant
from jvpn.keys.envelope import Role
from jvpn.keys.life import Key, Validity
from jvpn.keys.trust import Floor, Trust
from jvpn.shell.checked import Misconfigured
from jvpn.shell.config import TrustConfig
from jvpn.shell.errors import Unavailable
from jvpn.shell.files import read_private, replace

FORMAT: Final = "jvpn trust 1"
NAME: Final = "trust.json"
FILE_BYTES_MAX: Final = 4_096
ROOT: Final = re.compile(r"root\.([1-9][0-9]{0,5})\.signed")
CODES: Final = {Role.ROOT: 1, Role.KEYSET: 2, Role.REVOCATIONS: 3}

log = structlog.get_logger(__name__)


class Documents:
    """What is believed, and how it changes. Each judgement that is new is handed to `record`, once."""

    def __init__(
        self, config: TrustConfig, state: Path, serial: Callable[[], int], record: Callable[[Fact], None], *, keep: bool = True
    ) -> None:
        """Take up the floors of before; without `keep` new ones are for this object only. Misconfigured when their file is damaged."""
        self._keep = keep
        self._dir, self._kept, self._serial, self._record = config.dir, state / NAME, serial, record
        self._told: dict[Role, tuple[Reason, int]] = {}
        self.trust = Trust(config.root, floors(self._kept, config.root))

    def refresh(self, wall_s: int, now: Instant) -> None:
        """Offer what is in the directory; a refusal leaves what is believed."""
        for number in self._roots():
            if self.trust.root is None or number >= self.trust.root.version:
                self._offer(Role.ROOT, f"root.{number}.signed", wall_s, now)
        if self.trust.root is None and not self._told:
            self._tell(Role.ROOT, Reason.DOCUMENT_MISSING, 0, now)
        for role in (Role.KEYSET, Role.REVOCATIONS):
            self._offer(role, f"{role.value}.signed", wall_s, now)

    def _roots(self) -> list[int]:
        try:
            found = [ROOT.fullmatch(name) for name in os.listdir(self._dir)]  # noqa: PTH208 - names are wanted
        except OSError:
            return []
        return sorted(int(each[1]) for each in found if each)

    def _offer(self, role: Role, name: str, wall_s: int, now: Instant) -> None:
        raw = read(self._dir / name)
        try:
            if raw is None:
                raise PeerFault(Reason.DOCUMENT_MISSING)  # noqa: TRY301 - one place tells all refusals
            trust = self.trust.offer(role, raw, wall_s)
            if self._keep and trust.floors != self.trust.floors:
                replace(self._kept, rendered(trust))
        except PeerFault as fault:
            self._tell(role, fault.reason, 0, now)
        except Unavailable as error:  # what cannot be kept is not used
            log.error("floors_not_kept", error=str(error))  # noqa: TRY400 - the message says all; the trace would be ours
        else:
            self.trust = trust
            self._tell(role, Reason.DOCUMENT_ACCEPTED, trust.floors[role].version, now)

    def _tell(self, role: Role, reason: Reason, version: int, now: Instant) -> None:
        if self._told.get(role) != (reason, version):
            self._told[role] = (reason, version)
            self._record(judged(role, reason, version, self._serial(), now))


class Keys:
    """The static keys that a gateway knows: its own and its devices'. Their changes are handed to `record`."""

    def __init__(
        self, documents: Documents, config: TrustConfig, node: bytes, serial: Callable[[], int], record: Callable[[Fact], None]
    ) -> None:
        self._documents, self._end_when_stale, self._node = documents, config.stale == "end", node
        self._serial, self._record = serial, record
        self._keys: dict[bytes, Key] = {}
        self._refusal: Reason | None = None
        self._begun = False

    def admission(self, own: Sequence[bytes], devices: Iterable[bytes], wall_s: int, now: Instant, sure_s: int | None = None) -> Admission:
        """Read the documents again, judge every key, and return what the engine is to be told [K-32].

        `own` are the gateway's public keys, the newest first: while one of them is valid, it is served under that one. `sure_s` is the
        clock for what cannot be undone: what is over by the wall alone lets nobody in, and ends nothing [K-35].
        """
        sure_s = wall_s if sure_s is None else sure_s
        self._documents.refresh(wall_s, now)
        trust, listed = self._documents.trust, set(devices)
        for public in self._keys.keys() - listed - set(own):
            self._keys.pop(public).judge(Validity(listed=False), wall_s, now)
        for public in listed:
            self._key(Kind.DEVICE, public, now).judge(Validity(revoked=trust.ended(public, wall_s)), wall_s, now)
        mine = {public: self._own(public, wall_s) for public in own}
        for public, validity in mine.items():
            self._key(Kind.GATEWAY, public, now).judge(validity, sure_s, now)
        self._begun = True
        ended = {public: self._reason(public, wall_s) for public, key in self._keys.items() if not key.accepted}
        refusal = trust.refusal(wall_s)
        if refusal and refusal is not self._refusal:
            version = trust.floors[Role.REVOCATIONS].version if Role.REVOCATIONS in trust.floors else 0
            self._record(judged(Role.REVOCATIONS, refusal, version, self._serial(), now))
        self._refusal = refusal
        if refusal and self._end_when_stale and trust.refusal(sure_s):
            ended = dict.fromkeys(own, Reason.KEY_OUTDATED) | ended
        over = {
            public: Reason.KEY_OUTDATED for public, its in mine.items() if its.not_after is not None and its.not_after <= wall_s
        } | ended
        without = over.get(own[0]) if all(public in over for public in own) else None
        return Admission(refusal or without, MappingProxyType(ended))

    def states(self) -> dict[str, int]:
        """Return how many keys are in which state."""
        names = [key.state.name for key in self._keys.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    def _key(self, kind: Kind, public: bytes, now: Instant) -> Key:
        """Return a key; one that is new after the start is recorded as such, those of the start were so when they were listed."""
        if public not in self._keys:
            self._keys[public] = key = Key(kind, public, self._serial, self._record if self._begun else _nothing, held=kind is Kind.GATEWAY)
            key.born(Reason.KEY_LISTED, now)
            if kind is Kind.DEVICE and not self._begun:
                key.judge(Validity(), 0, now)
            key.record = self._record
        return self._keys[public]

    def _own(self, own: bytes, wall_s: int) -> Validity:
        """Return what the documents say of the gateway's own key; without any keyset only whether it is revoked."""
        trust = self._documents.trust
        revoked = trust.ended(own, wall_s)
        if trust.keyset is None:
            return Validity(revoked=revoked)
        mine = [each for each in trust.keyset.gateways if each.node == self._node]
        entry = next((each for each in mine if each.public == own), None)
        if entry is None:
            return Validity(listed=False, revoked=revoked)
        newer = any(entry.not_before < each.not_before <= wall_s for each in mine)  # [K-33]
        return Validity(not_before=entry.not_before, not_after=entry.not_after, succeeded=newer, revoked=revoked)

    def _reason(self, public: bytes, wall_s: int) -> Reason:
        return Reason.KEY_REVOKED if self._documents.trust.ended(public, wall_s) else Reason.KEY_OUTDATED


def judged(role: Role, reason: Reason, version: int, serial: int, now: Instant) -> Fact:
    """Return the fact that a document of a role was judged so."""
    return Fact(Event.DOCUMENT_JUDGED, reason, serial, 0, now, carrier_to=CODES[role], binding_version=version)


def read(path: Path) -> bytes | None:
    """Return what a file holds, cut after one byte more than a document may have; None when there is no regular file to be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        raw = bytearray()
        while len(raw) <= limits.DOCUMENT_BYTES_MAX and (more := os.read(descriptor, limits.DOCUMENT_BYTES_MAX + 1 - len(raw))):
            raw += more
        return bytes(raw)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def floors(path: Path, pin: bytes) -> Mapping[Role, Floor]:
    """Return the floors that were kept under this pin; none where there is no file or another pin. Misconfigured when it is damaged."""
    if not path.exists() and not path.is_symlink():
        return MappingProxyType({})
    raw = read_private(path, FILE_BYTES_MAX)
    try:
        fields: Any = orjson.loads(raw)
        require(fields["format"] == FORMAT, "the format is known")
        kept = {Role(role): Floor(int(each["version"]), bytes.fromhex(each["digest"])) for role, each in fields["floors"].items()}
        return MappingProxyType(kept if fields["pin"] == pin.hex() else {})
    except (Invariant, ValueError, KeyError, TypeError, AttributeError):
        raise Misconfigured(f"{path}: damaged: it says which documents were seen, so restore it rather than remove it") from None


def rendered(trust: Trust) -> bytes:
    """Return the text of the floors' file."""
    kept = {role.value: {"version": floor.version, "digest": floor.digest.hex()} for role, floor in trust.floors.items()}
    return (
        orjson.dumps({"format": FORMAT, "pin": trust.pin.hex(), "floors": kept}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    )


def _nothing(_: Fact) -> None:
    """Take a fact that was recorded before."""
