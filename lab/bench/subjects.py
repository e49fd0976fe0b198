"""What is timed, each at the border of the engine or of an epoch, beside the bare operations that it is compared with."""

from collections.abc import Sequence
from itertools import count
from math import inf
from typing import Final

from core.client.attempts import Attempt
from core.crypto.primitives import Cipher, PrivateKey, expand, hkdf, hmac_sha256, new_cipher, nonce, same, sha256
from core.crypto.secret import Secret
from core.values import Output, Path
from core.wire.epoch import Epoch
from core.wire.inner import encode_ip
from core.wire.inner import parse as parse_inner
from core.wire.layout import DATA_HEADER, SIZES, Type
from core.wire.messages import sort
from lab.bench.figures import Bar, Series, Subject, ratio
from lab.bench.fleet import GATEWAY_AT, Fleet, Member, frames, place
from lab.sim.frames import there

PACKET: Final = 1_280  # bytes of an inner IP packet: the MTU
BURST: Final = 32
DH: Final = 4
HASHES: Final = 9  # of the pattern's name, prologue, both static keys, psk, two ephemeral keys, two payloads
HKDF_READ, HKDF_WRITE, HKDF_SPLIT = (2, 1, 1, 2), (1, 1, 2), 3  # outputs for psk, e, es, ss, then e, ee, se; a third gives no key
SESSIONS: Final = 1_000  # so that each moves no oftener than a real one
STRANGER: Final = 99_999


class Door:
    """Sessions that knock at a gateway one after the other, so that none has a limit to meet."""

    def __init__(self, sessions: int) -> None:
        self.fleet = Fleet(sessions)
        self._members = [self.fleet.born(number) for number in range(sessions)]
        self._at, self._ports = 0, count(40_001)
        self._bytes = self.fleet.entropy

    def subjects(self) -> list[Subject]:
        """Return what is timed at the door."""
        return [
            Subject("reattach", "REATTACH to REATTACH_RESP at the gateway", self._knock, self._receive, self._answered),
            Subject("commit", "CONFIRM to ask, and answer to ACK, without the store", self._candidate, self._commit),
            Subject("garbage", f"REATTACH with a garbage locator, bursts of {BURST}", self._garbage, self._receive, of=BURST),
            Subject(
                "wrong mac", f"REATTACH with a right locator and a wrong mac, bursts of {BURST}", self._forged, self._receive, of=BURST
            ),
        ]

    def _knock(self) -> tuple[list[bytes], Path, Attempt]:
        self._at = (self._at + 1) % len(self._members)
        attempt = self.fleet.knock(self._members[self._at], 40_000 + next(self._ports) % 20_000)
        return [attempt.frame], there(attempt.path), attempt

    def _receive(self, made: tuple[list[bytes], Path, Attempt | None]) -> list[Output]:
        return self.fleet.gateway.receive(made[0], made[1], self.fleet.now)

    def _answered(self, made: tuple[list[bytes], Path, Attempt], outputs: list[Output]) -> None:
        """Let the device confirm, so that its next attempt finds no candidate in its place."""
        self._commit(self._proven(made[2], outputs))

    def _proven(self, attempt: Attempt, outputs: list[Output]) -> tuple[Member, bytes, Path]:
        epoch = self.fleet.proven(attempt, frames(outputs))
        member = self._members[self._at] = self._members[self._at]._replace(epoch=epoch)
        return member, self.fleet.confirm(epoch), there(epoch.path)

    def _candidate(self) -> tuple[Member, bytes, Path]:
        made = self._knock()
        return self._proven(made[2], self._receive(made))

    def _commit(self, made: tuple[Member, bytes, Path]) -> None:
        member, confirm, path = made
        self.fleet.settled(member, self.fleet.gateway.receive([confirm], path, self.fleet.now))

    def _garbage(self) -> tuple[list[bytes], Path, None]:
        head = bytes((Type.REATTACH, 1, 0, 0))
        garbage = [head + self._bytes(SIZES[Type.REATTACH] - len(head)) for _ in range(BURST)]
        return garbage, Path(1, 0, GATEWAY_AT, place(STRANGER, 1)), None

    def _forged(self) -> tuple[list[bytes], Path, None]:
        """The frame of a session's next attempt, but for its last byte; the attempt is put back."""
        member = self._members[self._at]
        life = member.life
        kept = life.chain, life.next
        attempt = self.fleet.knock(member)
        life.chain, life.next = kept
        frame = attempt.frame[:-1] + bytes((attempt.frame[-1] ^ 1,))
        return [frame] * BURST, there(attempt.path), None


