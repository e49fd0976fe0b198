"""The rules: promtool accepts them, each alert fires and has a near miss, and each asks for metrics that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jvpn.keys import limits
from observability.metrics import PLACE, RULES, sets, table
from tests.support import requires

TEXT = RULES.read_text(encoding="utf-8")
TESTS = (PLACE / "tests.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"^      - alert: (\w+)$", TEXT, re.MULTILINE)
METRIC = re.compile(r"(?<![:\w])jvpn_[a-z_]+\b(?![:-])")


def promtool(*words: str, at: Path = PLACE) -> subprocess.CompletedProcess[str]:
    """Run promtool in the folder of the rules."""
    return subprocess.run(["promtool", *words], cwd=at, capture_output=True, text=True, check=False, timeout=60)


def alert(name: str) -> str:
    """Return the text of one alert."""
    return TEXT.split(f"      - alert: {name}\n")[1].split("      - alert:")[0]


def case(name: str) -> str:
    """Return the text of the test of one alert."""
    return TESTS.split(f"  - name: {name}  #")[1].split("\n  - name:")[0]


@requires("prometheus")
def test_promtool_accepts_them_and_their_tests() -> None:
    """Prometheus would not start with the rules, or an alert stay silent when it matters, or cry when it does not."""
    checked = promtool("check", "rules", "rules.yml")
    assert checked.returncode == 0, checked.stderr
    assert f"{len(ALERTS) + TEXT.count('- record:')} rules found" in checked.stdout
    done = promtool("test", "rules", "tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@requires("prometheus")
def test_the_tests_of_the_rules_can_fail(tmp_path: Path) -> None:
    """A rule that was turned round would still pass."""
    shutil.copy(PLACE / "tests.yml", tmp_path)
    turned = TEXT.replace("jvpn_gateway_store_well == 0", "jvpn_gateway_store_well == 2").replace("waiting > 256", "waiting > 255")
    (tmp_path / "rules.yml").write_text(turned, encoding="utf-8")
    done = promtool("test", "rules", "tests.yml", at=tmp_path)
    assert done.returncode != 0
    assert {name for name in ALERTS if name in done.stdout + done.stderr} == {"JvpnStoreFailing", "JvpnEvidenceWaits"}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_what_to_do_and_is_tested_from_both_sides(name: str) -> None:
    """Somebody would be woken at night and not know why; or by something that is no trouble."""
    text = alert(name)
    assert re.search(r"labels: \{ severity: (info|warning|critical) \}", text)
    assert re.search(r'^ {10}summary: "\S.+"$', text, re.MULTILINE)
    assert re.search(r'^ {10}runbook: "\S.+[.?]"$', text, re.MULTILINE)
    assert 'instance="fires"' in case(name)
    assert 'instance="near"' in case(name)
    assert "exp_samples: [{ labels: '{instance=\"fires\"}', value: " in case(name)


def test_what_the_rules_ask_for_exists() -> None:
    """An alert would wait for a metric, or for the value of a label, that nobody tells."""
    rows = {row.name: row for row in table()}
    assert set(METRIC.findall(TEXT)) - rows.keys() == set()
    assert set(METRIC.findall(TESTS)) - rows.keys() == set()
    recorded = set(re.findall(r"record: (\S+)", TEXT))
    assert set(re.findall(r"\binstance\w*:[\w:]+", TEXT)) == recorded
    for name, chosen in re.findall(r"(jvpn_[a-z_]+)\{([^}]+)\}", TEXT + TESTS):
        labels = dict(rows[name].labels)
        for label, _, value in re.findall(r'(\w+)(=~|!=|=)"([^"]+)"', chosen):
            assert label == "instance" or labels[label] == "log" or set(value.split("|")) <= set(sets()[labels[label]]), (
                name,
                label,
                value,
            )


def test_documents_run_out_where_the_commands_say_soon() -> None:
    """`jvpn keys status` would call a document soon over that no alert tells of, or the other way round."""
    found = dict(re.findall(r'seconds\{document="(\w+)"\} < (\d+)', alert("JvpnDocumentRunsOut")))
    assert int(found["root"]) == limits.ROOT_SOON_S
    assert int(found["keyset"]) == limits.KEYSET_SOON_S
    assert int(found["revocations"]) < limits.REVOCATIONS_LIFE_S // limits.REVOCATIONS_SOON_PART
