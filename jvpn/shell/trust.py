"""The directory of signed documents: read at the start, every KEY_CHECK_NS and at a reload; what was accepted is kept in floors.

`DIR/root.1.signed`, `root.2.signed`, ..., `keyset.signed` and `revocations.signed` may be written by anybody: their signatures count, not
where they come from. The floors stand in `STATE/trust.json`, which is replaced before what they belong to is used [K-29]; who can
remove that file can bring back an old document that has not expired.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import structlog

from core.errors import Invariant, PeerFault, require
from core.limits import SECOND
from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.keys import limits
from jvpn.keys.documents import NUMBER_MAX
from jvpn.keys.envelope import Role
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
        self._stale = False
        self.unkept: str | None = None
        """Why the floors could not be written at the last reading; what they belong to is not used."""
        self.unreadable: dict[Path, str] = {}
        """What was there at the last reading and could not be read, and why: it counts as missing."""
        self._signed_s = -NUMBER_MAX
        """When boot time was zero by the newest time that was signed: what this machine's clock says is never earlier."""
        self.trust = Trust(config.root, floors(self._kept, config.root))

    def refresh(self, wall_s: int, now: Instant) -> int:
        """Offer what is in the directory; a refusal leaves what is believed. Return the clock that it was judged by, in seconds.

        It is the wall, or the newest time that was signed and what has passed since in this process: a clock that is set back or held
        keeps no document fresh, and brings no key back [K-46].
        """
        wall_s = max(wall_s, self._signed_s + now // SECOND)
        unkept, self.unkept = self.unkept, None
        unread, self.unreadable = self.unreadable, {}
        for number in self._roots():
            if self.trust.root is None or number >= self.trust.root.version:
                self._offer(Role.ROOT, f"root.{number}.signed", wall_s, now)
        if self.trust.root is None and not self._told:
            self._tell(Role.ROOT, Reason.DOCUMENT_MISSING, 0, now)
        for role in (Role.KEYSET, Role.REVOCATIONS):
            self._offer(role, f"{role.value}.signed", wall_s, now)
        self._tell_floors(unkept)
        for path, why in self.unreadable.items():
            if self._keep and unread.get(path) != why:
                log.error("document_unreadable", error=why)
        signed = [each.created for each in (self.trust.root, self.trust.keyset, self.trust.revocations) if each]
        self._signed_s = max(self._signed_s, *(created - now // SECOND for created in signed), -NUMBER_MAX)
        return max(wall_s, self._signed_s + now // SECOND)

    def stale(self, wall_s: int, now: Instant) -> Reason | None:
        """Return why nobody may come in now [K-30], or None; when that begins it is recorded."""
        stale = self.trust.refusal(wall_s)
        if stale and not self._stale:
            version = self.trust.floors[Role.REVOCATIONS].version if Role.REVOCATIONS in self.trust.floors else 0
            self._record(judged(Role.REVOCATIONS, stale, version, self._serial(), now))
        self._stale = stale is not None
        return stale

    def _roots(self) -> list[int]:
        try:
            found = [ROOT.fullmatch(name) for name in os.listdir(self._dir)]  # noqa: PTH208 - names are wanted
        except FileNotFoundError:
            return []
        except OSError as error:
            self.unreadable[self._dir] = f"{self._dir}: cannot be read: {error.strerror}"
            return []
        return sorted(int(each[1]) for each in found if each)

    def _offer(self, role: Role, name: str, wall_s: int, now: Instant) -> None:
        raw = None
        try:
            raw = read(self._dir / name)
        except Unavailable as error:
            self.unreadable[self._dir / name] = str(error)
        try:
            if raw is None:
                raise PeerFault(Reason.DOCUMENT_MISSING)  # noqa: TRY301 - one place tells all refusals
            trust = self.trust.offer(role, raw, wall_s)
            if self._keep and trust.floors != self.trust.floors:
                replace(self._kept, rendered(trust))
        except PeerFault as fault:
            self._tell(role, fault.reason, 0, now)
        except Unavailable as error:  # what cannot be kept is not used
            self.unkept = str(error)
        else:
            self.trust = trust
            self._tell(role, Reason.DOCUMENT_ACCEPTED, trust.floors[role].version, now)

    def _tell_floors(self, before: str | None) -> None:
        """Tell the operator, once, that what was seen cannot be kept, and then that it is."""
        if self.unkept and self.unkept != before:
            log.error("floors_not_kept", error=self.unkept)
        elif before and not self.unkept:
            log.info("floors_kept")

    def _tell(self, role: Role, reason: Reason, version: int, now: Instant) -> None:
        if self._told.get(role) != (reason, version):
            self._told[role] = (reason, version)
            self._record(judged(role, reason, version, self._serial(), now))


def judged(role: Role, reason: Reason, version: int, serial: int, now: Instant) -> Fact:
    """Return the fact that a document of a role was judged so."""
    return Fact(Event.DOCUMENT_JUDGED, reason, serial, 0, now, carrier_to=CODES[role], binding_version=version)


def read(path: Path) -> bytes | None:
    """Return what a file holds, cut after one byte more than a document may have; None when there is no regular file.

    Raises:
        Unavailable: it is there and cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        raw = bytearray()
        while len(raw) <= limits.DOCUMENT_BYTES_MAX and (more := os.read(descriptor, limits.DOCUMENT_BYTES_MAX + 1 - len(raw))):
            raw += more
        return bytes(raw)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error
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
