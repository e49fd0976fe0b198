"""What stands between shipper and node: each fault does what its name says, to bulk requests and to nothing else."""

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from lab.endure.proxy import LARGE, Proxy

BODY = b"".join(b'{"create":{"_id":"%d","_index":"i"}}\n{"n":%d}\n' % (number, number) for number in range(8))


class Node(ThreadingHTTPServer):
    """Keeps the ids that arrive, and answers 201 for each."""

    daemon_threads = True

    def __init__(self) -> None:
        self.kept: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers."""

    protocol_version = "HTTP/1.1"
    server: Node

    def do_POST(self) -> None:
        """Keep the ids, take all."""
        body = self.rfile.read(int(self.headers["content-length"]))
        ids = [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        self.server.kept += ids
        items = [{"create": {"_id": name, "status": 201, "result": "created"}} for name in ids]
        answer = json.dumps({"errors": False, "items": items}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Stay silent."""


@pytest.fixture
def node() -> Iterator[Node]:
    """A node of a few lines."""
    with Node() as node:
        thread = Thread(target=node.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield node
        node.shutdown()
        thread.join()


@pytest.fixture
def proxy(node: Node) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy(node.server_address[1]) as proxy:
        yield proxy


def ask(proxy: Proxy, path: str = "/_bulk", body: bytes = BODY) -> tuple[int, bytes] | None:
    """Send one request; None when there is no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "stored"),
    [
        ("", 200, 8), ("reset", None, 0), ("answer_lost", None, 8), ("half_answer", None, 8), ("garbage", 200, 8),
        ("too_many", 429, 0), ("unavailable", 503, 0), ("too_large", 200, 8),
    ],
)  # fmt: skip
def test_a_fault_is_what_it_says(node: Node, proxy: Proxy, fault: str, status: int | None, stored: int) -> None:
    """A schedule would be called carried through although nothing went wrong, or the opposite of it did."""
    proxy.fault = fault
    answer = ask(proxy)
    assert (answer[0] if answer else None) == status
    assert len(node.kept) == stored
    assert proxy.met[fault] == bool(fault)


@pytest.mark.parametrize(("fault", "status"), [("too_many_items", 429), ("refused_in_company", 400)])
def test_what_is_refused_in_part_is_stored_in_part(node: Node, proxy: Proxy, fault: str, status: int) -> None:
    """An event would be said to be refused and be stored, so that a shipper which never sends again looks right."""
    proxy.fault = fault
    answer = ask(proxy)
    assert answer is not None
    items: list[dict[str, Any]] = [item["create"] for item in json.loads(answer[1])["items"]]
    assert [item["_id"] for item in items] == [str(number) for number in range(8)]
    assert [item["_id"] for item in items if item["status"] == 201] == node.kept
    assert {item["status"] for item in items} == {201, status}


def test_a_body_that_is_too_large_is_refused_without_a_word(node: Node, proxy: Proxy) -> None:
    """The shipper's halving of batches would never be asked for."""
    proxy.fault = "too_large"
    assert ask(proxy, body=BODY + b'{"create":{"_id":"x","_index":"i"}}\n{"n":"' + b"x" * LARGE + b'"}\n') == (413, b"")
    assert node.kept == []


def test_other_requests_pass_and_nobody_listens_when_told_so(node: Node, proxy: Proxy) -> None:
    """What looks for doubles would fail with what stores, so that no double could ever happen."""
    proxy.fault = "reset"
    assert ask(proxy, "/i/_search") is not None
    proxy.refuse(on=True)
    assert ask(proxy, "/i/_search") is None
    proxy.refuse(on=False)
    assert ask(proxy) is not None
    assert len(node.kept) == 16
