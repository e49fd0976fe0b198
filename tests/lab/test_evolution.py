"""The rules by which the registry only adds: each is seen to refuse, with words that say what was taken back."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from lab import evolution
from lab.evolution import Version, main, narrowed, order, present, released, taken_back, version_of

OLDEST = released()[0]
Registry = dict[str, Any]


def found(change: Callable[[Registry], object]) -> list[str]:
    """What is taken back of the released versions by the registry of now after this change."""
    registry = deepcopy(dict(present().registry))
    change(registry)
    return list(taken_back(version_of(registry), released()))


def entry(registry: Registry, section: str, name: str) -> dict[str, Any]:
    """An entry by its name."""
    return next(each for each in registry[section] if each["name"] == name)


def test_nothing_is_taken_back_now() -> None:
    """A-17: logs that were written by a released version would not be read."""
    assert found(lambda _: None) == []
    assert main([]) == 0


@pytest.mark.parametrize("section", evolution.SECTIONS)
def test_a_name_goes(section: str) -> None:
    """A-17: an old event or message would be one of nobody knows what."""
    gone = OLDEST.registry[section][0]
    said = found(lambda registry: registry[section].pop(0) if section not in {"reason", "event"} else None)
    if section in {"reason", "event"}:  # others refer to these, so the schemas cannot be made without them
        now = {**present().registry, section: [each for each in present().registry[section] if each["name"] != gone["name"]]}
        said = list(taken_back(Version(now, present().schemas), released()))
    assert f"{section} {gone['name']} was released in 1.0.0, and code {gone['code']} is gone: names and codes are for ever" in said


def test_a_code_is_given_to_something_else() -> None:
    """A-17: what was recorded as one thing would be read as another."""
    said = found(lambda registry: entry(registry, "carrier", "UDP").update(name="PIGEON"))
    assert "carrier UDP was released in 1.0.0, and code 1 is called PIGEON now: names and codes are for ever" in said
    said = found(lambda registry: entry(registry, "reason", "COOLDOWN").update(code=999))
    assert said == [
        f"reason COOLDOWN has code 999, and had {entry(dict(OLDEST.registry), 'reason', 'COOLDOWN')['code']} in 1.0.0: codes are for ever"
    ]


NEEDED = ("session", "state", "binding", "transport")
CHANGES: list[tuple[str, str, str, object, str]] = [
    ("reason", "COOLDOWN", "severity", "critical", "reason COOLDOWN: severity is critical, and was"),
    ("reason", "COOLDOWN", "fault", "none", "reason COOLDOWN: fault is none, and was"),
    ("reason", "COOLDOWN", "family", "keys", "reason COOLDOWN: family is keys, and was"),
    ("reason", "COOLDOWN", "outcome", "success", "reason COOLDOWN: outcome is success, and was nothing in 1.0.0"),
    ("event", "SESSION_BORN", "class", "telemetry", "event SESSION_BORN: class is telemetry, and was evidence in 1.0.0"),
    ("event", "SESSION_BORN", "outcome", "failure", "event SESSION_BORN: outcome is failure, and was success in 1.0.0"),
    ("event", "SESSION_BORN", "role", "client", "event SESSION_BORN: role is client, and was gateway in 1.0.0: it may only become both"),
    ("event", "SESSION_BORN", "fields", [*NEEDED, "peer"], "SESSION_BORN has lost the field device of 1.0.0"),
    ("event", "SESSION_BORN", "required", [*NEEDED, "peer"], "must have peer now, and did not need it"),
    ("event", "SESSION_HEALTH", "measures", ["received_bytes"], "event SESSION_HEALTH: measures is ['received_bytes'], and was"),
    ("event", "PROCESS_STARTED", "measures", ["took_ms"], "PROCESS_STARTED: metrics is needed, as 1.0.0 has it"),
    ("event", "LOG_RESUMED", "reasons", ["LOG_CONTINUED"], "event LOG_RESUMED has lost the reason LOG_TAIL_TORN of 1.0.0"),
    ("event", "LOG_RESUMED", "reasons", ["LOG_CONTINUED"], "LOG_RESUMED.reason_code: LOG_TAIL_TORN is refused, as 1.0.0 has it"),
    ("cause", "REKEY", "voluntary", "yes", "cause REKEY: voluntary is yes, and was"),
    ("cause", "REKEY", "reason", "COOLDOWN", "cause REKEY: reason is COOLDOWN, and was REKEYED in 1.0.0"),
    ("status", "COOLDOWN", "reason", "SWITCH_LIMIT", "status COOLDOWN: reason is SWITCH_LIMIT, and was COOLDOWN in 1.0.0"),
    ("close", "REVOKED", "reason", "COOLDOWN", "close REVOKED: reason is COOLDOWN, and was"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "name", "key", "value", "said"), CHANGES)
def test_what_an_entry_says_changes(section: str, name: str, key: str, value: object, said: str) -> None:
    """A-17: an old event would be judged otherwise than when it was written, or be refused."""
    assert any(said in each for each in found(lambda registry: entry(registry, section, name).update({key: value})))


def test_what_is_added_is_allowed() -> None:
    """A-17: nobody could add a reason, a field or an event any more."""

    def more(registry: Registry) -> None:
        reason = {"code": 998, "name": "NEW_ONE", "family": "policy", "severity": "low", "fault": "none", "meaning": "New."}
        registry["reason"].append(reason)
        entry(registry, "event", "SESSION_BORN")["reasons"].append("NEW_ONE")
        entry(registry, "event", "SESSION_ENDED")["fields"].append("peer")
        entry(registry, "event", "SESSION_BORN")["required"].remove("transport")
        entry(registry, "event", "SESSION_MOVED")["role"] = "both"
        entry(registry, "reason", "COOLDOWN")["meaning"] = "In better words."

    assert found(more) == []


def test_the_number_of_the_version() -> None:
    """A-17: two registries would have one name, or a log be called older than what it holds."""
    last = released()[-1]
    said = found(lambda registry: registry["registry"].update(schema="jvp.audit/0.9.0"))
    assert f"the version 0.9.0 is older than {last.number}, which is released" in said
    assert any("[registry] before must name" in each for each in found(lambda registry: registry["registry"].update(before=[])))
    other = {**last.registry, "carrier": [*last.registry["carrier"], {"code": 4, "name": "PIGEON", "meaning": "RFC 1149."}]}
    said = list(taken_back(Version(other, last.schemas), [last]))
    assert f"{last.number} is released, and the registry is another one: raise the version's second number" in said
    assert list(taken_back(last, [last])) == []
    assert order("1.10.0") > order("1.9.0")


NARROWER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"type": "string"}, {"type": "integer"}, "it: the type is integer, not string"),
    ({"const": "a"}, {"enum": ["b"]}, "it: a is refused"),
    ({"enum": [1, 2]}, {"enum": [2, 3]}, "it: 1 is refused"),
    ({"type": "string"}, {"type": "string", "enum": ["a"]}, "it: what is none of a few values is refused"),
    ({"type": "string", "pattern": "^a$"}, {"type": "string", "pattern": "^b$"}, "it: the pattern is ^b$, not ^a$"),
    ({"maximum": 9}, {"maximum": 8}, "it: maximum is 8, not 9"),
    ({"minimum": 0}, {"minimum": 1}, "it: minimum is 1, not 0"),
    ({"maxLength": 9}, {"maxLength": 8}, "it: maxLength is 8, not 9"),
    ({}, {"minProperties": 1}, "it: minProperties is 1, not any"),
    ({"required": []}, {"required": ["a"]}, "it: a is needed"),
    ({"properties": {"a": {}}}, {"properties": {}}, "it: a is unknown"),
    ({"properties": {"a": {"maximum": 2}}}, {"properties": {"a": {"maximum": 1}}}, "it.a: maximum is 1, not 2"),
]


@pytest.mark.parametrize(("was", "now", "said"), NARROWER)
def test_a_schema_refuses_what_it_allowed(was: dict[str, Any], now: dict[str, Any], said: str) -> None:
    """A-17: the verifier would call a sound old log malformed."""
    assert list(narrowed("it", was, now)) == [said]
    assert list(narrowed("it", was, was)) == []


def test_a_field_changes_its_type_in_an_index() -> None:
    """A-17: indices of before and after could not be searched together."""
    was = deepcopy({name: dict(each) for name, each in OLDEST.schemas.items()})
    for schema in was.values():
        schema["properties"]["seq"] = {"type": "string"}
    said = list(taken_back(present(), [Version(OLDEST.registry, was)]))
    assert "the field seq of an index is long, and was keyword in 1.0.0" in said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of released versions with the oldest one."""
    (tmp_path / OLDEST.number).mkdir()
    for name in ("registry.toml", "events.json"):
        (tmp_path / OLDEST.number / name).write_bytes((evolution.RELEASED / OLDEST.number / name).read_bytes())
    monkeypatch.setattr(evolution, "RELEASED", tmp_path)
    monkeypatch.setattr(evolution, "released", lambda: released(tmp_path))
    return tmp_path


def test_a_release_keeps_the_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A-17: what was released would be compared with what is, and so with itself."""
    number = present().number
    assert main(["--release"]) == 0
    assert capsys.readouterr().out == f"released: schemas/released/{number}\n"
    assert (folder / number / "registry.toml").read_bytes() == evolution.REGISTRY.read_bytes()
    assert json.loads((folder / number / "events.json").read_text()) == present().schemas
    before = (folder / number / "events.json").read_bytes()
    assert main(["--release"]) == 0
    assert (folder / number / "events.json").read_bytes() == before


def test_a_version_that_takes_back_is_not_released(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A-17: once released it could never be mended."""
    now = present()
    monkeypatch.setattr(evolution, "present", lambda: Version({**now.registry, "carrier": []}, now.schemas))
    assert main(["--release"]) == 1
    assert "not released: carrier UDP was released in 1.0.0" in capsys.readouterr().err
    assert not (folder / now.number).exists()
