"""Signed documents written down once more, over PyNaCl and by string: no code shared with `core`. They make `schemas/vectors/keys/`.

`vectors()` has the valid courses and one failure each; `python -m tests.jvpn.keys.making` writes the files.
"""

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from nacl import bindings

FOLDER: Final = Path(__file__).resolve().parents[3] / "schemas" / "vectors" / "keys"
NOW: Final = 1_800_000_000
DAY: Final = 86_400
ROLES: Final = ("root", "keyset", "revocations")

Fields = dict[str, Any]
Change = Callable[[Fields], object]


def pair(name: str) -> tuple[bytes, bytes]:
    """Return (public, private) of a role key that anybody can make again."""
    public, private = bindings.crypto_sign_seed_keypair(hashlib.sha512(b"jumping-vpn test vector: " + name.encode()).digest()[:32])
    return public, private


def text(raw: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(raw).decode()


def static(name: str) -> bytes:
    """Return 32 bytes that stand for a static public key."""
    return hashlib.sha256(b"static " + name.encode()).digest()


def body(fields: Fields) -> bytes:
    """Return a payload."""
    return json.dumps(fields, separators=(",", ":")).encode()


def document(role: str, payload: bytes, *signers: str, over: str = "") -> str:
    """Return the file of a payload, signed by these keys as a document of the role `over`, or of its own."""
    signed = b"jumping-vpn/1 " + (over or role).encode() + b"\0" + len(payload).to_bytes(8, "little") + payload
    lines = [f"jumping-vpn/1 {role}", text(payload)]
    for signer in signers:
        public, private = pair(signer)
        lines.append(f"{text(public)} {text(bindings.crypto_sign(signed, private)[:64])}")
    return "\n".join([*lines, ""])


def root(version: int = 1, **others: object) -> Fields:
    """Return the fields of a root: three keys, two of which sign; `keyset` and `revocations` have one each."""
    keys = {"root": ["root a", "root b", "root c"], "keyset": ["keyset"], "revocations": ["revocations"]} | others
    roles = {role: {"threshold": 2 if role == "root" else 1, "keys": [text(pair(name)[0]) for name in keys[role]]} for role in ROLES}  # type: ignore[attr-defined]  # lists of names
    return {"role": "root", "version": version, "created": NOW - DAY, "expires": NOW + 365 * DAY, "roles": roles}


def keyset(version: int = 1) -> Fields:
    """Return the fields of a keyset: two keys of one gateway that overlap."""
    entries = [
        {"node": "0011223344556677", "public": text(static("old")), "not_before": NOW - 60 * DAY, "not_after": NOW + DAY},
        {"node": "0011223344556677", "public": text(static("new")), "not_before": NOW - DAY, "not_after": NOW + 60 * DAY},
    ]
    return {"role": "keyset", "version": version, "created": NOW - DAY, "expires": NOW + 90 * DAY, "gateways": entries}


def revocations(version: int = 1) -> Fields:
    """Return the fields of a list with one lost device."""
    entry = {"fingerprint": hashlib.sha256(static("lost")).hexdigest(), "kind": "device", "since": NOW - 60, "reason": "lost"}
    return {"role": "revocations", "version": version, "created": NOW - 3_600, "expires": NOW + 3_600, "revoked": [entry]}


ROOT: Final = document("root", body(root()), "root a", "root b")
PIN: Final = hashlib.sha256(body(root())).hexdigest()


def offer(role: str, file: str, result: str = "accepted", wall_s: int = NOW) -> Fields:
    """Return one step of a course."""
    return {"role": role, "wall_s": wall_s, "document": file, "result": result}


def course(what: str, *offers: Fields, stale: bool = True) -> Fields:
    """Return a vector: documents in their order after the pinned root, and whether nobody may come in at the end."""
    return {"what": what, "pin": PIN, "offers": [offer("root", ROOT), *offers], "stale": stale}


def changed(fields: Fields, change: Change) -> Fields:
    """Return fields with a change."""
    spoiled = copy.deepcopy(fields)
    change(spoiled)
    return spoiled


def revoking(fields: Fields, *signers: str) -> str:
    """Return the file of a list of revocations."""
    return document("revocations", body(fields), *(signers or ("revocations",)))


def set_of(fields: Fields) -> str:
    """Return the file of a keyset."""
    return document("keyset", body(fields), "keyset")


def vectors() -> Iterator[tuple[str, Fields]]:
    """Yield each vector with its name."""
    good, list_ = revoking(revocations()), offer("revocations", revoking(revocations()))
    two = document("root", body(root(2, keyset=["keyset 2"])), "root a", "root c")
    high = offer("keyset", set_of(keyset(99)))
    yield "valid", course("All three, accepted.", offer("keyset", set_of(keyset())), list_, stale=False)
    yield (
        "valid-newer",
        course("A newer list takes the place of the older.", list_, offer("revocations", revoking(revocations(2))), stale=False),
    )
    yield "valid-again", course("What is accepted is accepted again.", list_, list_, offer("root", ROOT), stale=False)
    yield "valid-unknown-key", course("A signature by a key that is not of the role counts for nothing.",
                                      offer("revocations", revoking(revocations(), "stranger", "revocations")), stale=False)  # fmt: skip
    yield "valid-root-2", course("A root with other keys for the keyset forgets that floor alone.", list_, high,
                                 offer("root", two), offer("keyset", document("keyset", body(keyset()), "keyset 2")),
                                 stale=False)  # fmt: skip
    yield "valid-tolerance", course("Clocks may differ by 300 s.", offer("revocations", good, wall_s=NOW + 3_600 + 299), stale=False)
    yield from refused_by_signature(list_, two)
    yield from refused_by_version(list_, two, high)
    yield from refused_by_form()


def refused_by_signature(list_: Fields, two: str) -> Iterator[tuple[str, Fields]]:
    """Yield what is not signed as it must be."""
    payload, bad, few = body(revocations()), "DOCUMENT_BAD_SIGNATURE", "DOCUMENT_UNSIGNED"
    strange = document("root", body(root(1) | {"created": NOW - DAY - 1}), "root a", "root b")
    yield (
        "not-pinned",
        {"what": "The first root is another one.", "pin": PIN, "offers": [offer("root", strange, "ROOT_NOT_PINNED")], "stale": True},
    )
    yield "no-root", {"what": "No root is there.", "pin": PIN, "offers": [list_ | {"result": "DOCUMENT_MISSING"}], "stale": True}
    yield "one-of-two", {"what": "The pinned root has one signature of two.", "pin": PIN, "stale": True,
                         "offers": [offer("root", document("root", body(root()), "root a"), few)]}  # fmt: skip
    twice = document("root", body(root()), "root a", "root a")
    yield (
        "one-key-twice",
        {"what": "One key signs twice.", "pin": PIN, "offers": [offer("root", twice, "DOCUMENT_MALFORMED")], "stale": True},
    )
    yield "unknown-key", course("Only a stranger signed.", offer("revocations", revoking(revocations(), "stranger"), few))
    yield "other-role-signs", course("The key of the keyset signed a list.", offer("revocations", revoking(revocations(), "keyset"), few))
    yield "other-role-over", course("Signed as a keyset, served as a list.",
                                    offer("revocations", document("revocations", payload, "revocations", over="keyset"), bad))  # fmt: skip
    yield "wrong-role", course("A list is served where a keyset is expected.", offer("keyset", list_["document"], "DOCUMENT_ROLE_WRONG"))
    lie = document("revocations", body(keyset()), "revocations")
    yield "wrong-role-inside", course("Signed as a list, and says that it is a keyset.", offer("revocations", lie, "DOCUMENT_ROLE_WRONG"))
    lines = list_["document"].split("\n")
    forged = "\n".join([lines[0], text(body(revocations(2))), *lines[2:]])
    yield "payload-exchanged", course("The payload is another than the signed one.", offer("revocations", forged, bad))
    both = list_["document"] + document("revocations", payload, "keyset").split("\n")[2] + "\n"
    yield "wrong-signature-of-two", course("A root's new version has a good signature, a second and a wrong one of its keys.",
        offer("root", two + f"{text(pair('root b')[0])} {text(bytes(64))}\n", bad), offer("revocations", both), stale=False)  # fmt: skip
    yield "root-2-old-threshold", course("The new root has one signature of the old keys.",
        offer("root", document("root", body(root(2, root=["root a", "root d", "root e"])), "root a", "root d"), few))  # fmt: skip
    yield "root-2-own-threshold", course("The new root has the old keys' signatures and one of its own.",
        offer("root", document("root", body(root(2, root=["root a", "root d", "root e"])), "root a", "root b"), few))  # fmt: skip
    yield (
        "keyset-old-key",
        course("A key that the new root took from the role signs.", offer("root", two), offer("keyset", set_of(keyset(2)), few)),
    )


def refused_by_version(list_: Fields, two: str, high: Fields) -> Iterator[tuple[str, Fields]]:
    """Yield what is old, of another time, or said twice."""
    gone, back, twofold = "DOCUMENT_EXPIRED", "DOCUMENT_ROLLED_BACK", "DOCUMENT_EQUIVOCATED"
    second = offer("revocations", revoking(revocations(2)))
    yield "rollback-revocations", course("An older list after a newer.", second, list_ | {"result": back}, stale=False)
    yield "rollback-keyset", course("An older keyset after a newer.", high, offer("keyset", set_of(keyset(98)), back))
    yield "rollback-root", course("The first root after the second.", offer("root", two), offer("root", ROOT, back))
    other = changed(revocations(), lambda fields: fields["revoked"].clear())
    yield (
        "equivocation",
        course("The same version says something else.", list_, offer("revocations", revoking(other), twofold), stale=False),
    )
    another = document("root", body(root(2, revocations=["revocations 2"])), "root a", "root b")
    yield "equivocation-root", course("Two roots of one version.", offer("root", two), offer("root", another, twofold))
    yield (
        "root-n-plus-2",
        course("Version 3 after version 1.", offer("root", document("root", body(root(3)), "root a", "root b"), "DOCUMENT_VERSION_GAP")),
    )
    yield "expired", course("The list's time is over.", offer("revocations", list_["document"], gone, NOW + 3_600 + 300))
    yield "expired-root", course("The root's time is over.", offer("revocations", list_["document"], gone, NOW + 365 * DAY + 300))
    yield "from-future", course("The list was made later than now.",
                                offer("revocations", list_["document"], "DOCUMENT_FROM_FUTURE", NOW - 3_600 - 301))  # fmt: skip


def refused_by_form() -> Iterator[tuple[str, Fields]]:
    """Yield what is signed and has not the one form."""
    spoiled: dict[str, tuple[str, bytes]] = {
        "not-utf8": ("The payload is not UTF-8.", body(revocations()).replace(b"lost", b"lo\xffst")),
        "duplicate-name": ("A name stands twice.", body(revocations()).replace(b'{"role"', b'{"version":2,"role"')),
        "extra-field": ("A field that nobody knows.", body(revocations() | {"note": 1})),
        "missing-field": ("A field is missing.", body(changed(revocations(), lambda fields: fields.pop("expires")))),
        "float": ("A number with a fraction.", body(revocations() | {"version": 1.0})),
        "not-a-number": ("A number that is none.", body(revocations() | {"version": float("nan")})),
        "boolean": ("A truth value for a number.", body(revocations() | {"version": True})),
        "negative": ("A number below 0.", body(revocations() | {"created": -1})),
        "version-0": ("Versions begin with 1.", body(revocations(0))),
        "beyond-2-53": ("A number that readers would round.", body(revocations(2**53))),
        "deep": ("Lists in lists.", body(revocations())[:-1] + b',"note":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        "not-an-object": ("The payload is a list.", b"[]"),
        "upper-case": (
            "A fingerprint in capitals.",
            body(changed(revocations(), lambda f: f["revoked"][0].update(fingerprint=f["revoked"][0]["fingerprint"].upper()))),
        ),
        "lives-too-long": ("A list for more than a day.", body(revocations() | {"expires": NOW - 3_600 + DAY + 1})),
        "ends-before-it-begins": ("Expired before it was created.", body(revocations() | {"expires": NOW - 3_600})),
        "fingerprint-twice": ("One key twice in the list.", body(changed(revocations(), lambda f: f["revoked"].append(f["revoked"][0])))),
        "unknown-reason": ("A reason that nobody knows.", body(revocations()).replace(b'"reason":"lost"', b'"reason":"bored"')),
    }
    for name, (what, payload) in spoiled.items():
        yield name, course(what, offer("revocations", document("revocations", payload, "revocations"), "DOCUMENT_MALFORMED"))
    twofold = changed(keyset(), lambda fields: fields["gateways"].append(fields["gateways"][0]))
    yield "gateway-key-twice", course("One static key twice in the keyset.", offer("keyset", set_of(twofold), "DOCUMENT_MALFORMED"))
    never = changed(keyset(), lambda fields: fields["gateways"][0].update(not_after=0))
    yield "never-valid", course("A key whose time ends before it begins.", offer("keyset", set_of(never), "DOCUMENT_MALFORMED"))
    for name, what, fields in (
        ("root-threshold-1", "One key alone could replace the root.", changed(root(2), lambda f: f["roles"]["root"].update(threshold=1))),
        ("root-threshold-4", "More signatures than keys.", changed(root(2), lambda f: f["roles"]["root"].update(threshold=4))),
        ("key-of-two-roles", "One key signs for two roles.", root(2, keyset=["revocations"])),
    ):
        yield name, course(what, offer("root", document("root", body(fields), "root a", "root b"), "DOCUMENT_MALFORMED"))
    good = revoking(revocations())
    for name, what, file in (
        ("envelope-crlf", "Lines end with CR LF.", good.replace("\n", "\r\n")),
        ("envelope-no-end", "The last line has no end.", good[:-1]),
        ("envelope-space", "A space more.", good.replace(" ", "  ")),
        ("envelope-unsigned", "No signature at all.", "\n".join([*good.split("\n")[:2], ""])),
        ("envelope-other-protocol", "Of another protocol.", good.replace("jumping-vpn/1", "jumping-vpn/2")),
        ("envelope-no-protocol", "The role stands alone.", good.removeprefix("jumping-vpn/1 ")),
        ("envelope-more", "Bytes behind the last line.", good + "x"),
        ("envelope-loose-base64", "Base64 with a character that is none.", good.replace("\n", "\n!", 1)),
    ):
        yield name, course(what, offer("revocations", file, "DOCUMENT_MALFORMED"))
    yield "too-large", course("A file beyond 1 MiB: the document, followed by line feeds to that length.",
                              offer("revocations", good, "DOCUMENT_TOO_LARGE") | {"padded_to": 1_048_577})  # fmt: skip


def rendered(vector: Fields) -> str:
    """Return the text of a vector's file."""
    return json.dumps(vector, indent=1) + "\n"


def bytes_of(step: Fields) -> bytes:
    """Return the bytes that a step offers."""
    return str(step["document"]).encode().ljust(step.get("padded_to", 0), b"\n")


if __name__ == "__main__":
    for made, vector in vectors():
        (FOLDER / f"{made}.json").write_text(rendered(vector), encoding="utf-8")
