"""The self-test's vector files on the command line."""

import json
from pathlib import Path

from jvpn.shell.published import SHIPPED
from tests.jvpn.cli.calling import Jvpn


def test_the_full_self_test(jvpn: Jvpn) -> None:
    """The published vectors are not run, or the table does not show it."""
    said = jvpn("selftest", "--full", "--json")
    assert (said.status, said.json["passed"]) == (0, True)
    assert said.json["primitives"]["X25519"] == {"passed": 2 * 518, "failed": 0, "not_applicable": {}}
    assert said.json["primitives"]["ChaCha20-Poly1305"]["not_applicable"] == {"a nonce that has not 12 bytes": 2 * 9}
    shown = jvpn("selftest", "--full")
    assert shown.status == 0
    assert "x25519_test.json" in shown.out
    assert "not applicable: chacha20_poly1305_test.json: 9: a nonce that has not 12 bytes" in shown.out


def test_a_vector_that_fails(jvpn: Jvpn, tmp_path: Path) -> None:
    """A held-out vector that fails is not named, or the exit status says that all is well."""
    document = json.loads((SHIPPED / "noise/cacophony-selection.json").read_text())
    document["vectors"][2]["handshake_hash"] = "00" * 32
    file = tmp_path / "held_out.json"
    file.write_text(json.dumps(document))
    said = jvpn("selftest", "--vectors", file, "--json")
    assert (said.status, said.json["passed"]) == (3, False)
    (judged,) = said.json["vectors"]
    assert (judged["passed"], judged["failed"], judged["file"]) == (3, 1, "held_out.json")
    shown = jvpn("selftest", "--vectors", tmp_path)
    assert shown.status == 3
    assert (
        f"jvpn: FAILED: held_out.json: Noise handshakes, cryptography: 2 {document['vectors'][2]['protocol_name']}: another answer"
        in shown.err
    )


def test_nothing_that_applies_is_no_pass(jvpn: Jvpn, tmp_path: Path) -> None:
    """Files of which no case was run count as passed."""
    file = tmp_path / "aes.json"
    file.write_text(json.dumps({"algorithm": "AES-GCM", "schema": "aead_test_schema_v1.json", "testGroups": [{"tests": [{}]}]}))
    said = jvpn("selftest", "--vectors", file, "--json")
    assert (said.status, said.json["passed"]) == (3, False)
    assert sum(said.json["vectors"][0]["not_applicable"].values()) == 1


def test_a_damaged_file_is_refused_by_name(jvpn: Jvpn, tmp_path: Path) -> None:
    """A damaged file gives a traceback, or is passed over."""
    file = tmp_path / "damaged.json"
    file.write_text("{")
    said = jvpn("selftest", "--vectors", file)
    assert said.status == 2
    assert said.err.startswith(f"jvpn: {file}: not a JSON document: ")
    assert jvpn("selftest", "--vectors", tmp_path / "missing.json").status == 2