class Data:
    """One session whose packets of the greatest size come and go in bursts, and the AEAD alone with the same sizes."""

    def __init__(self) -> None:
        self._fleet = fleet = Fleet(1)
        member = fleet.born(0)
        device = fleet.device(member)
        (self._handle,) = fleet.desk.sessions
        path = Path(1, 0, place(1, 1), GATEWAY_AT)
        keys = Secret(fleet.entropy(32)), Secret(fleet.entropy(32))
        self._near, self._far = Epoch(1, 2, keys, path, 0, fleet.now), Epoch(2, 1, keys[::-1], path, 0, fleet.now)
        self._member, self._cipher = member, new_cipher(Secret(fleet.entropy(32)))
        self._up = [ip(device.inner4, b"\x0a\xff\xff\xff")] * BURST
        self._down = [ip(b"\x0a\xff\xff\xff", device.inner4)] * BURST
        self._plain = encode_ip(self._up[0])

    def subjects(self) -> list[Subject]:
        """Return what is timed of the data plane."""
        what = f"{BURST} packets of {PACKET} bytes"
        return [
            Subject("bare seal", f"{what} sealed by the AEAD alone", self._bare, seal_bare, of=BURST),
            Subject("bare open", f"{what} opened by the AEAD alone", self._bare_sealed, open_bare, of=BURST),
            Subject("seal", f"{what} as inner frames sealed to DATA by an epoch", lambda: self._up, self._seal, of=BURST),
            Subject("open", f"{what} opened from DATA by an epoch, and parsed", self._sealed, self._open, of=BURST),
            Subject("engine send", f"{what}: the engine's whole call to send", lambda: self._down, self._send, of=BURST),
            Subject("engine receive", f"{what}: the engine's whole call to receive", self._arriving, self._receive, of=BURST),
        ]

    def _bare(self) -> tuple[Cipher, list[tuple[bytes, bytes, bytes]]]:
        return self._cipher, [(nonce(number), self._plain, bytes(DATA_HEADER)) for number in range(BURST)]

    def _bare_sealed(self) -> tuple[Cipher, list[tuple[bytes, bytes, bytes]]]:
        cipher, asked = self._bare()
        return cipher, [(number, cipher.encrypt(number, plain, header), header) for number, plain, header in asked]

    def _seal(self, packets: list[bytes]) -> object:
        return self._near.seal([encode_ip(packet) for packet in packets])

    def _sealed(self) -> list[bytes]:
        return [frame for run in self._near.seal([encode_ip(packet) for packet in self._up]) for frame in run.frames]

    def _open(self, sealed: list[bytes]) -> list[bytes]:
        (run,) = sort(sealed)[0].values()
        return [parse_inner(plain)[1] for plain in self._far.open(run) if isinstance(plain, bytes)]

    def _send(self, packets: list[bytes]) -> list[Output]:
        return self._fleet.gateway.send(self._handle, packets, self._fleet.now)

    def _arriving(self) -> list[bytes]:
        return frames(self._member.epoch.seal([encode_ip(packet) for packet in self._up]))

    def _receive(self, sealed: list[bytes]) -> list[Output]:
        return self._fleet.gateway.receive(sealed, there(self._member.epoch.path), self._fleet.now)


