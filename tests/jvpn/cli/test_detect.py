"""`jvpn detect`: what it finds, how it says so, and whose fault it is when it cannot."""

import re
from pathlib import Path

import pytest

from audit.files import segments_in
from core.reasons import Event, Reason
from tests.jvpn.cli.calling import Jvpn
from tests.observability.detections import writing
from tests.observability.synthetic import Scribe, full_fact


def a_log(folder: Path, *pairs: tuple[Event, Reason]) -> Path:
    """Write a log with events of these pairs, sound and closed."""
    scribe = Scribe(folder)
    fields = frozenset({"session", "device", "count", "peer"})
    scribe.write(full_fact(event, reason, serial, fields, "gateway") for serial, (event, reason) in enumerate(pairs, 1))
    scribe.close()
    return folder


@pytest.fixture
def attacked(tmp_path: Path) -> Path:
    """Return a log in which one thing stands that must not."""
    return a_log(tmp_path / "log", (Event.SESSION_REFUSED, Reason.REATTACH_BAD_PROOF), (Event.SESSION_REFUSED, Reason.COOLDOWN))


def test_an_attack_is_told(jvpn: Jvpn, attacked: Path) -> None:
    """An auditor without a SIEM would have to read all events to find the one that matters."""
    said = jvpn("detect", "--log", attacked, "--level", "high")
    assert said.status == 1
    assert f"{attacked}: VERIFIED" in said.out
    assert re.search(r"2026-09-21T14:13:20\.010000Z +high +reattach-key-not-proven +[0-9a-f]{16} +[0-9a-f]{16} +1\n", said.out)
    assert "  reattach-key-not-proven (high, 1): A session's chain without its device key. Close the session" in said.out
    assert "COOLDOWN" not in said.out


def test_it_is_told_to_programs(jvpn: Jvpn, attacked: Path) -> None:
    """A script could not tell what was found from how it is shown."""
    said = jvpn("detect", "--log", attacked, "--json").json
    assert [alert["name"] for alert in said["alerts"]] == ["audit-begun-anew", "reattach-key-not-proven", "audit-stopped"]
    assert said["findings"] == []
    assert [log["verdict"] for log in said["logs"]] == ["VERIFIED"]


def test_nothing_is_nothing(jvpn: Jvpn, tmp_path: Path) -> None:
    """A quiet log would end a nightly job with an alarm."""
    said = jvpn("detect", "--log", a_log(tmp_path / "log", (Event.SESSION_REFUSED, Reason.COOLDOWN)), "--level", "high")
    assert (said.status, said.out.splitlines()[-1]) == (0, "nothing was found")


def test_a_log_that_was_changed_is_an_attack(jvpn: Jvpn, attacked: Path) -> None:
    """Who changes the log so that nothing stands in it would be told to have done nothing."""
    (segment,) = segments_in(attacked)
    segment.write_bytes(segment.read_bytes().replace(b"REATTACH_BAD_PROOF", b"REATTACH_MAC_WRONG", 1))
    said = jvpn("detect", "--log", attacked, "--level", "critical", "--json")
    assert said.status == 1
    assert [alert["name"] for alert in said.json["alerts"]] == ["log-altered"]
    assert [found["finding"] for found in said.json["findings"]] == ["HASH_WRONG"]
    segment.write_bytes(b"{\n" + segment.read_bytes())
    said = jvpn("detect", "--log", attacked)
    assert said.status == 1
    assert "1 lines are no valid event and were not looked at" in said.err


def test_two_logs_are_one_story(jvpn: Jvpn, tmp_path: Path) -> None:
    """An attack that is spread over two gateways would be seen at neither."""
    writing.rule(tmp_path, "refused", "event_type: SESSION_REFUSED", level="informational")
    writing.correlation(tmp_path, "twice", rules="refused", group="event_type", condition="condition: {gte: 2}")
    one, two = (a_log(tmp_path / name / "log", (Event.SESSION_REFUSED, Reason.COOLDOWN)) for name in ("one", "two"))
    assert jvpn("detect", "--log", one, "--rules", tmp_path).status == 0
    said = jvpn("detect", "--log", one, "--log", two, "--rules", tmp_path, "--json")
    assert [(alert["name"], len(alert["events"])) for alert in said.json["alerts"]] == [("twice", 2)]


def test_many_alerts_are_cut_and_counted(jvpn: Jvpn, tmp_path: Path) -> None:
    """A flood would push what matters off the screen."""
    log = a_log(tmp_path / "log", *[(Event.SESSION_REFUSED, Reason.SWITCH_LIMIT)] * 60)
    said = jvpn("detect", "--log", log)
    assert said.out.count("  switch-limit-reached  ") == 49
    assert "... and 12 more: --json shows all" in said.out
    assert "switch-limit-reached (medium, 60)" in said.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "--log: needed: whose log?"),
        (("--log", "missing"), "missing: No such file or directory"),
        (("--log", "."), ".: holds no segment of an audit log"),
        (("--log", "log", "--level", "worst"), "'worst' is none of low, medium, high, critical"),
        (("--log", "log", "--rules", "."), "no .yml in rules/ or correlations/"),
        (("--log", "log", "--policy", "none"), "none: cannot be read"),
        (("rules", "--rules", "nowhere"), "no .yml in rules/ or correlations/"),
    ],
)
def test_what_is_used_wrongly(jvpn: Jvpn, attacked: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str) -> None:
    """A typing error would look like a quiet night."""
    monkeypatch.chdir(attacked.parent)
    said = jvpn("detect", *words)
    assert said.status == 2
    assert why in said.err
    assert said.out == ""


def test_a_rule_that_is_wrong_names_its_file(jvpn: Jvpn, attacked: Path, tmp_path: Path) -> None:
    """Whoever writes rules would look for the mistake in sixty files."""
    path = writing.rule(tmp_path, selection="event_type: SESSION*")
    said = jvpn("detect", "--log", attacked, "--rules", tmp_path)
    assert said.status == 2
    assert f"{path}: detection: event_type" in said.err


def test_the_rules_are_listed(jvpn: Jvpn) -> None:
    """Nobody would know what is looked for."""
    said = jvpn("detect", "rules")
    assert said.status == 0
    assert re.search(r"^critical +log-altered +The log is not the one that was written +T1565\.001$", said.out, re.MULTILINE)
    listed = jvpn("detect", "rules", "--json").json
    assert len(listed) == len(said.out.splitlines()) - 1
    assert all(each["response"] and each["falsepositives"] for each in listed)
