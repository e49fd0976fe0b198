"""The operational log: no secret in it, no stall because of it."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from core.reasons import Reason
from observability import oplog

SECRET = bytes(range(65, 97))


def lines(path: Path) -> list[dict[str, Any]]:
    """Read what was logged."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_is_json_with_utc_time_level_and_correlation(tmp_path: Path) -> None:
    """A collector could not parse the lines, or not tell which session they belong to."""
    oplog.configure(file=tmp_path / "log")
    log = structlog.get_logger()
    with oplog.correlated("00" * 16):
        log.info("moved", reason=Reason.MOVED_HINTED, path=tmp_path, waited_ms=3, key=SECRET)
    log.info("later")
    first, second = lines(tmp_path / "log")
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "moved",
        "level": "info",
        "correlation_id": "00" * 16,
        "reason": "MOVED_HINTED",
        "path": str(tmp_path),
        "waited_ms": 3,
        "key": "<32 bytes>",
    }
    assert "correlation_id" not in second
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


class Holder:
    """Something with a telling repr."""

    def __repr__(self) -> str:
        return SECRET.decode()


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        bytearray(SECRET),
        memoryview(SECRET),
        [SECRET],
        {"a": {"b": (SECRET,)}},
        {SECRET: 1},
        {SECRET},
        Holder(),
        [Holder()],
        f"key is {SECRET!r}",
        f"key is {bytearray(SECRET)!r}",
        f"cut off: {'x' * 990} {SECRET!r}",
        ValueError(SECRET),
        int.from_bytes(SECRET, "big"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("console", [False, True])
def test_bytes_and_unknown_objects_are_never_rendered(tmp_path: Path, value: object, *, console: bool) -> None:
    """A key that somebody logs by mistake would be in a file that is copied around."""
    oplog.configure(file=tmp_path / "log", console=console)
    structlog.get_logger().error("oops", value=value)
    written = (tmp_path / "log").read_bytes()
    assert b"oops" in written
    for leak in (SECRET, SECRET[:4], str(int.from_bytes(SECRET, "big")).encode()):
        assert leak not in written


def test_an_exception_is_explained_without_the_values_of_variables(tmp_path: Path) -> None:
    """A traceback with locals would print keys, one without frames would not help anybody."""
    oplog.configure(file=tmp_path / "log")
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(tmp_path / "log")
    assert line["exception"] == "ValueError: invalid literal for int() with base 10: <bytes>"
    assert line["frames"][-1].startswith("test_oplog.py:")


def test_levels_and_libraries(tmp_path: Path) -> None:
    """Either noise hides what matters, or a library's cry is lost."""
    oplog.configure(file=tmp_path / "log", level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet too")
    logging.getLogger("some.library").error("key %s", SECRET)
    (line,) = lines(tmp_path / "log")
    assert (line["event"], line["level"], line["library"], line["message"]) == ("a library reports", "error", "some.library", "key <bytes>")
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        oplog.configure(level="loud")


def test_a_second_configuration_replaces_the_first(tmp_path: Path) -> None:
    """Lines would be written twice, or the first file kept open for ever."""
    oplog.configure(file=tmp_path / "one")
    oplog.configure(file=tmp_path / "two")
    logging.getLogger("x").error("once")
    assert (tmp_path / "one").read_bytes() == b""
    assert len(lines(tmp_path / "two")) == 1


def test_a_logger_of_before_writes_nowhere_after_the_file_was_given_back(tmp_path: Path) -> None:
    """Lines of the log would land in whatever file or socket got the descriptor's number next."""
    oplog.configure(file=tmp_path / "one")
    log = structlog.get_logger().bind()
    log.info("first")
    old = structlog.get_config()["logger_factory"].sink
    oplog.configure(file=tmp_path / "two")
    with (tmp_path / "other").open("wb", buffering=0) as other:
        os.dup2(other.fileno(), old._descriptor)
        log.info("second")
    assert (tmp_path / "other").read_bytes() == b""
    assert len(lines(tmp_path / "one")) == 1


@pytest.mark.timeout(20)
def test_a_full_pipe_never_blocks_and_is_accounted_for() -> None:
    """A reader of the log that hangs would hang the data path."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as out, os.fdopen(writing, "w") as stream:
        oplog.configure(stream=stream, console=False)
        log = structlog.get_logger()
        for number in range(3_000):
            log.info("a line of some length to fill the pipe", number=number)
        taken = os.read(reading, 1 << 20)
        log.info("last")
        stream.close()
        got = [orjson.loads(line) for line in (taken + out.read()).splitlines()]
    whole = [line["number"] for line in got if "number" in line]
    assert whole == list(range(len(whole)))
    assert got[-2]["count"] == 3_000 - len(whole) > 0
    assert got[-1]["event"] == "last"


def test_a_full_disk_does_not_raise(tmp_path: Path) -> None:
    """A log that cannot be written would end the process it reports on."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        oplog.configure(stream=full, console=False)
        structlog.get_logger().info("lost")
        assert structlog.get_config()["logger_factory"].sink.lost == 1
    oplog.configure(stream=sys.__stderr__)


def test_a_huge_line_is_cut_to_what_one_write_can_carry(tmp_path: Path) -> None:
    """Lines of two processes in one pipe would be mixed."""
    oplog.configure(file=tmp_path / "log")
    structlog.get_logger().info("huge", **{f"field_{number}": "x" * 900 for number in range(10)})
    (line,) = lines(tmp_path / "log")
    assert line["event"] == "huge"
    assert line["cut_bytes"] > oplog.LINE_BYTES
