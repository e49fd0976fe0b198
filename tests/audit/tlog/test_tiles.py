"""Tiles: what is stored, under which names, and the proofs that come from it."""

from pathlib import Path

import pytest

from audit.errors import TreeIncomplete
from audit.tlog.merkle import Frontier, check_consistency, check_inclusion, consistency, inclusion, leaf, root_of
from audit.tlog.tiles import Directory, Memory, Tiles, tile_path

ENTRIES = [number.to_bytes(32, "big") for number in range(70_000)]
LEAVES = [leaf(entry) for entry in ENTRIES]


def root(size: int) -> bytes:
    """The root over the first leaves, by the code that the log's writer has."""
    tree = Frontier()
    tree.extend(LEAVES[:size])
    return tree.root()


def test_paths_are_those_of_the_specification() -> None:
    """[A-68] A client would ask a web server for files that are not there."""
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 17) == "tile/1/000.p/17"
    assert tile_path("entries", 273, 112) == "tile/entries/273.p/112"
    assert tile_path(0, 1_000) == "tile/0/x001/000"


def test_a_tree_has_the_tiles_that_the_specification_counts() -> None:
    """[A-68] A mirror would miss tiles that it needs, or hold some that are none."""
    store = Memory()
    tiles = Tiles(store)
    tiles.extend(ENTRIES)
    tiles.settle()
    full = {(0, number) for number in range(273)} | {(1, 0)}
    partial = {(0, 273, 112), (1, 1, 17), (2, 0, 1)}
    assert {path for path in store if "entries" not in path} == {tile_path(*each) for each in full | partial}
    assert {len(store[tile_path(*each)]) for each in full} == {256 * 32}
    assert store["tile/entries/000"] == b"".join(b"\0 " + entry for entry in ENTRIES[:256])
    assert tiles.entry(69_999) == ENTRIES[69_999]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_proofs_from_tiles_are_those_of_the_tree(size: int) -> None:
    """[A-68] What is published could not be proven from."""
    store = Memory()
    tiles = Tiles(store)
    tiles.extend(ENTRIES[:size])
    tiles.settle()
    again = Tiles(store, size)
    assert root_of(0, size, again.subtree) == root(size)
    for number in {0, size // 3, size - 1}:
        check_inclusion(number, size, LEAVES[number], inclusion(number, size, again.subtree), root(size))
        old = number + 1
        check_consistency(old, size, root(old), root(size), consistency(old, size, again.subtree))


def test_a_tree_goes_on_where_it_was_settled(tmp_path: Path) -> None:
    """[A-68] After a restart other tiles would be published under the same names, which clients keep for ever."""
    straight = Memory()
    at_once = Tiles(straight)
    at_once.extend(ENTRIES[:1_000])
    at_once.settle()
    size = 0
    for more in (1, 254, 1, 3, 300, 441):
        tiles = Tiles(Directory(tmp_path), size)
        tiles.extend(ENTRIES[size : size + more])
        tiles.settle()
        size += more
    assert {path: (tmp_path / path).read_bytes() for path in straight} == dict(straight)


def test_an_older_tree_is_read_from_tiles_that_have_filled_since() -> None:
    """[A-68] A crash between new tiles and their checkpoint would leave a tree that cannot go on."""
    store = Memory()
    tiles = Tiles(store)
    tiles.extend(ENTRIES[:300])
    tiles.settle()
    tiles.extend(ENTRIES[300:600])
    tiles.settle()
    older = Tiles(store, 300)
    assert root_of(0, 300, older.subtree) == root(300)
    assert older.entry(299) == ENTRIES[299]
    with pytest.raises(TreeIncomplete, match="none with the number 300"):
        older.entry(300)


@pytest.mark.parametrize("harm", ["gone", "short"])
@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_what_is_missing_is_said(path: str, harm: str) -> None:
    """A tree with a hole would be published on."""
    store = Memory()
    tiles = Tiles(store)
    tiles.extend(ENTRIES[:300])
    tiles.settle()
    if harm == "gone":
        del store[path]
    else:
        store[path] = store[path][:-1]
    with pytest.raises(TreeIncomplete, match=f"{path} is missing"):
        Tiles(store, 300)


def test_entries_of_another_length_are_refused() -> None:
    """Bundles of another log would be taken for hashes of events."""
    store = Memory()
    tiles = Tiles(store)
    tiles.extend(ENTRIES[:10])
    tiles.settle()
    store["tile/entries/000.p/10"] = b"\0\x21" + store["tile/entries/000.p/10"][2:]
    with pytest.raises(TreeIncomplete, match="not 32 bytes"):
        Tiles(store, 10)
