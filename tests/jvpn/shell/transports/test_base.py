"""Addresses in one form, servers on the address that was asked for, and the one wait."""

import errno
import os
import socket

import pytest

from core.values import Endpoint
from jvpn.shell.errors import Unavailable
from jvpn.shell.transports.base import MAPPED, Poll, bound_socket, covers, endpoint, from_sockaddr, is_ipv4, sockaddr

ANY4, ANY6 = "0.0.0.0", "::"  # noqa: S104 - the any-address is what is tested


@pytest.mark.parametrize(
    ("host", "raw"), [("192.0.2.1", MAPPED + bytes([192, 0, 2, 1])), ("2001:db8::1", bytes.fromhex("20010db8") + bytes(11) + b"\1")]
)
def test_addresses_have_one_form(host: str, raw: bytes) -> None:
    """Two forms of one address would be two paths: a session would jump without having moved."""
    there = endpoint(host, 4_500)
    assert there == Endpoint(raw, 4_500)
    assert sockaddr(there) == (host, 4_500)
    assert from_sockaddr(sockaddr(there)) == there
    assert is_ipv4(there) == ("." in host)


def test_a_dual_stack_socket_reports_the_same_form() -> None:
    """A client would be another one to a gateway on `::` than to one on `0.0.0.0`."""
    assert from_sockaddr(("::ffff:192.0.2.1", 1, 0, 0)) == endpoint("192.0.2.1", 1)


@pytest.mark.parametrize("host", ["", "localhost", "192.0.2", "192.0.2.1.5", "fe80::1%lo", "[::1]", "::g", "192.0.2.1 "])
def test_what_is_no_address_is_refused(host: str) -> None:
    """A name that is resolved here would be a question to the network at a moment that nobody chose."""
    with pytest.raises(ValueError, match="not a numeric"):
        endpoint(host, 1)


@pytest.mark.parametrize(
    ("bound", "local", "yes"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        (ANY4, "192.0.2.2", True),
        (ANY4, "2001:db8::1", False),
        (ANY6, "192.0.2.2", True),
        (ANY6, "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::2", False),
    ],
)
def test_which_socket_has_which_address(bound: str, local: str, yes: bool) -> None:
    """Of two listening sockets the answer would leave from the wrong one."""
    assert covers(endpoint(bound, 1), endpoint(local, 1)) is yes
    assert not covers(endpoint(bound, 2), endpoint(local, 1))


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")])
def test_a_taken_port_is_a_precise_error(kind: socket.SocketKind, protocol: str) -> None:
    """An operator who starts the gateway twice must read what is taken and what to do, not a traceback or a name from C."""
    with bound_socket(kind, endpoint("127.0.0.1", 0)) as first:
        if kind == socket.SOCK_STREAM:
            first.listen()  # SO_REUSEADDR lets two that do not listen share a port
        port = first.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            bound_socket(kind, endpoint("127.0.0.1", port))
    assert str(refused.value) == (
        f"cannot listen for {protocol} at 127.0.0.1:{port}: Address already in use: another program has this port: "
        "end that one, or choose another port"
    )


@pytest.mark.parametrize(("host", "shown"), [("192.0.2.1", "192.0.2.1:7"), ("2001:db8::1", "[2001:db8::1]:7")])
def test_a_foreign_address_is_a_precise_error(host: str, shown: str) -> None:
    """The same for an address that this machine does not have: the fault is the configuration's."""
    with pytest.raises(Unavailable) as refused:
        bound_socket(socket.SOCK_STREAM, endpoint(host, 7))
    assert str(refused.value).startswith(f"cannot listen for TCP at {shown}: ")
    assert str(refused.value).endswith("the configuration names an address that this machine does not have (yet)")


@pytest.mark.parametrize(
    ("call", "number", "whose"),
    [
        ("bind", errno.EACCES, "this process may not"),
        ("__init__", errno.EAFNOSUPPORT, "no IPv6"),
        ("bind", errno.EIO, "the kernel refuses"),
    ],
)
def test_what_this_machine_forbids_is_a_precise_error(call: str, number: int, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no capability, or no IPv6, would be told to choose another port."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", type("Refusing", (socket.socket,), {call: refuse}))
    with pytest.raises(Unavailable, match=rf"UDP at \[::1\]:53: {os.strerror(number)}: .*{whose}"):
        bound_socket(socket.SOCK_DGRAM, endpoint("::1", 53))


@pytest.fixture
def poll() -> Poll:
    """Return a poll."""
    return Poll()


def test_a_call_may_close_what_is_also_ready(poll: Poll) -> None:
    """The second descriptor of a turn would be reported to somebody who has closed it."""
    fds = [os.eventfd(1), os.eventfd(1)]
    seen: list[int] = []

    def ready(fd: int) -> None:
        seen.append(fd)
        for other in fds:
            watcher.forget(other)

    watcher = poll.watcher(ready)
    for fd in fds:
        watcher.watch(fd)
    assert poll.turn(0) == 2
    assert len(seen) == 1
    assert poll.turn(0) == 0
    poll.close()
    for fd in fds:
        os.close(fd)


def test_writable_is_reported_only_when_asked(poll: Poll) -> None:
    """A poll that always reports a writable socket never sleeps."""
    near, far = socket.socketpair()
    seen: list[int] = []
    watcher = poll.watcher(seen.append)
    with near, far:
        watcher.watch(near.fileno())
        assert poll.turn(0) == 0
        watcher.watch(near.fileno(), write=True)
        assert poll.turn(0) == 1
        watcher.watch(near.fileno())
        assert poll.turn(0) == 0
        far.send(b"x")
        assert poll.turn(None) == 1
        watcher.forget(near.fileno())
        watcher.forget(near.fileno())
    assert len(seen) == 2
    poll.close()


def test_a_turn_does_not_end_before_its_time(poll: Poll) -> None:
    """A wait that is rounded down would spin through the last millisecond before each deadline."""
    asked: list[float] = []

    class Epoll:
        def poll(self, timeout: float, _: int) -> list[tuple[int, int]]:
            asked.append(timeout)
            return []

        def close(self) -> None:
            pass

    poll._epoll.close()
    poll._epoll = Epoll()  # type: ignore[assignment]  # a stand-in that only notes the timeout
    for timeout in (None, -5, 0, 1, 1_000_000, 1_000_001):
        poll.turn(timeout)
    assert asked == [-1, 0, 0, 0.001, 0.001, 0.002]
