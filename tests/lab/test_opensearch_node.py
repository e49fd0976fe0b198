"""A node is started, hurt and ended as the tests of the audit pipeline need it, and none is left behind."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab import opensearch_node as module
from lab.opensearch_node import Node, NodeError
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import ROOT, requires

# Stands in for `java`: reads the configuration that the node would read, and does what the settings beginning with `fake.` say.
JAVA = """#!{python} -IS
import http.server, json, pathlib, signal, sys, time
settings = json.loads(pathlib.Path("config/opensearch.yml").read_text())
if "fake.exit" in settings:
    print("the cause of it", flush=True)
    sys.exit(settings["fake.exit"])
signal.signal(signal.SIGTERM, signal.SIG_IGN if "fake.deaf" in settings else signal.SIG_DFL)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(settings.get("fake.health", 200))
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", settings["http.port"]), Answer)
time.sleep(settings.get("fake.slow", 0))
pathlib.Path("logs/http.ports").write_text(f"127.0.0.1:{{server.server_port}}\\n")
server.serve_forever()
"""
OWNER = """
import pathlib, sys, time
from lab.opensearch_node import Node
node = Node(pathlib.Path("."), directory=pathlib.Path({directory!r}), java=pathlib.Path({java!r}))
node.start()
print(node._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """The program that stands in for `java`."""
    path = tmp_path / "java"
    path.write_text(JAVA.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture
def twin(tmp_path: Path, java: Path) -> Iterator[Callable[..., Node]]:
    """Make nodes whose program is the stand-in; all are ended."""
    made: list[Node] = []

    def make(**settings: object) -> Node:
        made.append(Node(tmp_path, directory=tmp_path / f"node{len(made)}", java=java, settings=settings))
        return made[-1]

    yield make
    for node in made:
        node.kill()


def ask(url: str, method: str, path: str, body: object = None, seconds: float = 60) -> tuple[int, Any]:
    """Send one request (a list is sent as lines of JSON); return status and answer."""
    lines = "".join(json.dumps(line) + "\n" for line in (body if isinstance(body, list) else [body] if body else []))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=seconds)
    try:
        connection.request(
            method, path, lines or None, {"Content-Type": "application/x-ndjson" if isinstance(body, list) else "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()


def ended(pidfd: int) -> bool:
    """Whether the process ends; a real one needs milliseconds."""
    return bool(select.select([pidfd], [], [], 30)[0])


def test_exit_before_ready_fails_at_once_with_the_console(twin: Callable[..., Node]) -> None:
    """A wrong setting would cost three minutes, and say nothing about its cause."""
    node = twin(**{"fake.exit": 3})
    with pytest.raises(NodeError, match=r"exit code 3 before it was ready:\nthe cause of it$"):
        node.start()
    assert not node.running


def test_not_ready_in_time_leaves_no_process(twin: Callable[..., Node]) -> None:
    """A node that hangs at its start would be left behind by each run."""
    node = twin(**{"fake.health": 408})
    with pytest.raises(NodeError, match=r"not ready after 0 s"):
        node.start(0)
    assert not node.running


def test_own_directory_is_temporary(tmp_path: Path, java: Path) -> None:
    """Each run, and each failed start, would leave its data in the machine's temporary directory."""
    with Node(tmp_path, java=java) as node:
        directory = node.directory
        assert (directory / "logs" / "console.log").exists()
    assert not directory.exists()
    failing = Node(tmp_path, java=java, settings={"fake.exit": 1})
    with pytest.raises(NodeError), failing:
        pass
    assert not failing.directory.exists()


def test_stop_is_bounded_when_sigterm_is_ignored(twin: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not listen would hang the end of a test run."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    node = twin(**{"fake.deaf": True})
    node.start()
    node.stop()
    assert not node.running


def test_stop_ends_a_paused_node_in_order(twin: Callable[..., Node]) -> None:
    """A test that fails while the node hangs would end it as a crash does, with the time-out on top."""
    node = twin()
    node.start()
    pidfd = os.pidfd_open(node._require_running().pid)
    node.pause()
    node.stop()
    assert ended(pidfd)
    os.close(pidfd)


def test_restart_keeps_the_address_and_ignores_the_old_ports_file(twin: Callable[..., Node]) -> None:
    """A shipper under test would knock at a dead port, or at a foreign program, after a crash of the node."""
    node, foreign = twin(), twin()
    node.start()
    foreign.start()
    url = node.url
    node.kill()
    stale = node.directory / "logs" / "http.ports"
    assert stale.exists()
    stale.write_text(urlsplit(foreign.url).netloc)
    node.settings["fake.slow"] = 0.3
    node.restart()
    assert node.url == url
    assert ask(url, "GET", "/")[0] == 200


def test_second_start_is_refused(twin: Callable[..., Node]) -> None:
    """The first process would be forgotten and never ended."""
    node = twin()
    node.start()
    with pytest.raises(NodeError, match="runs already"):
        node.start()
    assert node.running


def test_paused_node_answers_nobody_until_resumed(twin: Callable[..., Node]) -> None:
    """A test of lost answers would get its answer."""
    node = twin()
    node.start()
    node.pause()
    with pytest.raises(TimeoutError):
        ask(node.url, "GET", "/", seconds=0.3)
    node.resume()
    assert ask(node.url, "GET", "/")[0] == 200


def test_calls_that_need_a_process_say_so(twin: Callable[..., Node]) -> None:
    """A signal would go to whoever has the process id now."""
    node = twin()
    with pytest.raises(NodeError, match="never started"):
        _ = node.url
    node.start()
    node.kill()
    for call in (node.pause, node.resume):
        with pytest.raises(NodeError, match="does not run"):
            call()
    node.kill()
    node.stop()


def test_node_ends_with_its_owner(tmp_path: Path, java: Path) -> None:
    """Each interrupted test run would leave half a gigabyte of memory behind."""
    code = OWNER.format(directory=str(tmp_path / "node"), java=str(java))
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    pidfd = None
    try:
        assert owner.stdout is not None
        pidfd = os.pidfd_open(int(owner.stdout.readline()))
        owner.kill()
        assert ended(pidfd)
    finally:
        owner.kill()
        owner.communicate()
        if pidfd is not None and not select.select([pidfd], [], [], 0)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def test_node_outlives_the_thread_that_started_it(twin: Callable[..., Node]) -> None:
    """A node restarted by a test's helper thread would vanish when that thread is done."""
    node = twin()
    thread = threading.Thread(target=node.start)
    thread.start()
    thread.join()
    assert not node.wait(0.5)
    assert ask(node.url, "GET", "/")[0] == 200


@requires("root")
def test_unreadable_home_is_named(tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root must become another user, Java would report a missing class instead of a closed directory."""
    monkeypatch.setattr(module, "_unprivileged", lambda: ((), 65534))
    tmp_path.chmod(0o700)
    with pytest.raises(NodeError, match=f"user 65534, .* cannot read {java}"):
        Node(tmp_path, directory=tmp_path / "node", java=java).start()


def test_command_names_an_unusable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Who gives a wrong path would get a traceback."""
    monkeypatch.setattr(module, "fetch", lambda: tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (tmp_path / "file").touch()
    assert module.main(["--directory", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == f"[Errno 20] Not a directory: '{tmp_path}/file/config'\n"


def template(name: str) -> dict[str, object]:
    """An index template of a data stream that refuses unknown fields."""
    mappings = {"dynamic": "strict", "properties": {"@timestamp": {"type": "date_nanos"}, "reason": {"type": "keyword"}}}
    settings = {"number_of_replicas": 0, "index.append_only.enabled": True}
    return {"index_patterns": [name], "data_stream": {}, "template": {"settings": settings, "mappings": mappings}}


class TestRealNode:
    """What the pipeline's tests take for granted, against the real engine."""

    pytestmark = NEEDS_NODE

    def test_strict_stream_survives_a_crash(self, opensearch_node: Node) -> None:
        """The tests of delivery would run against something that does not store, refuse or recover as OpenSearch does."""
        url, stream = opensearch_node.url, "node-crash"
        assert ask(url, "PUT", f"/_index_template/{stream}", template(stream))[0] == 200
        assert ask(url, "PUT", f"/_data_stream/{stream}")[0] == 200
        event: dict[str, object] = {"@timestamp": "2025-01-01T00:00:00.000000001Z", "reason": "x"}
        bulk: list[object] = [{"create": {"_id": "1"}}, event, {"create": {"_id": "1"}}, event, {"create": {"_id": "2"}}, {**event, "y": 1}]
        status, answer = ask(url, "POST", f"/{stream}/_bulk", bulk)
        assert (status, [item["create"]["status"] for item in answer["items"]]) == (200, [201, 409, 400])
        opensearch_node.kill()
        with pytest.raises(ConnectionRefusedError):
            ask(url, "GET", "/")
        opensearch_node.restart()
        assert opensearch_node.url == url
        ask(url, "POST", f"/{stream}/_refresh")
        assert ask(url, "GET", f"/{stream}/_count")[1]["count"] == 1

    def test_command_ends_on_interrupt(self) -> None:
        """Ctrl-C would leave a node behind, or show a traceback."""
        command = [sys.executable, "-m", "lab.opensearch_node", "--seconds", "300"]
        run = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert run.stdout is not None
            url = run.stdout.readline().strip()
            assert ask(url, "GET", "/")[1]["version"]["number"] == "3.8.0"
            run.send_signal(signal.SIGINT)
            assert run.communicate(timeout=60) == ("", "lab.opensearch_node: interrupted; stopped: the node\n")
            assert run.returncode == 130
            with pytest.raises(ConnectionRefusedError):
                ask(url, "GET", "/")
        finally:
            run.kill()
            run.communicate()