class Curve:
    """The X25519 operations of one reattach at the gateway, alone: one key is made, four secrets are shared; and all its cryptography."""

    def __init__(self) -> None:
        entropy = Fleet(0).entropy
        self._entropy, self._static = entropy, PrivateKey(entropy(32))
        self._others = PrivateKey(entropy(32)).public, PrivateKey(entropy(32)).public

    def subjects(self) -> list[Subject]:
        """Return what is timed."""
        return [
            Subject("x25519", f"one X25519 key and {DH} shared secrets, alone", lambda: self._entropy(32), self._work),
            Subject("crypto", "all cryptography of a reattach, alone", lambda: self._entropy(32), self._all),
        ]

    def _work(self, seed: bytes) -> list[Secret]:
        ephemeral, (one, other) = PrivateKey(seed), self._others
        return [self._static.exchange(one), self._static.exchange(other), ephemeral.exchange(one), ephemeral.exchange(other)]

    def _all(self, seed: bytes) -> None:
        """Do what KKpsk0's responder and the chain do, in their order, with values that mean nothing."""
        shared, chain, head = self._work(seed), Secret(seed), seed * 3
        for label in (b"mac", b"psk", b"next"):
            chain = expand(chain, label, 32)
        same(hmac_sha256(chain, head), seed)
        digest = sha256(head)
        for _ in range(HASHES - 1):
            digest = sha256(digest + seed)
        for outputs in (HKDF_READ, HKDF_WRITE):
            for secret, n in zip((*shared, *shared), outputs, strict=False):
                chain = hkdf(chain, secret, n)[0]
            new_cipher(chain).encrypt(nonce(0), seed, digest)
        hkdf(chain, Secret(b""), HKDF_SPLIT)


def seal_bare(made: tuple[Cipher, list[tuple[bytes, bytes, bytes]]]) -> list[bytes]:
    """Seal with the cipher object and nothing else."""
    encrypt = made[0].encrypt
    return [encrypt(*each) for each in made[1]]


def open_bare(made: tuple[Cipher, list[tuple[bytes, bytes, bytes]]]) -> list[bytes]:
    """Open with the cipher object and nothing else."""
    decrypt = made[0].decrypt
    return [decrypt(*each) for each in made[1]]


def ip(source: bytes, destination: bytes) -> bytes:
    """Return an IPv4 packet of PACKET bytes."""
    return b"\x45\0" + PACKET.to_bytes(2, "big") + bytes(4) + b"\x40\x11\0\0" + source + destination + bytes(PACKET - 20)


def bars(series: dict[str, Series]) -> list[Bar]:
    """Return the ratios and what they are held against."""
    reattach, seal, opened = series["reattach"], series["bare seal"], series["bare open"]
    return [
        ratio("reattach", "a reattach, to its own X25519 operations", reattach, series["x25519"], 1.5),
        ratio("garbage locator", "a garbage locator, to an accepted reattach", series["garbage"], reattach, 1 / 200),
        ratio("wrong mac", "a wrong mac, to an accepted reattach", series["wrong mac"], reattach, 1 / 30),
        ratio("seal", "DATA sealed, to the AEAD alone", series["seal"], seal, 2),
        ratio("open", "DATA opened, to the AEAD alone", series["open"], opened, 2),
    ]


def shown(series: dict[str, Series]) -> Sequence[Bar]:
    """Return ratios that have no bar of their own, for whoever asks what the rest costs."""
    free = inf
    return [
        ratio("crypto", "all cryptography of a reattach, alone, to its X25519 operations", series["crypto"], series["x25519"], free),
        ratio("commit", "CONFIRM to ACK without the store, to its X25519 operations", series["commit"], series["x25519"], free),
        ratio("engine send", "the engine's whole call to send, to the AEAD alone", series["engine send"], series["bare seal"], free),
        ratio(
            "engine receive", "the engine's whole call to receive, to the AEAD alone", series["engine receive"], series["bare open"], free
        ),
    ]
