"""The control socket: whoever may ask gets the whole answer, and nobody who asks holds up the tunnel or the next one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jvpn.shell.control import ASKERS_MAX, BACKLOG, NAME, Control, ask
from jvpn.shell.errors import Unavailable
from jvpn.shell.transports.base import Poll

TURN_NS = 20_000_000
LONG = {"sessions": ["x" * 300] * 10_000}  # more than a socket holds
PATIENCE_S = 20


def answered(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a long order and a short one."""
    return LONG if request == {"order": "long"} else {"heard": request}


@contextmanager
def serving(state: Path) -> Iterator[Path]:
    """Serve at a socket until the block ends; yield its path."""
    poll, ending = Poll(), threading.Event()
    control = Control(state, poll, answered)

    def turns() -> None:
        while not ending.is_set():
            poll.turn(TURN_NS)

    loop = threading.Thread(target=turns)
    loop.start()
    try:
        yield state / NAME
    finally:
        ending.set()
        loop.join()
        control.close()
        poll.close()


def connected(path: Path) -> socket.socket:
    """Return a connection that has not asked."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))  # waits for a place; with a time-out it would not
    connection.settimeout(PATIENCE_S)
    return connection


def test_an_answer_arrives_whole(tmp_path: Path) -> None:
    """From some six hundred sessions on nobody could ask a gateway what it does."""
    with serving(tmp_path) as path:
        assert ask(path, {"order": "short"}) == {"heard": {"order": "short"}}
        assert ask(path, {"order": "long"}) == LONG
        assert (path.stat().st_mode & 0o777) == 0o600
    assert not path.exists()


def test_who_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    """A `jvpn status` in a terminal that was stopped would stop the tunnel."""
    with serving(tmp_path) as path, connected(path) as stopped:
        stopped.sendall(b'{"order": "long"}\n')
        assert ask(path, {"order": "long"}) == LONG
        read = b"".join(iter(lambda: stopped.recv(65_536), b""))
        assert read.endswith(b"]}\n")


def test_who_asks_nothing_keeps_nobody_out(tmp_path: Path) -> None:
    """Forgotten connections would take the last descriptor, or the place of `jvpn revoke`."""
    with serving(tmp_path) as path, ExitStack() as silent:
        first = silent.enter_context(connected(path))
        for _ in range(3 * ASKERS_MAX):
            silent.enter_context(connected(path))
        assert ask(path, {"order": "short"}) == {"heard": {"order": "short"}}
        assert first.recv(1) == b"", "the oldest gave way"


def test_many_who_ask_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """`jvpn revoke` would fail while a monitor asks: the queue of a unix socket is short."""
    poll = Poll()
    control = Control(tmp_path, poll, answered)
    got: list[dict[str, Any]] = []
    askers = [threading.Thread(target=lambda: got.append(ask(tmp_path / NAME, {"order": "short"}))) for _ in range(3 * BACKLOG)]
    for asker in askers:
        asker.start()
    while any(asker.is_alive() for asker in askers):
        poll.turn(TURN_NS)
    control.close()
    poll.close()
    assert got == [{"heard": {"order": "short"}}] * len(askers)


@pytest.mark.parametrize("request_line", [b"garbage\n", b"[1]\n", b""])
def test_what_is_no_order_is_not_obeyed(tmp_path: Path, request_line: bytes) -> None:
    """A stray program at the socket would end the service."""
    with serving(tmp_path) as path:
        with connected(path) as stray:
            stray.sendall(request_line)
            stray.shutdown(socket.SHUT_WR)
            said = stray.recv(1_000)
        assert said in {b"", b'{"error":"a request is one JSON object"}\n'}
        assert ask(path, {"order": "short"}) == {"heard": {"order": "short"}}


def test_a_place_where_no_socket_can_be_is_named(tmp_path: Path) -> None:
    """An operator would read "None" where the reason should be, or see a traceback."""
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    with pytest.raises(Unavailable, match="path too long; choose another state directory"):
        Control(deep, Poll(), answered)
    (tmp_path / NAME).mkdir()
    with pytest.raises(Unavailable, match=r"(?i)is a directory; choose another state directory"):
        Control(tmp_path, Poll(), answered)
