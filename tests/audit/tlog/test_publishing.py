"""Publishing a log's tree: up to each checkpoint, again after a stop, and not what the log did not sign."""

import shutil
from pathlib import Path

import pytest

from audit.errors import LogUnsound, TreeIncomplete
from audit.files import CHECKPOINT, COSIGNED, segments_in
from audit.segments import SEGMENT_BYTES
from audit.tlog.merkle import check_consistency, check_inclusion, leaf
from audit.tlog.publishing import Publisher, Tree
from tests.audit.made import events_of, lines_of, opened, records
from tests.audit.tlog.test_sealing import FACTS, sealed_log


def published(log: Path, out: Path) -> Tree:
    """The tree of the log as it is now, published."""
    publisher = Publisher(log, out)
    signed = publisher.advance()
    assert signed
    publisher.publish(signed.note)
    return Tree(out)


@pytest.mark.parametrize("segment_bytes", [3_000, SEGMENT_BYTES])
def test_every_event_can_be_proven_from_what_is_published(tmp_path: Path, segment_bytes: int) -> None:
    """[A-68] [A-69] Who has the tree could not prove an event to somebody else."""
    log = sealed_log(tmp_path / "log", segment_bytes=segment_bytes)
    tree = published(log, tmp_path / "tree")
    said = tree.signed.says
    assert said.size == len(events_of(log))
    for number, event in enumerate(events_of(log)):
        proof = tree.proof(number, log)
        assert proof.line == lines_of(log)[number]
        assert proof.entry() == tree.entry(number)
        check_inclusion(number, said.size, leaf(proof.entry()), proof.hashes, said.root)
        assert event["seq"] == number


def test_it_goes_on_with_the_log(tmp_path: Path) -> None:
    """[A-68] Each look would begin with the first event, or leave one out."""
    log, tree = sealed_log(tmp_path / "log", segment_bytes=3_000), tmp_path / "tree"
    first = published(log, tree).signed.says
    following = Publisher(log, tree)
    again, journal = opened(log, segment_bytes=3_000)
    with again:
        for fact in FACTS[40:50]:
            journal.write(*records([fact]))
            journal.sign()
            assert following.advance()
        assert journal.close()
    last = published(log, tree).signed.says
    proof = following.consistency(first.size, last.size) if following.advance() else []
    check_consistency(first.size, last.size, first.root, last.root, proof)


def test_a_log_that_is_another_one_is_not_published(tmp_path: Path) -> None:
    """[A-68] A tree that clients know would be replaced by that of another log, or of an older state."""
    log, tree = sealed_log(tmp_path / "log"), tmp_path / "tree"
    older = shutil.copytree(log, tmp_path / "older")
    again, journal = opened(log)
    with again:
        assert journal.close()
    published(log, tree)
    with pytest.raises(LogUnsound, match="after one of"):
        Publisher(older, tree).advance()
    other = sealed_log(tmp_path / "other" / "log", 30)
    lines = lines_of(other)
    assert lines
    shutil.copy(older / CHECKPOINT, other / CHECKPOINT)
    with pytest.raises(LogUnsound, match=r"is not the log that its checkpoint says|the log has"):
        Publisher(other).advance()


def test_what_was_put_away_must_be_published_already(tmp_path: Path) -> None:
    """[A-68] A tree with a hole at its beginning would be published, or a traceback be all that is said."""
    log, tree = sealed_log(tmp_path / "log", segment_bytes=3_000), tmp_path / "tree"
    shutil.copytree(log, tmp_path / "whole")
    segments_in(log)[0].unlink()
    with pytest.raises(LogUnsound, match="event 0 was put away"):
        Publisher(log).advance()
    published(tmp_path / "whole", tree)
    assert Publisher(log, tree).advance()
    with pytest.raises(LogUnsound, match="event 1 was put away"):
        Tree(tree).proof(1, log)


def test_tiles_of_another_tree_are_not_gone_on_with(tmp_path: Path) -> None:
    """[A-68] Who can write where the tree is published would have it go on with theirs."""
    log, tree = sealed_log(tmp_path / "log"), tmp_path / "tree"
    published(log, tree)
    (tile,) = (path for path in (tree / "tile" / "0").rglob("*") if path.is_file())
    tile.write_bytes(bytes(len(tile.read_bytes())))
    for opening in (lambda: Publisher(log, tree), lambda: Tree(tree)):
        with pytest.raises(TreeIncomplete, match="are not those of the checkpoint"):
            opening()
    (tree / CHECKPOINT).unlink()
    with pytest.raises(TreeIncomplete, match="holds no checkpoint"):
        Tree(tree)


def test_a_crash_before_the_checkpoint_publishes_nothing_new(tmp_path: Path) -> None:
    """[A-68] Tiles and checkpoint would not be of one tree after a power cut."""
    log, tree = sealed_log(tmp_path / "log"), tmp_path / "tree"
    before = published(log, tree).signed
    again, journal = opened(log)
    with again:
        journal.write(*records(FACTS[40:60]))
        assert journal.close()
    assert Publisher(log, tree).advance()  # and dies
    assert Tree(tree).signed == before
    assert published(log, tree).signed.says.size > before.says.size
    assert (log / COSIGNED).read_bytes() == (tree / CHECKPOINT).read_bytes()
    assert (tree / CHECKPOINT).stat().st_mode & 0o777 == 0o644
