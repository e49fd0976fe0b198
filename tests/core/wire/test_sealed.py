"""The pinned vectors of DATA: made by libsodium and straight-line code, and by the core over OpenSSL, byte for byte."""

import json
from typing import Any

import pytest

from core.crypto.secret import Secret
from core.errors import PeerFault
from core.reasons import Carrier, Reason
from core.values import Endpoint, Instant, Path
from core.wire.epoch import Epoch
from core.wire.inner import encode, parse
from core.wire.layout import DATA_HEADER, Kind
from core.wire.messages import parse_data
from jvpn.shell import second
from lab.sim.frames import opened
from tests.core.wire import sealing

VECTORS = json.loads(sealing.FILE.read_text(encoding="utf-8"))
ROOMY = {Kind.PROBE, Kind.PROBE_ACK}
HERE = Endpoint(bytes(16), 0)
PATH = Path(Carrier.UDP, 0, HERE, HERE)


def ends(by: str) -> tuple[Epoch, Epoch]:
    """Return the epochs of who sends and of who receives."""
    session = {name: bytes.fromhex(text) for name, text in VECTORS["session"].items()}
    up, down = Secret(session["k_up"]), Secret(session["k_down"])
    client, gateway = (int.from_bytes(session[name], "little") for name in ("client_index", "gateway_index"))
    both = {
        "client": Epoch(client, gateway, (up, down), PATH, 0, Instant(0)),
        "gateway": Epoch(gateway, client, (down, up), PATH, 0, Instant(0)),
    }
    return both.pop(by), both.popitem()[1]


def named(section: str) -> pytest.MarkDecorator:
    """Parametrise with the vectors of a section."""
    return pytest.mark.parametrize("vector", VECTORS[section], ids=[each["name"] for each in VECTORS[section]])


def test_the_file_is_what_is_made() -> None:
    """[F-7] [I-1] [K-4] The vector only repeats what the core does, right or wrong."""
    assert sealing.made() == VECTORS


@named("frames")
def test_frames(vector: dict[str, Any]) -> None:
    """[F-7] [I-1] [I-6] [K-4] Two implementations would agree on keys and not on one packet under them."""
    kind, body, frame = Kind(vector["kind"]), bytes.fromhex(vector["body"]), bytes.fromhex(vector["frame"])
    inner = encode(kind, body, vector["length"] if kind in ROOMY else None)
    assert inner.hex() == vector["inner"]
    sender, receiver = ends(vector["from"])
    sender.counter = counter = int.from_bytes(bytes.fromhex(vector["counter"]), "little")
    assert [run.frames for run in sender.seal([inner])] == [[frame]]
    assert parse_data(frame) == (receiver.index, counter)
    assert parse(opened(receiver, frame, counter), sealing.M) == (kind, body)


@named("frames")
def test_libsodium_opens_them(vector: dict[str, Any]) -> None:
    """The second library of the self-test would judge another packet than the one that is sent."""
    key, frame = bytes.fromhex(VECTORS["session"]["k_up" if vector["from"] == "client" else "k_down"]), bytes.fromhex(vector["frame"])
    opened = second.Cipher(key).decrypt(bytes.fromhex(vector["nonce"]), frame[DATA_HEADER:], frame[:DATA_HEADER])
    assert opened.hex() == vector["inner"]


def test_every_kind_and_each_end_has_a_vector() -> None:
    """A kind could be sealed in another way than the others without anyone noticing."""
    assert {vector["kind"] for vector in VECTORS["frames"]} == set(Kind)
    assert {vector["from"] for vector in VECTORS["frames"]} == {"client", "gateway"}
    padding = {vector["length"] - 3 - len(vector["body"]) // 2 for vector in VECTORS["frames"]}
    assert {0, 1, 15} <= padding
    assert max(padding) > 1_024


@named("refused")
def test_refused(vector: dict[str, Any]) -> None:
    """[W-3] A packet that is not what the peer sealed would be taken, or refused for another reason."""
    frame = bytes.fromhex(vector["frame"])
    _, gateway = ends("client")
    _, counter = parse_data(frame)
    with pytest.raises(PeerFault) as refused:
        opened(gateway, frame, counter)
    assert refused.value.reason is Reason[vector["reason"]]
    assert (gateway.top, gateway.bitmap, gateway.received) == (0, 0, 0)
