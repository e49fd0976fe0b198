"""IKhfs with its KEM tokens against a recording of another implementation: snow (Rust) with ML-KEM-768 by libcrux.

snow/record.rs made the file, and says how. It is not made in a test run: what Rust needs is not pinned here, as its lock file would name
the place where packages come from. Nothing in the file was computed by this project.
"""

import json
from typing import Any

import pytest

from core.crypto.noise import IKHFS, Handshake
from core.crypto.primitives import MlKem768, PrivateKey, new_cipher, nonce
from tests.core.crypto.independent import DerandomisedKem
from tests.core.crypto.pairs import drawn
from tests.support import ROOT

RECORDED: dict[str, Any] = json.loads((ROOT / "tests" / "interop" / "snow_ikhfs.json").read_text(encoding="utf-8"))


def recorded(name: str) -> bytes:
    """Return a field of the recording."""
    return bytes.fromhex(RECORDED[name])


def initiator() -> Handshake:
    """Return our side in the place of snow's initiator, with the production KEM: a seed is all that it needs."""
    return Handshake(
        IKHFS,
        initiator=True,
        prologue=recorded("prologue"),
        static=PrivateKey(recorded("initiator_static")),
        remote=PrivateKey(recorded("responder_static")).public,
        kem=MlKem768(),
        entropy=drawn(recorded("initiator_ephemeral"), recorded("kem_seed")),
    )


def responder() -> Handshake:
    """Return our side in the place of snow's responder, with a KEM that can be told how to encapsulate."""
    return Handshake(
        IKHFS,
        initiator=False,
        prologue=recorded("prologue"),
        static=PrivateKey(recorded("responder_static")),
        remote=None,
        kem=DerandomisedKem(recorded("encapsulation_m")),
        entropy=drawn(recorded("responder_ephemeral")),
    )


def test_the_recording_is_of_the_spoken_pattern() -> None:
    """[H-1] The recording would be of some other handshake than the one that is spoken."""
    assert RECORDED["protocol_name"].encode() == IKHFS.name


def test_ours_in_the_place_of_either_side() -> None:
    """[H-1] [H-8] The tokens e1 and ekem1 would stand, be sealed or be mixed otherwise than another implementation of hfs has it."""
    client, gateway = initiator(), responder()
    assert client.write(recorded("request_payload")) == recorded("request")
    assert gateway.read(recorded("request")) == recorded("request_payload")
    assert gateway.remote == PrivateKey(recorded("initiator_static")).public
    assert gateway.write(recorded("reply_payload")) == recorded("reply")
    assert client.read(recorded("reply")) == recorded("reply_payload")
    for side in (client, gateway):
        assert side.hash == recorded("handshake_hash")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_was_sent_afterwards(direction: str) -> None:
    """[H-10] [K-4] The traffic keys of a session with a KEM in it, or their nonces, would be nobody else's."""
    client = initiator()
    client.write(recorded("request_payload"))
    client.read(recorded("reply"))
    cipher = new_cipher(client.split()[direction == "down"])
    messages = [message for message in RECORDED["messages"] if message["direction"] == direction]
    assert [message["counter"] for message in messages] == [0, 1, 2**32, 2**64 - 2**13 - 2]  # the last is the last that DATA may have
    for message in messages:
        assert cipher.encrypt(nonce(message["counter"]), bytes.fromhex(message["plaintext"]), b"").hex() == message["sealed"]
