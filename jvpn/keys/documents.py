"""The three documents: what a verified payload says, parsed once into sized types. One form: JSON, closed, whole numbers [K-23].

Times are seconds since 1970. What does not fit is PeerFault(DOCUMENT_MALFORMED). `schemas/keys/` says the same for other readers.
"""

import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits
from jvpn.keys.envelope import PUBLIC_LENGTH, Role

NUMBER_MAX = 2**53 - 1  # beyond it readers that use doubles would round
DEVICE, GATEWAY = "device", "gateway"
COMPROMISED, RETIRED, LOST = REASONS = ("compromised", "retired", "lost")


class Signers(NamedTuple):
    """Who signs for a role: so many of these Ed25519 public keys."""

    threshold: int
    keys: frozenset[bytes]


class Root(NamedTuple):
    """Who signs what."""

    version: int
    created: int
    expires: int
    roles: Mapping[Role, Signers]


class GatewayKey(NamedTuple):
    """A static key of the gateway `node` (8 bytes), accepted from `not_before` until before `not_after`."""

    node: bytes
    public: bytes
    not_before: int
    not_after: int


class Keyset(NamedTuple):
    """The static keys of all gateways; two of one node that overlap are a rotation [K-33]."""

    version: int
    created: int
    expires: int
    gateways: tuple[GatewayKey, ...]


class Revoked(NamedTuple):
    """A key that is not accepted from `since` on: `kind` device or gateway, `reason` compromised, retired or lost."""

    kind: str
    since: int
    reason: str


class Revocations(NamedTuple):
    """All keys that are revoked, by fingerprint (32 bytes)."""

    version: int
    created: int
    expires: int
    revoked: Mapping[bytes, Revoked]


Document = Root | Keyset | Revocations


def read_root(payload: bytes) -> Root:
    """Return what a verified root says. PeerFault: DOCUMENT_ROLE_WRONG when it says that it is of another role, else DOCUMENT_MALFORMED."""
    version, created, expires, body = _fields(Role.ROOT, "roles", payload)
    roles = {role: _signers(each) for role, each in zip(Role, _object(body, *(role.value for role in Role)), strict=True)}
    keys = [key for signers in roles.values() for key in signers.keys]
    _need(len(set(keys)) == len(keys) and roles[Role.ROOT].threshold >= limits.ROOT_THRESHOLD_MIN)  # a key has one role [K-24]
    return Root(version, created, expires, roles)


def read_keyset(payload: bytes) -> Keyset:
    """Return what a verified keyset says. PeerFault as in `read_root`."""
    version, created, expires, body = _fields(Role.KEYSET, "gateways", payload)
    gateways = []
    for each in _list(body):
        node, public, not_before, not_after = _object(each, "node", "public", "not_before", "not_after")
        _need(_number(not_before) < _number(not_after))
        gateways.append(GatewayKey(_hex(node, 8), _public(public), not_before, not_after))
    _need(len({each.public for each in gateways}) == len(gateways))
    return Keyset(version, created, expires, tuple(gateways))


def read_revocations(payload: bytes) -> Revocations:
    """Return what a verified list of revocations says. PeerFault as in `read_root`."""
    version, created, expires, body = _fields(Role.REVOCATIONS, "revoked", payload)
    _need(expires - created <= limits.REVOCATIONS_LIFE_S)  # [K-25]
    revoked = {}
    for each in _list(body):
        fingerprint, kind, since, reason = _object(each, "fingerprint", "kind", "since", "reason")
        _need(kind in (DEVICE, GATEWAY) and reason in REASONS)
        revoked[_hex(fingerprint, 32)] = Revoked(kind, _number(since), reason)
    _need(len(revoked) == len(body))
    return Revocations(version, created, expires, revoked)


def _fields(role: Role, name: str, payload: bytes) -> tuple[int, int, int, Any]:
    """Return version, created, expires and what the document is about, which stands under `name`."""
    try:
        fields = json.loads(payload.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise PeerFault(Reason.DOCUMENT_MALFORMED) from None
    if type(fields) is dict and fields.get("role") in [each.value for each in Role if each is not role]:
        raise PeerFault(Reason.DOCUMENT_ROLE_WRONG)
    said, version, created, expires, body = _object(fields, "role", "version", "created", "expires", name)
    _need(said == role.value and _number(version) > 0 and _number(created) < _number(expires))
    return version, created, expires, body


def _signers(value: object) -> Signers:
    threshold, listed = _object(value, "threshold", "keys")
    keys = frozenset(_public(each) for each in _list(listed))
    _need(0 < _number(threshold) <= len(keys) == len(listed) <= limits.DOCUMENT_SIGNATURES_MAX)
    return Signers(threshold, keys)


def _need(condition: bool) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise PeerFault(Reason.DOCUMENT_MALFORMED)


def _object(value: object, *names: str) -> list[Any]:
    if type(value) is not dict or value.keys() != set(names):
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
    return [value[name] for name in names]


def _list(value: object) -> Sequence[Any]:
    if type(value) is not list:
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
    return value


def _hex(value: object, length: int) -> bytes:
    if type(value) is not str or re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", value) is None:
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
    return bytes.fromhex(value)


def _public(value: object) -> bytes:
    if type(value) is not str or re.fullmatch(r"[A-Za-z0-9+/]{43}=", value) is None:
        raise PeerFault(Reason.DOCUMENT_MALFORMED)
    raw = binascii.a2b_base64(value)
    _need(len(raw) == PUBLIC_LENGTH and binascii.b2a_base64(raw, newline=False).decode() == value)
    return raw


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _need(len(dict(pairs)) == len(pairs))
    return dict(pairs)
