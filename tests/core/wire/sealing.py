"""Makes `schemas/vectors/data.json` with libsodium and straight-line code, which reads as the specification's [I-1] [F-7] [K-4].

python -m tests.core.wire.sealing     writes the file again
"""

import json
from pathlib import Path
from typing import Any, Final

from nacl import bindings

VECTORS: Final = Path(__file__).resolve().parents[3] / "schemas" / "vectors"
FILE: Final = VECTORS / "data.json"
ABOUT: Final = (
    "JVP/1 DATA: inner frames under the keys of the session of ikhfs.json, all in hexadecimal, integers as on the wire. `length` is that "
    "of the inner frame with its zeros, for M = 1280. What is refused is so by whom it is sent to, in an epoch that has received nothing."
)
LIMIT: Final = 2**64 - 2**13 - 1
M: Final = 1_280
LONGEST: Final = 1_296  # L(M) without header and tag


def of_wire(name: str) -> tuple[int, bytes]:
    """Return kind and body of an inner frame of wire.json."""
    (found,) = [each for each in json.loads((VECTORS / "wire.json").read_text())["inner"] if each["name"] == name]
    raw = bytes.fromhex(found["hex"])
    return raw[0], raw[3 : 3 + int.from_bytes(raw[1:3], "little")]


def ipv4(length: int) -> bytes:
    """Return an IPv4 packet of UDP, from 10.77.0.2 to 10.0.0.1, of so many bytes."""
    head = b"\x45\x00" + length.to_bytes(2, "big") + bytes(4) + b"\x40\x11\x00\x00" + bytes((10, 77, 0, 2, 10, 0, 0, 1))
    return head + bytes(at % 251 for at in range(length - 20))


def ipv6(length: int) -> bytes:
    """Return an IPv6 packet without a next header, of so many bytes."""
    head = b"\x60\x00\x00\x00" + (length - 40).to_bytes(2, "big") + b"\x3b\x40" + bytes(15) + b"\x02" + bytes(15) + b"\x01"
    return head + bytes(at % 251 for at in range(length - 40))


def sent() -> list[tuple[str, str, int, int, bytes, int]]:
    """Return what is sealed: name, by whom, counter, kind, body, length of the inner frame."""
    confirm, ack = of_wire("CONFIRM, 1280"), of_wire("ACK, 32 locators")
    probe, probe_ack, segment = of_wire("PROBE, short"), of_wire("PROBE_ACK, short"), of_wire("SEGMENT, TCP over IPv4, a full chunk")
    return [
        ("CONFIRM, as long as its M says", "client", 0, *confirm, LONGEST),
        ("ACK, as long as its M says", "gateway", 0, *ack, LONGEST),
        ("IP, a whole block, no zero", "client", 1, 1, ipv4(29), 32),
        ("IP, one zero", "client", 2, 1, ipv4(28), 32),
        ("IP, fifteen zeros", "gateway", 1, 1, ipv4(30), 48),
        ("IP, version 6", "gateway", 2, 1, ipv6(61), 64),
        ("IP, as long as M", "client", 3, 1, ipv4(M), LONGEST),
        ("SEGMENT", "client", 4, *segment, -(-(3 + len(segment[1])) // 16) * 16),
        ("PROBE, shortest", "client", 5, *probe, 16),
        ("PROBE, a block longer", "client", 6, *probe, 32),
        ("PROBE, as long as can be", "client", 7, *probe, LONGEST),
        ("PROBE_ACK, shortest", "gateway", 3, *probe_ack, 48),
        ("PROBE_ACK, as long as can be", "gateway", 4, *probe_ack, LONGEST),
        ("CLOSE", "client", 8, *of_wire("CLOSE"), 16),
        ("HINT", "gateway", 5, *of_wire("HINT MOVE"), 16),
        ("HEALTH", "client", 9, *of_wire("HEALTH"), 96),
        ("each byte of the counter", "gateway", 0x0102030405060708, 1, ipv4(20), 32),
        ("the last counter of a key", "client", LIMIT - 1, 1, ipv4(20), 32),
    ]


def sealed(key: bytes, counter: int, inner: bytes, header: bytes) -> bytes:
    """Return ChaCha20-Poly1305 of an inner frame, by libsodium."""
    return bytes(bindings.crypto_aead_chacha20poly1305_ietf_encrypt(inner, header, bytes(4) + counter.to_bytes(8, "little"), key))


def made() -> dict[str, Any]:
    """Return the file's content."""
    birth = json.loads((VECTORS / "ikhfs.json").read_text())
    session = {name: birth["outputs"][name] for name in ("k_up", "k_down")}
    session |= {name: birth["inputs"][name] for name in ("client_index", "gateway_index")}
    raw = {name: bytes.fromhex(text) for name, text in session.items()}
    keys = {"client": raw["k_up"], "gateway": raw["k_down"]}
    receiver = {"client": raw["gateway_index"], "gateway": raw["client_index"]}
    frames = []
    for name, by, counter, kind, body, length in sent():
        header = b"\x04\0\0\0" + receiver[by] + counter.to_bytes(8, "little")
        inner = bytes((kind,)) + len(body).to_bytes(2, "little") + body + bytes(length - 3 - len(body))
        frame = header + sealed(keys[by], counter, inner, header)
        frames.append({
            "name": name, "from": by, "counter": counter.to_bytes(8, "little").hex(), "kind": kind, "body": body.hex(), "length": length,
            "nonce": (bytes(4) + counter.to_bytes(8, "little")).hex(), "inner": inner.hex(), "frame": frame.hex(),
        })  # fmt: skip
    return {"about": ABOUT, "session": session, "frames": frames, "refused": refused(keys, receiver)}


def refused(keys: dict[str, bytes], receiver: dict[str, bytes]) -> list[dict[str, str]]:
    """Return frames with one fault each, and the reason."""
    header = b"\x04\0\0\0" + receiver["client"] + (7).to_bytes(8, "little")
    inner = b"\x07\x01\0\x01" + bytes(12)
    good = header + sealed(keys["client"], 7, inner, header)
    late = b"\x04\0\0\0" + receiver["client"] + LIMIT.to_bytes(8, "little")
    backwards = bytes(bindings.crypto_aead_chacha20poly1305_ietf_encrypt(inner, header, bytes(4) + (7).to_bytes(8, "big"), keys["client"]))
    frames = {
        "a bit of the tag": good[:-1] + bytes((good[-1] ^ 1,)),
        "a bit of what is sealed": good[:16] + bytes((good[16] ^ 1,)) + good[17:],
        "another counter": good[:8] + (8).to_bytes(8, "little") + good[16:],
        "under the key of the other direction": header + sealed(keys["gateway"], 7, inner, header),
        "without the header as associated data": header + sealed(keys["client"], 7, inner, b""),
        "the header of another index as associated data": header + sealed(keys["client"], 7, inner, b"\x04\0\0\0" + bytes(4) + header[8:]),
        "a nonce with the counter turned round": header + backwards,
    }
    wrong = [{"name": name, "reason": "DATA_TAG_WRONG", "frame": frame.hex()} for name, frame in frames.items()]
    last = {"name": "a counter at the limit", "reason": "COUNTER_LIMIT", "frame": (late + sealed(keys["client"], LIMIT, inner, late)).hex()}
    return [*wrong, last]


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
