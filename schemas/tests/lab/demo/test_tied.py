"""A tied program ends with its starter, however that ends."""

import subprocess
import sys

from lab.demo import tied

STARTER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", sys.argv[1], str(os.getpid()), "sh", "-c", "echo here; exec sleep 600"])
child.wait()
"""


def test_it_ends_when_its_starter_is_killed() -> None:
    """A demonstration that is killed would leave a gateway and a client behind."""
    command = [sys.executable, "-c", STARTER, tied.__file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"here\n"
        starter.kill()
        assert starter.stdout.read() == b"", "the end of the output: nobody holds it any more"


def test_who_comes_too_late_does_not_start() -> None:
    """A program would run on without anybody who ends it."""
    done = subprocess.run([sys.executable, "-I", tied.__file__, "1", "true"], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, "the starter is gone")
