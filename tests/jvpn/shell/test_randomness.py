"""Health tests of randomness: what they see, what they cannot see, and how often they are wrong."""

import itertools
import os
from collections.abc import Iterator
from math import comb

import pytest

from jvpn.shell import entropy as source
from jvpn.shell import randomness
from jvpn.shell.randomness import Faulty, Watch


def stream(size: int) -> bytes:
    """Return bytes of a good generator: the kernel's."""
    return os.urandom(size)


def chunks(raw: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    """Cut bytes in pieces."""
    at = 0
    while at < len(raw):
        size = next(sizes)
        yield raw[at : at + size]
        at += size


def biased(size: int) -> bytes:
    """Every eighth byte is the same."""
    raw = bytearray(stream(size))
    raw[::8] = bytes(len(raw[::8]))
    return bytes(raw)


ALTERNATING = bytes((0, 255)) * 2048
COUNTER = b"".join(number.to_bytes(32, "big") for number in range(128))
KEYS = (32, 4, 64, 6, 12)  # the sizes that a gateway draws


def drawn(watch: Watch, raw: bytes, sizes: tuple[int, ...]) -> None:
    """Let a watch see bytes in draws of these sizes, over and over."""
    for piece in chunks(raw, itertools.cycle(sizes)):
        watch.judge(piece)


@pytest.mark.parametrize(
    ("raw", "sizes", "said"),
    [
        (bytes(4096), (4096,), "equal bytes in a row"),
        (bytes(4096), (1,), "equal bytes in a row"),
        (bytes(4096), KEYS, "equal bytes in a row"),
        (ALTERNATING, (4096,), "times among 512"),
        (ALTERNATING, (1,), "times among 512"),
        (ALTERNATING, KEYS, "16 bytes that came before"),
        (biased(4096), (4096,), "times among 512"),
        (biased(4096), (1,), "times among 512"),
        (biased(4096), KEYS, "times among 512"),
        (bytes(byte & 3 for byte in stream(4096)), KEYS, "."),
        (bytes(range(32)) * 128, (4096,), "16 bytes that came before"),
        (stream(32) * 128, (32,), "16 bytes that came before"),
        (stream(124) * 33, KEYS, "16 bytes that came before"),
        (stream(4096) * 2, (4096,), "16 bytes that came before"),
        (COUNTER, (32,), "."),
        (COUNTER, KEYS, "."),
    ],
    ids=[
        "stuck", "stuck bytes", "stuck keys", "alternating", "alternating bytes", "alternating keys", "biased", "biased bytes",
        "biased keys", "four symbols", "a block that repeats", "keys that repeat", "period of keys", "the same again", "counter",
        "counter cut",
    ],
)  # fmt: skip
def test_it_sees_a_broken_source(raw: bytes, sizes: tuple[int, ...], said: str) -> None:
    """[K-11] Keys are made of bytes that somebody else has as well; however they are drawn."""
    watch = Watch(bytes(16))
    with pytest.raises(Faulty, match=said):
        drawn(watch, raw, sizes)
    with pytest.raises(Faulty, match=said):
        watch.judge(stream(32))


@pytest.mark.parametrize("size", [1, 7, 32, 500])
def test_a_good_source_passes(size: int) -> None:
    """A gateway ends for no reason."""
    watch = Watch(bytes(16))
    for _ in range(200_000 // size):
        raw = stream(size)
        assert watch.judge(raw) is raw


def test_a_run_is_counted_across_draws() -> None:
    """A stuck source is seen only within one draw."""
    watch = Watch(bytes(16))
    for piece in (b"\x01\x05\x05\x05", b"\x05", b"\x05\x05"):
        watch.judge(piece)
    with pytest.raises(Faulty):
        watch.judge(b"\x05")
    watch = Watch(bytes(16))
    for piece in (b"\x05" * 6, b"\x06" * 6, b"", b"\x05" * 6):
        watch.judge(piece)


def test_the_window_is_counted_exactly() -> None:
    """A cut-off is off by one, and the false-alarm rate another than the one that is claimed."""
    others = bytes(value for value in range(1, 256) for _ in range(2))
    held = b"".join(b"\x00" + others[at * 6 : at * 6 + 6] for at in range(25))
    window = held + bytes(1 + index % 200 for index in range(512 - len(held)))
    assert (len(window), window[0], window.count(0)) == (512, 0, 25)
    watch = Watch(bytes(16))
    drawn(watch, window, (8,))
    watch = Watch(bytes(16))
    with pytest.raises(Faulty, match="26 times"):
        drawn(watch, window[:511] + b"\x00", (8,))


def test_cut_offs_are_those_of_the_standard() -> None:
    """The numbers in the text were typed, not computed."""
    entropy, alarm = 7, 40
    assert -(-alarm // entropy) + 1 == randomness.RUN
    p, n = 2.0**-entropy, randomness.WINDOW
    tail, count = 0.0, n
    while tail + comb(n, count) * p**count * (1 - p) ** (n - count) <= 2.0**-alarm:
        tail += comb(n, count) * p**count * (1 - p) ** (n - count)
        count -= 1
    assert count + 1 == randomness.PROPORTION  # count is the least that is not rarer than the alarm rate: critbinom


def test_memory_of_blocks_is_bounded() -> None:
    """A gateway that serves for a year has no memory left."""
    watch = Watch(bytes(16))
    for _ in range(3):
        watch.judge(stream(16 * randomness.BLOCKS))
    assert len(watch._blocks) == len(watch._order) == randomness.BLOCKS


def test_the_source_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests exist, but keys pass beside them."""
    monkeypatch.setattr(source, "_watch", Watch(bytes(16)))
    source.start_up()
    monkeypatch.setattr(os, "urandom", bytes)
    with pytest.raises(Faulty, match="fails its health test"):
        source.entropy(32)
    monkeypatch.undo()
