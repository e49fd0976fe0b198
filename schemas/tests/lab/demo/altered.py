"""The demonstration's server with a fault: one bit of the file is another one. `python -m tests.lab.demo.altered serve ...`."""

import sys

from lab.demo import pumped
from lab.demo.work import content


def altered(size: int) -> bytes:
    """Return the file with one bit changed in its middle."""
    body = bytearray(content(size))
    body[size // 2] ^= 1
    return bytes(body)


if __name__ == "__main__":
    pumped.content = altered  # type: ignore[attr-defined]  # the name that the server looks up
    pumped.main(sys.argv[1:])
