"""The relay: it passes datagrams on as they are, loses them when told to, moves, injects, and ends with its input."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

WAIT_S = 10


class Relayed:
    """A relay as a process, with a client and a gateway at its sides."""

    def __init__(self, tap: Path) -> None:
        self.tap = tap
        self.client, self.gateway = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each, address in ((self.client, "127.8.0.1"), (self.gateway, "127.8.0.2")):
            each.bind((address, 0))
            each.settimeout(WAIT_S)
        gateway = "{}:{}".format(*self.gateway.getsockname())
        command = [sys.executable, "-m", "lab.demo.relay", "127.8.0.4:0", gateway, "127.8.0.5", str(tap)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.at = ("127.8.0.4", self.answer()["port"])

    def answer(self) -> dict[str, Any]:
        """Return the relay's next line."""
        assert self.process.stdout
        return dict(json.loads(self.process.stdout.readline()))

    def order(self, do: str, **arguments: object) -> object:
        """Give an order; return its error."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        return self.answer()["error"]

    def forth(self, frame: bytes) -> tuple[str, int]:
        """Send from the client; return from where it reaches the gateway."""
        self.client.sendto(frame, self.at)
        got, source = self.gateway.recvfrom(2_000)
        assert got == frame
        return str(source[0]), int(source[1])

    def taps(self) -> list[dict[str, Any]]:
        """Return what was recorded."""
        return [json.loads(line) for line in self.tap.read_text().splitlines()]

    def close(self) -> None:
        """End the input, and see that the relay ends with it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        assert self.process.wait(WAIT_S) == 0
        for each in (self.process.stdout, self.client, self.gateway):
            each.close()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relayed]:
    """One that is there, and is closed at the end."""
    made = Relayed(tmp_path / "tap.jsonl")
    yield made
    made.close()


def test_datagrams_pass_in_both_directions(relay: Relayed) -> None:
    """Gateway and client would never meet."""
    source = relay.forth(b"\4 hello")
    assert source[0] == "127.8.0.5"
    relay.gateway.sendto(b"answer", source)
    assert relay.client.recvfrom(99) == (b"answer", relay.at)
    assert relay.forth(b"again") == source
    relay.client.sendto(b"stranger", source)
    relay.gateway.sendto(b"answer", source)
    assert relay.client.recv(99) == b"answer", "what did not come from the gateway is not passed on"


def test_a_black_hole_swallows_both_directions_and_the_tap_sees_what_goes_in(relay: Relayed) -> None:
    """The story would not kill UDP, or an attacker beside the client would have less than he has."""
    source = relay.forth(b"before the tap")
    assert relay.order("tap") is None
    assert relay.order("drop", on=True) is None
    relay.gateway.sendto(b"lost too", source)
    relay.client.sendto(b"lost", relay.at)  # when this is recorded, what came before it has been lost
    while not relay.taps():
        pass
    assert relay.order("drop", on=False) is None
    assert relay.forth(b"found") == source
    relay.gateway.sendto(b"answer", source)
    assert relay.client.recv(99) == b"answer"
    gateway = list(relay.gateway.getsockname())
    assert relay.taps() == [{"from": list(source), "to": gateway, "sent": True, "frame": frame.hex()} for frame in (b"lost", b"found")]


def test_it_moves_and_forgets_where_it_was(relay: Relayed) -> None:
    """The session would not have to follow: its old address would still be good."""
    old = relay.forth(b"one")
    assert relay.order("move", source="127.8.0.6") is None
    relay.gateway.sendto(b"to nobody", old)
    new = relay.forth(b"two")
    assert new[0] == "127.8.0.6"
    relay.gateway.sendto(b"to the new address", new)
    assert relay.client.recv(99) == b"to the new address"


def test_it_injects_from_the_path_itself(relay: Relayed) -> None:
    """The attacker on the path could not be played without a raw socket."""
    source = relay.forth(b"one")
    assert relay.order("inject", port=source[1], frames=["0506", "07"]) is None
    assert [relay.gateway.recvfrom(99), relay.gateway.recvfrom(99)] == [(b"\5\6", source), (b"\7", source)]
    assert relay.order("inject", port=1, frames=["00"]) == "no client has the port 1 here"
    assert relay.order("dance") == "unknown order dance"
