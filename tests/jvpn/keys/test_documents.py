"""The bounds of what a document may say: what is just allowed is read, and one step beyond is refused."""

from typing import Final

import pytest

from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import limits
from jvpn.keys.documents import NUMBER_MAX, read_keyset, read_revocations, read_root
from jvpn.keys.envelope import Malformed, Role, parse
from jvpn.keys.trust import Trust
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW, Change, Fields

MALFORMED: Final = Reason.DOCUMENT_MALFORMED
SIGNERS: Final = [f"signer {number}" for number in range(limits.DOCUMENT_SIGNATURES_MAX + 1)]


def read(fields: Fields) -> Reason | None:
    """Read a payload as what it says that it is; return why it is refused, None when it is not."""
    reader = {"root": read_root, "keyset": read_keyset, "revocations": read_revocations}[fields["role"]]
    try:
        reader(making.body(fields))
    except PeerFault as fault:
        return fault.reason
    return None


def entry(**values: object) -> Change:
    """Return a change of the first entry of a keyset or of a list."""
    return lambda fields: fields["gateways" if "gateways" in fields else "revoked"][0].update(values)


def signers(role: str, **values: object) -> Change:
    """Return a change of who signs for a role."""
    return lambda fields: fields["roles"][role].update(values)


def keys(count: int) -> list[str]:
    """Return so many public keys in base64."""
    return [making.text(making.pair(name)[0]) for name in SIGNERS[:count]]


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (making.revocations(), lambda fields: fields.update(expires=fields["created"] + limits.REVOCATIONS_LIFE_S)),
        (making.revocations(), lambda fields: fields.update(created=0, expires=DAY)),
        (making.revocations(), lambda fields: fields.update(version=NUMBER_MAX)),
        (making.revocations(), entry(since=0)),
        (making.keyset(), entry(not_before=0, not_after=1)),
        (making.root(), signers("root", threshold=3)),
        (making.root(), signers("root", threshold=limits.ROOT_THRESHOLD_MIN)),
        (making.root(), signers("keyset", keys=keys(limits.DOCUMENT_SIGNATURES_MAX), threshold=limits.DOCUMENT_SIGNATURES_MAX)),
    ],
    ids=["a day", "first second", "greatest version", "for ever", "one second", "all sign", "two sign", "sixteen keys"],
)
def test_what_is_just_allowed_is_read(fields: Fields, change: Change) -> None:
    """[K-23] to [K-25] A good document would be refused by one implementation and believed by another."""
    assert read(making.changed(fields, change)) is None


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (making.keyset(), entry(not_before=NOW, not_after=NOW)),
        (making.keyset(), entry(public=7)),
        (making.keyset(), entry(public="no key")),
        (making.keyset(), entry(public=making.text(bytes(31)))),
        (making.keyset(), entry(public=making.text(bytes(33)))),
        (making.keyset(), entry(public=making.text(bytes(32)).replace("A=", "B="))),
        (making.keyset(), entry(node=7)),
        (making.keyset(), lambda fields: fields.update(gateways={})),
        (making.keyset(), entry(not_after=1.0e10)),
        (making.root(), signers("keyset", threshold=0)),
        (making.root(), signers("revocations", threshold=0)),
        (making.root(), signers("keyset", keys=keys(limits.DOCUMENT_SIGNATURES_MAX + 1))),
        (making.root(), signers("keyset", keys=keys(1) * 2)),
    ],
    ids=["no time at all", "a number", "no base64", "too short", "too long", "two spellings of one key", "a node's number", "no list",
         "an exponent", "a keyset that nobody signs", "a list that nobody signs", "seventeen keys", "one key twice"],
)  # fmt: skip
def test_what_is_just_not_allowed_is_refused(fields: Fields, change: Change) -> None:
    """[K-23] [K-24] A root whose keyset needs no signature is believed; or a document stops the program instead of being refused."""
    assert read(making.changed(fields, change)) is MALFORMED


@pytest.mark.parametrize("role", [[], {}, 7, None, "no role"])
def test_a_document_that_names_no_role_is_refused(role: object) -> None:
    """[K-23] A signed document with a list where its role should stand would stop the program that reads it."""
    payload = making.body(making.revocations() | {"role": role})
    with pytest.raises(PeerFault, match=MALFORMED.name):
        read_revocations(payload)


def signed(count: int) -> bytes:
    """Return a list with so many signatures."""
    return making.revoking(making.revocations(), *SIGNERS[:count]).encode()


