"""The bad disk: what it takes away is what no sync had made durable."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PROGRAM = """
import os, sys
from random import Random
from unittest.mock import patch
from lab.endure.disk import Disk
mode, seed, place = sys.argv[1:]
disk = Disk(mode, Random(int(seed)))
file = os.open(place, os.O_WRONLY | os.O_APPEND)
disk.fdatasync(file)
while True:
    disk.write(file, b"x" * 999 + b"\\n")
    disk.fdatasync(file)
    print(os.fstat(file).st_size, flush=True)
"""


@pytest.mark.parametrize("mode", ["torn", "power"])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_was_synced_is_taken_away(tmp_path: Path, mode: str, seed: int) -> None:
    """The writer would be blamed for what no disk does: it says that head.json names an event which is gone, and refuses its log."""
    segment = tmp_path / f"audit-{0:020}.jsonl"
    segment.write_bytes(b"y" * 5_000)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode, str(seed), str(segment)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -9, done.stderr
    durable = max([5_000, *map(int, done.stdout.split())])
    assert durable <= segment.stat().st_size < durable + 1_000
