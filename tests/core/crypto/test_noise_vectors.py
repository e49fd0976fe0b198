"""The handshakes against cacophony's vectors, our own, and an independent implementation."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.crypto import chain
from core.crypto.noise import IKHFS, KKPSK0, Handshake
from core.crypto.primitives import MlKem768, PrivateKey, hmac_sha256, new_cipher, nonce
from core.crypto.secret import Secret
from jvpn.shell.published import VECTORS_ONLY
from tests.core.crypto import independent
from tests.core.crypto.independent import DerandomisedKem
from tests.core.crypto.pairs import drawn, unhex
from tests.core.exposed import laid_open

ROOT = Path(__file__).parents[3]
PATTERNS = {pattern.name.decode(): pattern for pattern in (KKPSK0, *VECTORS_ONLY)}
CACOPHONY = json.loads((ROOT / "schemas/vectors/published/noise/cacophony-selection.json").read_text())["vectors"]
IKHFS_VECTOR = json.loads((ROOT / "schemas/vectors/ikhfs.json").read_text())
REATTACH_VECTORS = json.loads((ROOT / "schemas/vectors/reattach.json").read_text())["cases"]


@pytest.mark.parametrize("vector", CACOPHONY, ids=lambda v: v["protocol_name"])
def test_cacophony(vector: dict[str, Any]) -> None:
    """Our handshakes are not Noise: another implementation cannot speak with us, and Noise's proofs are not about us."""
    sides = []
    for role in ("init", "resp"):
        remote, psks = vector.get(f"{role}_remote_static"), vector.get(f"{role}_psks")
        side = Handshake(
            PATTERNS[vector["protocol_name"]],
            initiator=role == "init",
            prologue=bytes.fromhex(vector[f"{role}_prologue"]),
            static=PrivateKey(bytes.fromhex(vector[f"{role}_static"])),
            remote=bytes.fromhex(remote) if remote else None,
            psk=Secret(bytes.fromhex(psks[0])) if psks else None,
            entropy=drawn(bytes.fromhex(vector[f"{role}_ephemeral"])),
        )
        sides.append(side)
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    assert len(messages) == 6
    for turn, (payload, ciphertext) in enumerate(messages[:2]):
        assert sides[turn].write(payload) == ciphertext
        assert sides[1 - turn].read(ciphertext) == payload
    assert sides[0].hash.hex() == sides[1].hash.hex() == vector["handshake_hash"]
    assert laid_open(sides[0].split()) == laid_open(sides[1].split())
    ciphers = [new_cipher(key) for key in sides[0].split()]
    for index, (payload, ciphertext) in enumerate(messages[2:]):
        assert ciphers[index % 2].encrypt(nonce(index // 2), payload, b"") == ciphertext


def test_all_four_published_patterns_are_run() -> None:
    """A vector was dropped from the selection, and its pattern is no longer checked."""
    assert {vector["protocol_name"] for vector in CACOPHONY} == set(PATTERNS)


def test_ikhfs_vector() -> None:
    """[H-1] [H-10] [H-11] [H-12] Wire format or keys of the handshake changed: old and new versions no longer understand each other."""
    given, expected = unhex(IKHFS_VECTOR["inputs"]), unhex(IKHFS_VECTOR["outputs"])
    message, reply = expected["init"][8:-32], expected["resp"][12:]
    client_key, gateway_key = PrivateKey(given["client_static_seed"]), PrivateKey(given["gateway_static_seed"])
    client = Handshake(
        IKHFS,
        initiator=True,
        prologue=expected["prologue"],
        static=client_key,
        remote=gateway_key.public,
        kem=MlKem768(),
        entropy=drawn(given["client_ephemeral_seed"], given["client_kem_seed"]),
    )
    gateway = Handshake(
        IKHFS,
        initiator=False,
        prologue=expected["prologue"],
        static=gateway_key,
        remote=None,
        kem=DerandomisedKem(given["encapsulation_m"]),
        entropy=drawn(given["gateway_ephemeral_seed"]),
    )
    assert client.write(given["init_payload"]) == message
    assert gateway.read(message) == given["init_payload"]
    assert gateway.remote == client_key.public
    assert gateway.write(given["resp_payload"]) == reply
    assert client.read(reply) == given["resp_payload"]
    assert (len(expected["init"]), len(expected["resp"])) == (1352, 1180)
    for side in (client, gateway):
        birth = chain.born(side)
        assert side.hash == expected["handshake_hash"]
        wanted = tuple(expected[name] for name in ("k_up", "k_down", "session_id", "chain_1"))
        assert laid_open((birth.k_up, birth.k_down, birth.session_id, birth.chain)) == wanted


def test_ikhfs_vector_by_the_independent_implementation() -> None:
    """The vector only repeats what our code does, right or wrong."""
    assert independent.handshake(unhex(IKHFS_VECTOR["inputs"])) == unhex(IKHFS_VECTOR["outputs"])


@pytest.mark.parametrize("case", REATTACH_VECTORS, ids=("attempt 1", "attempt 3"))
def test_reattach_vector(case: dict[str, dict[str, str]]) -> None:
    """[R-1] [R-2] The wire format of a move or rekey, or its keys, changed: a client cannot move between gateways of two versions."""
    given, expected = unhex(case["inputs"]), unhex(case["outputs"])
    link = Secret(given["chain"])
    assert laid_open((chain.mac_key(link), chain.psk_of(link), chain.later(link, 1))) == (
        expected["mac_key"],
        expected["psk"],
        expected["chain_next"],
    )
    client_key, gateway_key = (PrivateKey(given[f"{role}_static_seed"]) for role in ("client", "gateway"))
    client, gateway = (
        Handshake(
            KKPSK0,
            initiator=role == "client",
            prologue=expected["prologue"],
            static=mine,
            remote=other.public,
            psk=chain.psk_of(link),
            entropy=drawn(given[f"{role}_ephemeral_seed"]),
        )
        for role, mine, other in (("client", client_key, gateway_key), ("gateway", gateway_key, client_key))
    )
    request, reply = expected["reattach"][24:-16], expected["reattach_resp"][12:]
    assert hmac_sha256(chain.mac_key(link), expected["reattach"][:-16])[:16] == expected["reattach"][-16:]
    assert client.write(given["reattach_payload"]) == request
    assert gateway.read(request) == given["reattach_payload"]
    assert gateway.write(given["resp_payload"]) == reply
    assert client.read(reply) == given["resp_payload"]
    assert (len(expected["reattach"]), len(expected["reattach_resp"])) == (104, 84)
    for side in (client, gateway):
        assert (side.hash, *laid_open(side.split())) == (expected["handshake_hash"], expected["k_up"], expected["k_down"])


@pytest.mark.parametrize("case", REATTACH_VECTORS, ids=("attempt 1", "attempt 3"))
def test_reattach_vector_by_the_independent_implementation(case: dict[str, dict[str, str]]) -> None:
    """The vector only repeats what our code does, right or wrong."""
    assert independent.reattach(unhex(case["inputs"])) == unhex(case["outputs"])
