"""What a test needs from the machine: names, probes, and skip or fail.

A test says what it needs with a marker, `@requires("root", "tun")` or `pytestmark = requires("netns")`; a fixture or a
helper that finds out later calls `need("opensearch")`. What is missing skips the test with a reason. With
JVP_REQUIRE_SERVICES=1 tests/conftest.py makes a failure of each skip, so that a run that claims to be complete cannot be
quietly smaller.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lab import netns, opensearch_fetch

ROOT = Path(__file__).resolve().parent.parent
PROBE_SECONDS = 20

MISSING = "missing "  # how each such skip begins; the closing summary recognises it

# Opens the TUN device and creates an interface, which goes when the file is closed.
TUN_PROBE = """
import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH14x", b"probe%d", 0x1001))
"""

# Asks the kernel's nf_tables for its generation number: NFT_MSG_GETGEN (16), answered by NFT_MSG_NEWGEN (15).
NFT_PROBE = """
import socket, struct
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.settimeout(5)
netlink.sendto(struct.pack("=IHHIIBBH", 20, 10 << 8 | 16, 1, 1, 0, 0, 0, 0), (0, 0))
kind = struct.unpack_from("=IH", netlink.recv(4096))[1]
raise SystemExit(kind != (10 << 8 | 15))
"""


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test, class or module as needing these things (the keys of `PROBES`)."""
    unknown = [name for name in names if name not in PROBES]
    if unknown or not names:
        message = f"requires: unknown {unknown}; known are {sorted(PROBES)}"
        raise ValueError(message)
    return pytest.mark.requires(*names)


def need(*names: str) -> None:
    """Skip the running test when the machine lacks one of `names`."""
    for name in names:
        why = lacking(name)
        if why is not None:
            pytest.skip(f"{MISSING}{name}: {why}")


@cache
def lacking(name: str) -> str | None:
    """Why the machine lacks `name`, or None when it has it. Each is found out once a run."""
    return PROBES[name]()


def in_new_network() -> list[str]:
    """Words that run the command behind them in a network namespace of its own, as root there, the way the laboratory makes one."""
    return [*netns.COMMAND, "run", "--"]


def _runs(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return f"no command {command[0]}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end in {PROBE_SECONDS} s"
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"{command[0]} ended with {done.returncode}"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "not running as root"


def _userns() -> str | None:
    return _runs(["unshare", "--user", "--map-root-user", "true"])


def _netns() -> str | None:
    return netns.probe().why or None


def _tun() -> str | None:
    return _runs([*in_new_network(), sys.executable, "-I", "-c", TUN_PROBE])


def _nft() -> str | None:
    return _runs([*in_new_network(), sys.executable, "-I", "-c", NFT_PROBE])


def _opensearch() -> str | None:
    """What a node needs to be had, and a user who is not root to run it as."""
    return opensearch_fetch.unavailable() or (_userns() if os.geteuid() == 0 else None)


def _go() -> str | None:
    return _runs(["go", "version"])


def _prometheus() -> str | None:
    return _runs(["promtool", "--version"]) or _runs(["prometheus", "--version"])


def _iperf() -> str | None:
    return _runs(["iperf3", "--version"])


def _rsyslog() -> str | None:
    lacks = [driver for driver in ("lmnsd_ossl", "lmnsd_gtls") if not any(Path("/usr/lib").glob(f"*/rsyslog/{driver}.so"))]
    return _runs(["/usr/sbin/rsyslogd", "-v"]) or (f"no {' and '.join(lacks)} (rsyslog-openssl, rsyslog-gnutls)" if lacks else None)


def _chromium() -> str | None:
    return _runs(["chromium", "--version"])


def _pdf() -> str | None:
    from observability import paper  # noqa: PLC0415 - brings the pictures' library, which few tests need

    try:
        paper.available()
    except paper.NoPaper as error:
        return str(error)
    return None


PROBES: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "userns": _userns,
    "netns": _netns,
    "tun": _tun,
    "nft": _nft,
    "opensearch": _opensearch,
    "go": _go,
    "iperf": _iperf,
    "prometheus": _prometheus,
    "rsyslog": _rsyslog,
    "chromium": _chromium,
    "pdf": _pdf,
}
