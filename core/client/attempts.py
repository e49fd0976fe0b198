"""The client's outstanding messages: an INIT (`Hand`) or a numbered REATTACH (`Attempt`), at most one of each a carrier."""

from collections.abc import Callable, Container, Iterable
from typing import NamedTuple, TypeVar

from core import limits
from core.crypto.chain import Birth, born, correlation_of, later, mac_key, psk_of, reattach_prologue
from core.crypto.noise import IKHFS, KKPSK0, Handshake
from core.crypto.primitives import BadPublicKey, Kem, PrivateKey, TagMismatch, same
from core.crypto.secret import Holder
from core.errors import PeerFault
from core.reasons import Cause, Reason, Status
from core.values import Entropy, Instant, Path
from core.wire.epoch import Epoch
from core.wire.layout import Change, Malformed
from core.wire.macs import cookie_proof, k1, mac
from core.wire.messages import init_header, reattach_header
from core.wire.records import Cookie, InitPayload, ReattachPayload, ReattachResp, ReattachRespPayload, Resp, RespPayload, pack, unpack

P = TypeVar("P", RespPayload, ReattachRespPayload)
W = TypeVar("W", bound="Waiting")


class Keys(NamedTuple):
    """The device's static key, the public key of the gateway addressed by what is new, and the KEM."""

    static: PrivateKey
    gateway: bytes
    kem: Kem


class Life(Holder):
    """What a session is to the client: the gateway's key that it was born under, identifier, chain, the next attempt, its locators."""

    def __init__(self, birth: Birth, expires_at: Instant, gateway: bytes) -> None:
        """Begin with the handshake's secrets; locators come with the first ACK."""
        self.session_id, self.chain, self.expires_at, self.gateway = birth.session_id, birth.chain, expires_at, gateway
        self.correlation = correlation_of(birth.session_id)
        self.next, self.binding_version, self.locators = 1, 0, dict[int, bytes]()
        self.addresses: tuple[bytes, bytes, bytes] = (b"", b"", b"")


class Retry:
    """When to repeat what is unanswered: after a wait that doubles up to a cap."""

    def __init__(self, now: Instant, first: int) -> None:
        self.times, self.wait, self.at = 0, limits.REATTACH_RETRY_NS, Instant(now + first)

    def again(self, now: Instant) -> None:
        """Count a repetition, and wait twice as long for the next."""
        self.times, self.wait = self.times + 1, min(self.wait * 2, limits.REATTACH_RETRY_CAP_NS)
        self.at = Instant(now + self.wait)


class Newborn(NamedTuple):
    """A session whose keys are proven and whose CONFIRM is not yet acknowledged."""

    life: Life
    epoch: Epoch
    started: Instant


class Waiting:
    """A message that waits for its answer on the path where it was sent."""

    frame: bytes
    _handshake: Handshake

    def __init__(self, entropy: Entropy, path: Path, now: Instant, taken: Container[int]) -> None:
        self.path, self.started = path, now
        while (index := int.from_bytes(entropy(4), "little")) in taken:  # [D-3]
            pass
        self.index = index

    def _read(self, message: Resp | ReattachResp, make: Callable[..., P]) -> tuple[Handshake, P, Status]:
        """Return the finished handshake, payload and status of an answer; raise PeerFault and stay pending when it proves nothing [H-9]."""
        trial = self._handshake.copy()
        try:
            payload = unpack(make, trial.read(message.noise))
            status = Status(payload.status)
        except (TagMismatch, BadPublicKey, Malformed, ValueError):
            raise PeerFault(Reason.REPLY_BAD_PROOF) from None
        if payload.sender_index != message.sender_index:
            raise PeerFault(Reason.REPLY_BAD_PROOF)
        return trial, payload, status


def waiting_for(answer: Resp | Cookie | ReattachResp, waiting: Iterable[W], path: Path) -> W:
    """Return what waits for this answer on this path; raise PeerFault."""
    for each in waiting:
        if each.index == answer.receiver_index and each.path == path:
            return each
    raise PeerFault(Reason.UNEXPECTED_MESSAGE)


