"""The reference documents are what the schemas and the commands say today."""

import re
from pathlib import Path

import pytest

from jvpn.shell.config import load_client, load_gateway, load_shipper
from jvpn.shell.outward import load_output
from jvpn.shell.transports.base import endpoint
from lab import docgen, reference
from observability.metrics import RULES, table


def test_the_documents_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader would be told of keys or options that are not there (make them again: python -m lab.reference)."""
    assert reference.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_document_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check would be one that cannot fail."""
    monkeypatch.setattr(docgen, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "docs")
    assert reference.main(["--check"]) == 1
    stale = [f"stale: docs/{name}.md" for name in ("config", "cli", "projections", "detections", "metrics")]
    assert capsys.readouterr().out.splitlines() == stale
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "docs" / "cli.md").write_text("old")
    assert reference.main(["--check"]) == 1


@pytest.mark.parametrize("name", ["gateway", "client", "shipper", "output"])
def test_the_least_that_is_shown_is_enough(tmp_path: Path, name: str) -> None:
    """The first file that a reader copies would be refused."""
    text = (reference.FOLDER / "config.md").read_text()
    shown = re.search(rf"## {name}\.toml\n.*?```toml\n(.*?)```", text, re.DOTALL)
    assert shown
    path = tmp_path / "file.toml"
    path.write_text(shown[1])
    loaded = {
        "gateway": load_gateway,
        "client": lambda path: load_client(path, lambda _host, port: endpoint("192.0.2.1", port)),
        "shipper": load_shipper,
        "output": load_output,
    }[name](path)
    assert loaded


def test_every_metric_and_alert_is_explained() -> None:
    """Somebody woken by an alert would look for it, and not find what it asks for."""
    (text,) = [text for path, text in reference.artefacts() if path.name == "metrics.md"]
    assert not [row.name for row in table() if f"| `{row.name}` |" not in text]
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert re.findall(r"^\| (Jvpn\w+) \| (?:info|warning|critical) \| `[^`]+`(?:, for \w+)? \|$", text, re.MULTILINE) == alerts
