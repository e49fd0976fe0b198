"""One epoch: a pair of traffic keys, its indices, counters and replay window, on one path."""

from collections.abc import Iterable, Sequence
from typing import Final

from core.crypto.primitives import Cipher, TagMismatch, new_cipher, nonce
from core.crypto.replay import ACCEPT, Verdict, step
from core.crypto.secret import Holder, Secret
from core.errors import PeerFault, given
from core.limits import COUNTER_LIMIT
from core.reasons import Reason
from core.values import Instant, Path, Transmit
from core.wire.layout import DATA_HEADER
from core.wire.messages import data_header

_HEADER, _SEALED = slice(DATA_HEADER), slice(DATA_HEADER, None)
REFUSED: Final = {Verdict.STALE: Reason.COUNTER_STALE, Verdict.REPLAY: Reason.COUNTER_REPLAYED, Verdict.LIMIT: Reason.COUNTER_LIMIT}


class Epoch(Holder):
    """Seals and opens DATA under one pair of keys; `path` is the only path it speaks and listens on."""

    __slots__ = ("_keys", "_receive", "_send", "attempt", "bitmap", "born", "counter", "index", "path", "peer_index", "received",
                 "received_bytes", "sampled", "sent_bytes", "top")  # fmt: skip

    def __init__(self, index: int, peer_index: int, keys: tuple[Secret, Secret], path: Path, attempt: int, now: Instant) -> None:
        """Start an epoch: `keys` are (send, receive), 32 bytes each; `attempt` is 0 for the one that a full handshake made."""
        self.index, self.peer_index, self.path, self.attempt, self.born = index, peer_index, path, attempt, now
        self._keys: tuple[Secret, Secret] | None = keys
        self._send: Cipher | None = None
        self._receive: Cipher | None = None
        self.counter = self.top = self.bitmap = self.received = self.received_bytes = self.sent_bytes = 0
        self.sampled = (0, 0, 0, 0)

    def seal(self, inner: Sequence[bytes]) -> list[Transmit]:
        """Return DATA frames of the inner frames, in runs of equal length; raise PeerFault when the counter is used up [D-1]."""
        if self.counter + len(inner) > COUNTER_LIMIT:
            raise PeerFault(Reason.KEY_EXPIRED)
        runs: list[Transmit] = []
        frames: list[bytes] = []
        size, encrypt, peer, counter = -1, (self._send or self._wake()[0]).encrypt, self.peer_index, self.counter
        for plain in inner:
            header = data_header(peer, counter)
            if len(plain) != size:  # an offload send wants equal lengths
                size, frames = len(plain), []
                runs.append(Transmit(self.path, frames))
            self.sent_bytes += size
            frames.append(header + encrypt(nonce(counter), plain, header))
            counter += 1
        self.counter = counter
        return runs

    def open(self, run: Iterable[tuple[int, bytes]], *, keep: bool = True) -> list[bytes | Reason]:
        """Return for each (counter, frame) of a burst the inner frame, or why it is refused.

        The window is peeked before and, with `keep`, committed after the AEAD [W-2] [D-2].
        """
        plain: bytes | Reason
        opened, decrypt = list[bytes | Reason](), (self._receive or self._wake()[1]).decrypt
        for counter, frame in run:
            verdict, top, bitmap = step(self.top, self.bitmap, counter)
            try:
                plain = decrypt(nonce(counter), frame[_SEALED], frame[_HEADER]) if verdict is ACCEPT else REFUSED[verdict]
            except TagMismatch:
                plain = Reason.DATA_TAG_WRONG
            if keep and isinstance(plain, bytes):
                self.top, self.bitmap = top, bitmap
                self.received += 1
                self.received_bytes += len(plain)
            opened.append(plain)
        return opened

    def _wake(self) -> tuple[Cipher, Cipher]:
        """Make the ciphers of an epoch that was at rest."""
        send, receive = given(self._keys, "an epoch that was forgotten neither seals nor opens")
        self._send, self._receive = ciphers = new_cipher(send), new_cipher(receive)
        return ciphers

    def rest(self) -> None:
        """Keep the keys and drop the ciphers: they take some 2 kB each, and making them again costs a microsecond."""
        self._send = self._receive = None

    def forget(self) -> None:
        """Drop the keys for good: a copy of this process must not seal under the same counters [D-9]."""
        self._keys = self._send = self._receive = None

    def traffic(self) -> tuple[int, int, int, int]:
        """Return bytes received and sent, and frames received and sent, since the last sample."""
        was = self.sampled
        return self.received_bytes - was[0], self.sent_bytes - was[1], self.received - was[2], self.counter - was[3]

    def sample(self) -> None:
        """Begin to count `traffic` anew."""
        self.sampled = (self.received_bytes, self.sent_bytes, self.received, self.counter)
