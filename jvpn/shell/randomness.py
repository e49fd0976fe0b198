"""Health tests of the kernel's randomness [K-11]: they see a source that is stuck, biased or repeats itself, and nothing finer.

The first two are the continuous tests of SP 800-90B, 4.4, which are made for raw noise. Here they watch the output of a generator, which
looks perfect even when it was seeded with nothing, so passing them is no validation and says nothing about the seed. They see what goes
wrong around it: a replaced system call, a broken emulation, a snapshot that gives the same bytes again within one process.

Cut-offs, for bytes that are assumed to have H = 7 bits of entropy, and a false alarm of at most 2^-40 a test under that assumption:
    repetition count     C = 1 + ceil(40 / 7) = 7 equal bytes in a row (4.4.1)
    adaptive proportion  C = 1 + critbinom(512, 2^-7, 1 - 2^-40) = 26 times the first byte of a window of 512 (4.4.2)
Real output has 8 bits: then seven equal bytes come once in 2^48 bytes, which is ninety years at 100 kB/s. The third test is the continuous
test of FIPS 140-2, 4.9.2, over more than one predecessor: no block of 16 bytes may be among the last 1,024.
"""

import re
from collections import deque
from hashlib import blake2b
from typing import Final

from jvpn.shell.errors import Unavailable

RUN: Final = 7
WINDOW, PROPORTION = 512, 26
BLOCK, BLOCKS = 16, 1_024
START_BYTES: Final = 4_096  # are drawn, tested and thrown away before the first key
_RUN: Final = re.compile(rb"(.)\1{%d}" % (RUN - 1), re.DOTALL)


class Faulty(Unavailable):
    """The randomness, or a library, does not do what it should: no service."""


class Watch:
    """Tests everything that is drawn. After a failure it fails for good: a source that was broken once is not trusted again.

    It keeps two bytes of what passed through it and 8-byte keyed hashes of its blocks, so a look at this process's memory shows no key.
    """

    def __init__(self, key: bytes) -> None:
        """Start with nothing seen; `key`, 16 bytes or more, is that of the hashes and of no other use."""
        self._key, self._failed = key, ""
        self._last, self._run = -1, 0
        self._sample, self._left, self._seen = -1, 0, 0
        self._order: deque[bytes] = deque()
        self._blocks: set[bytes] = set()

    def judge(self, raw: bytes) -> bytes:
        """Return `raw`; raise Faulty when it, with what came before it, fails a test, and always after that."""
        if not self._failed:
            self._failed = self._repetition(raw) or self._proportion(raw) or self._repeated(raw)
        if self._failed:
            raise Faulty(f"the kernel's randomness fails its health test: {self._failed}; nothing can be kept secret with it")
        return raw

    def _repetition(self, raw: bytes) -> str:
        if not raw:
            return ""
        front = len(raw) - len(raw.lstrip(bytes((self._last,)))) if self._last >= 0 else 0
        broken = self._run + front >= RUN if front else False
        back = len(raw) - len(raw.rstrip(raw[-1:]))
        self._run = self._run + back if front == len(raw) else back
        self._last = raw[-1]
        return f"{RUN} equal bytes in a row" if broken or _RUN.search(raw) else ""

    def _proportion(self, raw: bytes) -> str:
        at = 0
        while at < len(raw):
            if self._left == 0:
                self._sample, self._left, self._seen = raw[at], WINDOW, 0
            taken = raw[at : at + self._left]
            self._seen += taken.count(self._sample)
            self._left -= len(taken)
            at += len(taken)
            if self._seen >= PROPORTION:
                return f"one byte {PROPORTION} times among {WINDOW}"
        return ""

    def _repeated(self, raw: bytes) -> str:
        for at in range(0, len(raw) - BLOCK + 1, BLOCK):
            digest = blake2b(raw[at : at + BLOCK], digest_size=8, key=self._key).digest()
            if digest in self._blocks:
                return f"{BLOCK} bytes that came before"
            self._blocks.add(digest)
            self._order.append(digest)
            if len(self._order) > BLOCKS:
                self._blocks.discard(self._order.popleft())
        return ""
