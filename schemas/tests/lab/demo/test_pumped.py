"""The traffic that makes its own packets: they are what they claim to be, and a file survives loss, repetition and disorder."""

import hashlib
import json
import random
import struct
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest

from jvpn.shell.pump import Pump
from lab.demo import pumped
from lab.demo.pumped import ASK, ASKED_MAX, PIECE, PIECE_BYTES, Datagram, Fetch, Plug
from lab.demo.work import ECHO_PORT, HTTP_PORT, content

SIZE = 10 * PIECE_BYTES + 7


def answer(start: int, body: bytes) -> bytes:
    """Return what the server answers."""
    return PIECE.pack(start, len(body)) + body[start : start + PIECE_BYTES]


def test_a_packet_is_one_by_the_book() -> None:
    """The product would carry what no IP stack would have sent."""
    packet = Datagram("10.77.0.2", "10.77.0.1", 40_000, 7, b"payload").packed()
    assert (packet[0] >> 4, (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big"), packet[9]) == (4, 20, len(packet), 17)
    total = sum(struct.unpack("!10H", packet[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "RFC 1071: a header with its checksum sums to all ones"
    assert packet[12:20] == ip_address("10.77.0.2").packed + ip_address("10.77.0.1").packed
    assert struct.unpack("!HHHH", packet[20:28]) == (40_000, 7, 15, 0)
    assert Datagram.parsed(packet) == ("10.77.0.2", "10.77.0.1", 40_000, 7, b"payload")
    assert Datagram.parsed(packet[:27]) is None
    assert Datagram.parsed(b"\x46" + packet[1:]) is None
    assert Datagram.parsed(packet[:9] + b"\6" + packet[10:]) is None


def test_a_file_survives_loss_repetition_and_disorder(capsys: pytest.CaptureFixture[str]) -> None:
    """The checksum would fail although the tunnel did nothing wrong, or the test of it could never fail."""
    dice, body = random.Random(7), content(SIZE)
    file, asked, now = Fetch(1_000_000), list[bytes](), 0.0
    file.counted = file.heard = now
    while not file.tell(now):
        now += 0.01
        asked += [answer(start, body) for start in file.asks(now)]
        dice.shuffle(asked)
        for payload in asked[len(asked) // 2 :]:
            if dice.random() < 0.6:
                file.take(payload, now)
                file.take(payload, now)
        asked = asked[: len(asked) // 2]
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["bytes"], last["sha256"]) == (SIZE, hashlib.sha256(body).hexdigest())
    assert not file.early, "what came twice is not kept"


def test_a_changed_piece_changes_the_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """A tunnel that delivers other bytes would pass."""
    body = content(PIECE_BYTES)
    file = Fetch(1_000_000)
    (start,) = file.asks(file.counted)
    file.take(answer(start, b"\0" + body[1:]), file.counted)
    assert file.tell(file.counted)
    assert json.loads(capsys.readouterr().out)["sha256"] != hashlib.sha256(body).hexdigest()


def test_it_is_paced_and_bounded() -> None:
    """The download would end before the story does, or fill the sockets and then itself be the loss."""
    file = Fetch(PIECE_BYTES * 100)
    file.counted = 0.0
    assert file.asks(0.0) == [0], "the size is not known yet"
    file.take(PIECE.pack(0, 10**9) + b"x" * PIECE_BYTES, 0.0)
    assert len(file.asks(1.0)) == 8, "a pause is not caught up at once"
    counts = [len(file.asks(1.0 + turn / 100)) for turn in range(1, 21)]
    assert 19 <= sum(counts) <= 20
    for turn in range(1_000):
        for start in file.asks(2.0 + turn / 100):
            if start != PIECE_BYTES:  # this one never comes, so that all others wait for it
                file.take(PIECE.pack(start, 10**9) + b"x" * PIECE_BYTES, 0.0)
    assert len(file.asked) + len(file.early) == ASKED_MAX


def test_a_tunnel_that_went_silent_ends_it() -> None:
    """The demonstration would wait for a file that cannot come."""
    file = Fetch(1_000_000)
    assert not file.tell(file.heard + 29.0)
    with pytest.raises(SystemExit, match="nothing came for 30 s"):
        file.tell(file.heard + 31.0)


def test_the_server_answers_through_a_pump(tmp_path: Path) -> None:
    """Neither file nor echo would come out of the product's pump."""
    pump = Pump(tmp_path / "pump.sock")
    plug = Plug(tmp_path / "pump.sock", tmp_path / "server.sock")
    server = threading.Thread(target=pumped.serve, args=(plug, "10.77.0.1", 5_000, 2.0))
    server.start()
    while pump.read() or not pump._peer:
        pass
    asks = [("10.77.0.1", HTTP_PORT, ASK.pack(1_200)), ("10.77.0.1", ECHO_PORT, b"ping"), ("10.77.0.9", ECHO_PORT, b"not mine")]
    assert pump.write([Datagram("10.77.0.2", there, 40_000, port, payload).packed() for there, port, payload in asks]) == 3
    found: list[bytes] = []
    while server.is_alive():
        found += pump.read()
    server.join()
    pump.close()
    plug.socket.close()
    answers = [Datagram.parsed(packet) for packet in found]
    body = content(5_000)
    assert answers == [
        ("10.77.0.1", "10.77.0.2", HTTP_PORT, 40_000, PIECE.pack(1_200, 5_000) + body[1_200:2_400]),
        ("10.77.0.1", "10.77.0.2", ECHO_PORT, 40_000, b"ping"),
    ]
