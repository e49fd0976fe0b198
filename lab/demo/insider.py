"""A second, enrolled device that does not behave: it speaks JVP/1 with the core's own code and leaves out what honest clients do.

    python -m lab.demo.insider CLIENT_TOML forge     a REATTACH with its own valid, unburnt locator and a wrong mac
    python -m lab.demo.insider CLIENT_TOML stale     attempts i and i+1 are answered, then the CONFIRM of i is sent

Prints one JSON line: what was sent.
"""

import socket
import sys
from pathlib import Path
from typing import Final

from core.client.attempts import Attempt, Keys
from core.client.client import Client
from core.client.contact import ClientPolicy
from core.client.states import State
from core.crypto.primitives import MlKem768
from core.errors import require
from core.reasons import Carrier, Cause
from core.values import Connect, Output, PathEvent, Transmit
from core.values import Path as CorePath
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.messages import parse
from core.wire.records import Confirm, ReattachResp, pack
from jvpn.shell import keyfile
from jvpn.shell.clock import boottime
from jvpn.shell.config import load_client
from jvpn.shell.entropy import entropy
from jvpn.shell.transports.base import from_sockaddr, sockaddr
from jvpn.shell.vault import vault_of
from lab.demo.scene import Failed
from lab.demo.work import say

WAIT_S: Final = 5.0


class Insider:
    """One socket, one session, no manners."""

    def __init__(self, config_path: Path) -> None:
        """Connect as any client does."""
        config = load_client(config_path)
        if config.gateway_udp is None:
            raise Failed("the insider speaks UDP")
        self.keys = Keys(keyfile.load_device(config.key, vault_of(config.key_passphrase)), config.gateway_public, MlKem768())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(sockaddr(config.gateway_udp))
        self.path = CorePath(Carrier.UDP, 0, from_sockaddr(self.socket.getsockname()), config.gateway_udp)
        self.client = Client(self.keys, ClientPolicy(carriers=(Carrier.UDP,)), entropy)
        self._do(self.client.path_event(self.path, PathEvent.OPENED, boottime()))
        self._do(self.client.command(Connect(), boottime()))
        while self.client.state is not State.ATTACHED:
            self._do(self.client.receive([self.socket.recv(2_048)], self.path, boottime()))

    def forge(self) -> None:
        """Send a REATTACH whose locator is valid and whose mac is not."""
        frame = bytearray(self._attempt().frame)
        frame[-1] ^= 1
        self.socket.send(frame)
        say({"sent": "REATTACH with a valid locator and a wrong mac"})

    def stale(self) -> None:
        """Let two attempts be answered, and confirm the first."""
        first, second = self._attempt(), self._attempt()
        self.socket.send(first.frame)
        epoch, _, _ = first.answer(self._answer(), boottime())
        self.socket.send(second.frame)
        second.answer(self._answer(), boottime())
        require(epoch is not None, "the first attempt was accepted")
        for run in epoch.seal([encode(Kind.CONFIRM, pack(Confirm(self.client.policy.mtu)))]) if epoch else []:
            self.socket.send(run.frames[0])
        say({"sent": f"CONFIRM of attempt {first.number} after attempt {second.number} was accepted"})

    def _attempt(self) -> Attempt:
        life = self.client.life
        if life is None:
            raise Failed("the insider has no session")
        return Attempt(self.keys, entropy, life, self.path, Change.MOVE, Cause.HINTED, 0, boottime())

    def _answer(self) -> ReattachResp:
        while True:
            message = parse(self.socket.recv(2_048))
            if isinstance(message, ReattachResp):
                return message

    def _do(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                for frame in output.frames:
                    self.socket.send(frame)


def main(argv: list[str]) -> None:
    """Do what the second argument says."""
    match argv:
        case [config, "forge"]:
            Insider(Path(config)).forge()
        case [config, "stale"]:
            Insider(Path(config)).stale()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
