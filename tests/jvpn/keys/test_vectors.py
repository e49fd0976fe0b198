"""The vectors of signed documents: made by independent code, judged by the core as they say, and described alike by the schemas."""

import base64
import json
from typing import Any, Final

import jsonschema
import pytest

from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys.envelope import Role
from jvpn.keys.trust import Trust
from tests.jvpn.keys import making
from tests.support import ROOT

VECTORS: Final = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(making.FOLDER.glob("*.json"))}
# fmt: off
BEYOND: Final = {  # well formed by the schema; what else must hold, its description says
    "lives-too-long", "ends-before-it-begins", "fingerprint-twice", "gateway-key-twice", "never-valid",
    "root-threshold-4", "key-of-two-roles",
}
# fmt: on


def played(vector: dict[str, Any]) -> tuple[Trust, list[str]]:
    """Offer all documents of a vector; return the trust at the end and what came of each."""
    trust, results = Trust(bytes.fromhex(vector["pin"])), []
    for step in vector["offers"]:
        try:
            trust = trust.offer(Role(step["role"]), making.bytes_of(step), step["wall_s"])
            results.append("accepted")
        except PeerFault as fault:
            results.append(fault.reason.name)
    return trust, results


def test_the_files_are_what_is_made() -> None:
    """The vectors would be somebody's memory of an earlier form, or one would be missing."""
    assert dict(making.vectors()) == VECTORS
    assert len(VECTORS) >= 25


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_judged_as_it_says(name: str) -> None:
    """[K-21] to [K-30] A document that is forged, old, of another time or of another form is believed, or a good one is refused."""
    vector = VECTORS[name]
    trust, results = played(vector)
    assert results == [step["result"] for step in vector["offers"]]
    last = vector["offers"][-1]["wall_s"]
    assert (trust.refusal(last) is Reason.REVOCATIONS_STALE) == vector["stale"]
    assert trust.refusal(last) in {None, Reason.REVOCATIONS_STALE}


def test_every_refusal_of_a_document_has_a_vector() -> None:
    """An implementer would not see one of the ways in which a document is refused."""
    named = {reason.name for reason in Reason if reason.name.startswith(("DOCUMENT_", "ROOT_"))} - {"DOCUMENT_ACCEPTED"}
    assert {step["result"] for vector in VECTORS.values() for step in vector["offers"]} - {"accepted"} == named


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if not name.startswith("envelope")])
def test_the_schemas_say_the_same(name: str) -> None:
    """[K-23] Another implementation that goes by the schemas would take what this one refuses."""
    for step in VECTORS[name]["offers"]:
        payload = base64.b64decode(step["document"].split("\n")[1])
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            assert step["result"] == "DOCUMENT_MALFORMED"
            continue
        role = step["document"].split("\n")[0].removeprefix("jumping-vpn/1 ")
        schema = json.loads((ROOT / "schemas" / "keys" / f"{role}.json").read_text())
        valid = jsonschema.Draft202012Validator(schema).is_valid(fields)
        inside = step["result"] == "DOCUMENT_MALFORMED" or name == "wrong-role-inside"
        if inside and step is VECTORS[name]["offers"][-1]:
            # json reads what this form forbids: a name twice, and one spelling of a number for another
            assert valid == (name in BEYOND | {"duplicate-name", "float", "one-key-twice"}), name
        else:
            assert valid, name