class Hand(Waiting):
    """One handshake under way on one path. Each try is a fresh INIT: a gateway drops one that it has answered before."""

    def __init__(self, keys: Keys, entropy: Entropy, path: Path, now: Instant, cookie: bytes = b"", taken: Container[int] = ()) -> None:
        """Make an INIT whose index is none of those `taken`; with a `cookie` its mac2 proves the source address."""
        super().__init__(entropy, path, now, taken)
        self.keys, self.had_cookie = keys, bool(cookie)
        header = init_header(self.index)
        self._handshake = Handshake(IKHFS, initiator=True, prologue=b"jumping-vpn/1 handshake" + header, static=keys.static,
                                    remote=keys.gateway, kem=keys.kem, entropy=entropy)  # fmt: skip
        head = header + self._handshake.write(pack(InitPayload(path.carrier, 0)))
        self.mac1 = mac(k1(keys.gateway), head)
        head += self.mac1
        self.frame = head + (mac(cookie, head) if cookie else bytes(16))

    def cookie(self, message: Cookie) -> bytes:
        """Return the cookie of a COOKIE that answers this INIT; raise PeerFault [H-25]."""
        if self.had_cookie or not same(cookie_proof(k1(self.keys.gateway), self.mac1, message.cookie), message.proof):
            raise PeerFault(Reason.REPLY_BAD_PROOF)
        return message.cookie

    def answer(self, message: Resp, now: Instant) -> Newborn | Status:
        """Return the keys that RESP brings, or its refusal; raise PeerFault when it proves nothing."""
        handshake, payload, status = self._read(message, RespPayload)
        if status is not Status.OK:
            return status
        birth = born(handshake)
        epoch = Epoch(self.index, message.sender_index, (birth.k_up, birth.k_down), self.path, 0, now)
        return Newborn(Life(birth, Instant(now + payload.lifetime_s * limits.SECOND), self.keys.gateway), epoch, self.started)


class Attempt(Waiting):
    """One numbered attempt on one path; the same bytes are repeated there until they are answered [R-30]."""

    def __init__(  # noqa: PLR0913, PLR0917 - what REATTACH states, and where it goes
        self, keys: Keys, entropy: Entropy, life: Life, path: Path, change: Change, cause: Cause, outage_ms: int, now: Instant,
        taken: Container[int] = (),
    ) -> None:  # fmt: skip
        """Use up one attempt of `life`: its number, its locator and its link of the chain. Its index is none of those `taken`."""
        super().__init__(entropy, path, now, taken)
        self.number, self.change, self.cause, chain = life.next, change, cause, life.chain
        header = reattach_header(self.index, life.locators.pop(self.number))
        life.chain, life.next = later(chain, 1), life.next + 1
        prologue = reattach_prologue(life.session_id, self.number, header)
        self._handshake = Handshake(KKPSK0, initiator=True, prologue=prologue, static=keys.static, remote=life.gateway, psk=psk_of(chain),
                                    entropy=entropy)  # fmt: skip
        head = header + self._handshake.write(pack(ReattachPayload(change, path.carrier, life.binding_version, cause, outage_ms)))
        self.frame = head + mac(mac_key(chain), head)
        self.retry = Retry(now, limits.REATTACH_RETRY_NS)

    def answer(self, message: ReattachResp, now: Instant) -> tuple[Epoch | None, Status, int]:
        """Return (epoch or None, status, retry after in ns); raise PeerFault when it proves nothing."""
        handshake, payload, status = self._read(message, ReattachRespPayload)
        if status is not Status.OK:
            return None, status, payload.retry_after_ms * limits.MILLISECOND
        up, down = handshake.split()
        return Epoch(self.index, message.sender_index, (up, down), self.path, self.number, now), status, 0


class Confirming:
    """A proven epoch whose CONFIRM is sent at once, and repeated until the gateway speaks under it."""

    def __init__(self, epoch: Epoch, attempt: Attempt, now: Instant) -> None:
        self.epoch, self.attempt, self.retry = epoch, attempt, Retry(now, 0)
