"""The three documents: what a verified payload says, parsed once into sized types. One form: JSON, closed, whole numbers [K-23].

Times are seconds since 1970. What does not fit is Malformed, which names the field. `schemas/keys/` says the same for other readers.
"""

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits
from jvpn.keys.envelope import PUBLIC_LENGTH, Malformed, Role

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
    """Return what a verified root says. PeerFault: DOCUMENT_ROLE_WRONG when it says that it is of another role, else Malformed."""
    version, created, expires, body = _fields(Role.ROOT, "roles", payload)
    listed = _object("roles", body, *(role.value for role in Role))
    roles = {role: _signers(f"roles.{role.value}", each) for role, each in zip(Role, listed, strict=True)}
    keys = [key for signers in roles.values() for key in signers.keys]
    _need(len(set(keys)) == len(keys), "roles: found a key in two of them")  # [K-24]
    least = limits.ROOT_THRESHOLD_MIN
    _need(roles[Role.ROOT].threshold >= least, f"roles.root.threshold: allowed {least} or more")  # [K-24]
    return Root(version, created, expires, roles)


def read_keyset(payload: bytes) -> Keyset:
    """Return what a verified keyset says. PeerFault as in `read_root`."""
    version, created, expires, body = _fields(Role.KEYSET, "gateways", payload)
    gateways, seen = list[GatewayKey](), set[bytes]()
    for at, each in _list("gateways", body):
        node, public, not_before, not_after = _object(at, each, "node", "public", "not_before", "not_after")
        found = GatewayKey(_hex(f"{at}.node", node, 8), _public(f"{at}.public", public),
                           _number(f"{at}.not_before", not_before), _number(f"{at}.not_after", not_after))  # fmt: skip
        _need(found.not_before < found.not_after, f"{at}.not_after: allowed later than not_before")
        _need(found.public not in seen, f"{at}.public: is there twice")
        seen.add(found.public)
        gateways.append(found)
    return Keyset(version, created, expires, tuple(gateways))


def read_revocations(payload: bytes) -> Revocations:
    """Return what a verified list of revocations says. PeerFault as in `read_root`."""
    version, created, expires, body = _fields(Role.REVOCATIONS, "revoked", payload)
    _need(expires - created <= limits.REVOCATIONS_LIFE_S, f"expires: allowed {limits.REVOCATIONS_LIFE_S} s after created")  # [K-25]
    revoked = dict[bytes, Revoked]()
    for at, each in _list("revoked", body):
        fingerprint, kind, since, reason = _object(at, each, "fingerprint", "kind", "since", "reason")
        _need(kind in (DEVICE, GATEWAY), f"{at}.kind: allowed {DEVICE}, {GATEWAY}")
        _need(reason in REASONS, f"{at}.reason: allowed {', '.join(REASONS)}")
        raw = _hex(f"{at}.fingerprint", fingerprint, 32)
        _need(raw not in revoked, f"{at}.fingerprint: is there twice")
        revoked[raw] = Revoked(kind, _number(f"{at}.since", since), reason)
    return Revocations(version, created, expires, revoked)


def _fields(role: Role, name: str, payload: bytes) -> tuple[int, int, int, Any]:
    """Return version, created, expires and what the document is about, which stands under `name`."""
    try:
        fields = json.loads(payload.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Malformed("the payload is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the payload is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise Malformed("the payload is not JSON that is read here: too deep, or a number too long") from None
    if type(fields) is dict and fields.get("role") in [each.value for each in Role if each is not role]:
        raise PeerFault(Reason.DOCUMENT_ROLE_WRONG)
    said, version, created, expires, body = _object("the payload", fields, "role", "version", "created", "expires", name)
    _need(said == role.value, f"role: allowed {role.value}")
    _need(_number("version", version) > 0, "version: allowed from 1 on")
    _need(_number("created", created) < _number("expires", expires), "expires: allowed later than created")
    return version, created, expires, body


def _signers(at: str, value: object) -> Signers:
    threshold, listed = _object(at, value, "threshold", "keys")
    keys = frozenset(_public(place, each) for place, each in _list(f"{at}.keys", listed))
    most = limits.DOCUMENT_SIGNATURES_MAX
    _need(len(keys) == len(listed) <= most, f"{at}.keys: found {len(listed)}, allowed up to {most}, none twice")
    _need(0 < _number(f"{at}.threshold", threshold) <= len(keys), f"{at}.threshold: allowed from 1 to the number of keys")
    return Signers(threshold, keys)


def _need(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise Malformed(what)


def _object(at: str, value: object, *names: str) -> list[Any]:
    if type(value) is not dict or value.keys() != set(names):
        raise Malformed(f"{at}: allowed exactly the fields {', '.join(names)}")
    return [value[name] for name in names]


def _list(at: str, value: object) -> list[tuple[str, Any]]:
    """Return what stands in a list, each with its place."""
    if type(value) is not list:
        raise Malformed(f"{at}: allowed a list")
    return [(f"{at}[{number}]", each) for number, each in enumerate(value)]


def _number(at: str, value: object) -> int:
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise Malformed(f"{at}: allowed a whole number from 0 to {NUMBER_MAX}")
    return value


def _hex(at: str, value: object, length: int) -> bytes:
    if type(value) is not str or re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", value) is None:
        raise Malformed(f"{at}: allowed {2 * length} hex digits in lower case")
    return bytes.fromhex(value)


def _public(at: str, value: object) -> bytes:
    what = f"{at}: allowed a public key of {PUBLIC_LENGTH} bytes in base64"
    if type(value) is not str or re.fullmatch(r"[A-Za-z0-9+/]{43}=", value) is None:
        raise Malformed(what)
    raw = binascii.a2b_base64(value)
    _need(len(raw) == PUBLIC_LENGTH and binascii.b2a_base64(raw, newline=False).decode() == value, what)
    return raw


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _need(len(dict(pairs)) == len(pairs), "the payload has a name twice in one object")
    return dict(pairs)
