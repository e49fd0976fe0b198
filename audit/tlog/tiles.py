"""The tree as files that never change (C2SP tlog-tiles): who has them can make every proof (clause A-68).

A tile holds up to 256 hashes of one level, each of a whole tile of the level below; the last one of a level may be partial.
Beside the tiles of leaves are bundles of entries, which here are the hashes of events.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from audit.errors import TreeIncomplete
from audit.files import PUBLIC_MODE, replace
from audit.tlog.merkle import HASH_BYTES, leaf, node

WIDTH_BITS: Final = 8
WIDTH: Final = 1 << WIDTH_BITS
ENTRIES: Final = "entries"
LENGTH: Final = HASH_BYTES.to_bytes(2, "big")  # before each entry of a bundle


class Store(Protocol):
    """Where tiles are, by the path that a client would ask for."""

    def get(self, path: str) -> bytes | None:
        """Return a file's bytes, or None. OSError."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Keep a file, durably. OSError."""
        ...


class Directory:
    """Tiles as files below a directory, as any web server can serve them."""

    def __init__(self, root: Path) -> None:
        """Take the directory, which need not be there."""
        self._root = root

    def get(self, path: str) -> bytes | None:
        """Return a file's bytes, or None. OSError."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, path: str, data: bytes) -> None:
        """Keep a file, durably. OSError."""
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(place.parent, place.name, data, PUBLIC_MODE)


class Memory(dict[str, bytes]):
    """Tiles that live as long as the program."""

    def put(self, path: str, data: bytes) -> None:
        """Keep a file."""
        self[path] = data


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile, or of a bundle: elements of three digits, all but the last with an x before them."""
    groups = [f"{number % 1_000:03d}"]
    while number := number // 1_000:
        groups.insert(0, f"x{number % 1_000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == WIDTH else f".p/{width}")


class Tiles:
    """A growing tree in a store. Full tiles are put there as they fill, partial ones when `settle` is called."""

    def __init__(self, store: Store, size: int = 0) -> None:
        """Begin with the empty tree, or go on with one of this size. TreeIncomplete when the store has not its last tiles; OSError."""
        self._store, self.size = store, size
        self._edge: list[list[bytes]] = []  # of each level: the hashes of the last tile, which is not full
        level = 0
        while size >> level * WIDTH_BITS:
            self._edge.append(self._hashes(level, (size >> level * WIDTH_BITS) // WIDTH))
            level += 1
        self._bundle = self._entries(size // WIDTH, size % WIDTH)

    def extend(self, entries: Sequence[bytes]) -> None:
        """Append entries of 32 bytes. OSError: begin again from what was settled."""
        for entry in entries:
            self._bundle.append(entry)
            if len(self._bundle) == WIDTH:
                self._store.put(tile_path(ENTRIES, self.size // WIDTH), _bundle(self._bundle))
                self._bundle = []
            self._add(0, leaf(entry))
            self.size += 1

    def settle(self) -> None:
        """Put the partial tiles of the tree as it is now. OSError."""
        for level, edge in enumerate(self._edge):
            if edge:
                self._store.put(tile_path(level, (self.size >> level * WIDTH_BITS) // WIDTH, len(edge)), b"".join(edge))
        if self._bundle:
            self._store.put(tile_path(ENTRIES, self.size // WIDTH, len(self._bundle)), _bundle(self._bundle))

    def subtree(self, level: int, number: int) -> bytes:
        """Return the root of a whole subtree, for proofs. TreeIncomplete; OSError."""
        tile_level, within = divmod(level, WIDTH_BITS)
        first = number << within
        hashes = self._hashes(tile_level, first // WIDTH)[first % WIDTH : first % WIDTH + (1 << within)]
        if len(hashes) != 1 << within:
            raise TreeIncomplete(f"the tree has {self.size} leaves, and no subtree {number} of level {level}")
        return _folded(hashes)

    def entry(self, number: int) -> bytes:
        """Return an entry. TreeIncomplete; OSError."""
        if not 0 <= number < self.size:
            raise TreeIncomplete(f"the tree has {self.size} entries, and none with the number {number}")
        last = number // WIDTH == self.size // WIDTH
        return (self._bundle if last else self._entries(number // WIDTH, WIDTH))[number % WIDTH]

    def _add(self, level: int, made: bytes) -> None:
        if level == len(self._edge):
            self._edge.append([])
        edge = self._edge[level]
        edge.append(made)
        if len(edge) == WIDTH:
            self._store.put(tile_path(level, self.size >> (level + 1) * WIDTH_BITS), b"".join(edge))
            self._edge[level] = []
            self._add(level + 1, _folded(edge))

    def _hashes(self, level: int, number: int) -> list[bytes]:
        if level < len(self._edge) and number == (self.size >> level * WIDTH_BITS) // WIDTH:
            return self._edge[level]
        width = min(WIDTH, (self.size >> level * WIDTH_BITS) - number * WIDTH)
        raw = self._file(level, number, width, HASH_BYTES)
        return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]

    def _entries(self, number: int, width: int) -> list[bytes]:
        step = len(LENGTH) + HASH_BYTES
        raw = self._file(ENTRIES, number, width, step)
        if any(raw[at : at + len(LENGTH)] != LENGTH for at in range(0, len(raw), step)):
            raise TreeIncomplete(f"{tile_path(ENTRIES, number, width)} holds entries that are not {HASH_BYTES} bytes long")
        return [raw[at + len(LENGTH) : at + step] for at in range(0, len(raw), step)]

    def _file(self, level: int | str, number: int, width: int, step: int) -> bytes:
        """Return the first `width` parts of a tile: from the partial one, or from the one that has become full since."""
        if width <= 0:
            return b""
        for stored in (width, WIDTH):
            raw = self._store.get(tile_path(level, number, stored))
            if raw is not None and len(raw) == stored * step:
                return raw[: width * step]
        raise TreeIncomplete(f"{tile_path(level, number, width)} is missing, or not as long as it must be")


def _bundle(entries: Sequence[bytes]) -> bytes:
    return b"".join(LENGTH + entry for entry in entries)


def _folded(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