def test_sixteen_signatures_are_read_and_seventeen_are_not() -> None:
    """[K-21] A root of sixteen keys could never be signed by all; or a file makes a gateway verify without end."""
    assert len(parse(signed(limits.DOCUMENT_SIGNATURES_MAX)).signatures) == limits.DOCUMENT_SIGNATURES_MAX
    with pytest.raises(PeerFault, match=MALFORMED.name):
        parse(signed(limits.DOCUMENT_SIGNATURES_MAX + 1))


@pytest.mark.parametrize(("more", "reason"), [(0, MALFORMED), (1, Reason.DOCUMENT_TOO_LARGE)])
def test_a_file_of_a_mebibyte_is_looked_at(more: int, reason: Reason) -> None:
    """[K-21] The bound that is written down would be another than the one that holds."""
    with pytest.raises(PeerFault, match=reason.name):
        parse(signed(1).ljust(limits.DOCUMENT_BYTES_MAX + more, b"\n"))


def test_a_role_that_is_no_text_is_refused() -> None:
    """[K-21] A file of any bytes would stop the program that reads it."""
    with pytest.raises(PeerFault, match=MALFORMED.name):
        parse(signed(1).replace(Role.REVOCATIONS.value.encode(), b"\xff", 1))


@pytest.mark.parametrize(
    ("vector", "what"),
    [
        ("not-utf8", "the payload is not UTF-8"),
        ("duplicate-name", "the payload has a name twice in one object"),
        ("deep", "the payload is not JSON that is read here: too deep, or a number too long"),
        ("extra-field", "the payload: allowed exactly the fields role, version, created, expires, revoked"),
        ("version-0", "version: allowed from 1 on"),
        ("negative", "created: allowed a whole number from 0 to 9007199254740991"),
        ("lives-too-long", "expires: allowed 86400 s after created"),
        ("ends-before-it-begins", "expires: allowed later than created"),
        ("upper-case", "revoked[0].fingerprint: allowed 64 hex digits in lower case"),
        ("fingerprint-twice", "revoked[1].fingerprint: is there twice"),
        ("unknown-reason", "revoked[0].reason: allowed compromised, retired, lost"),
        ("gateway-key-twice", "gateways[2].public: is there twice"),
        ("never-valid", "gateways[0].not_after: allowed later than not_before"),
        ("root-threshold-1", "roles.root.threshold: allowed 2 or more"),
        ("root-threshold-4", "roles.root.threshold: allowed from 1 to the number of keys"),
        ("key-of-two-roles", "roles: found a key in two of them"),
        ("envelope-crlf", "line 1: found no `jumping-vpn/1 ROLE` of a known role"),
        ("envelope-loose-base64", "line 2: found no payload in base64"),
        ("envelope-space", "line 1: found no `jumping-vpn/1 ROLE` of a known role"),
        ("envelope-unsigned", "signatures: found 0 by 0 keys, allowed 1 to 16, no key twice"),
        ("one-key-twice", "signatures: found 2 by 1 keys, allowed 1 to 16, no key twice"),
        ("envelope-no-end", "signatures: found 0 by 0 keys, allowed 1 to 16, no key twice"),
        ("envelope-more", "line 4: not the one form: no byte more or less, and one line feed at the end of each line"),
    ],
)
def test_what_is_malformed_is_named(vector: str, what: str) -> None:
    """An operator learns that something in a signed file is wrong, and not what."""
    made = dict(making.vectors())[vector]
    trust, (*before, last) = Trust(bytes.fromhex(made["pin"])), made["offers"]
    for step in before:
        trust = trust.offer(Role(step["role"]), making.bytes_of(step), step["wall_s"])
    with pytest.raises(Malformed) as caught:
        trust.offer(Role(last["role"]), making.bytes_of(last), last["wall_s"])
    assert (caught.value.what, caught.value.reason) == (what, MALFORMED)


def test_where_the_json_ends_is_named() -> None:
    """A comma too much is looked for in the whole document."""
    with pytest.raises(Malformed) as caught:
        read_keyset(b'{"role": "keyset",\n}')
    assert caught.value.what.startswith("the payload is not JSON: line 2, column 1: ")


def test_a_line_that_is_no_signature_is_named() -> None:
    """[K-21] One of sixteen signatures was cut when it was copied, and nobody knows which."""
    lines = signed(3).split(b"\n")
    lines[3] = lines[3].partition(b" ")[0]
    with pytest.raises(Malformed) as caught:
        parse(b"\n".join(lines))
    assert caught.value.what == "line 4: found no public key, space, signature in base64"
