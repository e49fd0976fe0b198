"""`ship` against a cluster of one thread: what arrives, what it answers, and which fault has which status."""

from pathlib import Path

import pytest

from tests.jvpn.cli.calling import Jvpn
from tests.observability.stub import Stub
from tests.observability.synthetic import write_everything


def configured(folder: Path, url: str, more: str = "") -> Path:
    """Write a shipper's configuration."""
    path = folder / "shipper.toml"
    path.write_text(f'state = "ship"\naudit.dir = "audit"\nlog.level = "critical"\ncluster.url = "{url}"\ncluster.request_s = 1\n{more}')
    return path


def test_a_log_arrives(jvpn: Jvpn, tmp_path: Path) -> None:
    """A SIEM engineer would follow the guide, and nothing would arrive."""
    written = write_everything(tmp_path / "audit", "gateway")
    with Stub() as stub:
        config = configured(tmp_path, stub.url, "batch.events = 7\n")
        said = jvpn("ship", "--config", config, "--once", "--json")
        assert said.status == 0
        assert (said.json["read"], said.json["created"], said.json["quarantined"]) == (written, written, 0)
        again = jvpn("ship", "--config", config, "--once")
    assert again.out.startswith(f"read {written}, created {written}, ")


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("http://user:pass@127.0.0.1:1", "", "url: no user or password here, others can see it; use a credentials file"),
        ("https://127.0.0.1:1", "", "https needs a CA file"),
        ("ftp://x", "", "is not of the form http(s)://host[:port][/prefix]"),
        ("http://127.0.0.1:1", 'cluster.credentials_file = "absent"\n', "No such file"),
    ],
)
def test_settings_that_cannot_work(jvpn: Jvpn, tmp_path: Path, url: str, more: str, said: str) -> None:
    """The shipper would wait for ever for a cluster that its configuration can never reach, or show a password."""
    done = jvpn("ship", "--config", configured(tmp_path, url, more), "--once")
    assert done.status == 2
    assert said in done.err
    assert "pass@" not in done.err


def test_another_log_under_the_same_state(jvpn: Jvpn, tmp_path: Path) -> None:
    """Events of two logs would be mixed up under one cursor, and some never sent."""
    write_everything(tmp_path / "audit", "gateway")
    with Stub() as stub:
        config = configured(tmp_path, stub.url)
        assert jvpn("ship", "--config", config, "--once").status == 0
        write_everything(tmp_path / "other", "client")
        config.write_text(config.read_text().replace('"audit"', '"other"'))
        done = jvpn("ship", "--config", config, "--once")
    assert done.status == 1
    assert f"{tmp_path / 'other'}" in done.err
