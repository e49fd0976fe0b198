"""The threat model: each threat has what stands against it, a case that tries it, and what that leaves; and all of it exists."""

import ast
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from audit.verdict import Verdict
from audit.vocabulary import vocabulary
from observability.detections.load import load as load_rules
from tests.support import ROOT

FOLDER = ROOT / "threat-model"
SECTIONS = ("ATTACK", "EXPECTED REFUSAL", "EXPECTED EVIDENCE")
TITLE = re.compile(r"^[^\n]+ \((T-\d\d)\)\.$", re.MULTILINE)
CLAUSE = re.compile(r"\[((?:GI|CI|KI|[HRFIMKWDGCAO])-\d+)\]")


@cache
def load(name: str) -> dict[str, Any]:
    """Return one of the two sources."""
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


def threats() -> list[dict[str, Any]]:
    """Return all threats."""
    return list(load("threats.toml")["threat"])


def ids(section: str) -> set[str]:
    """Return the ids of one section of the model."""
    found = [each["id"] for each in load("model.toml")[section]]
    assert len(found) == len(set(found)), section
    return set(found)


def case(path: Path) -> tuple[str, str, list[str]]:
    """Return the threat's id, the text and the expected evidence of an abuse case, as its docstring says."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title = TITLE.match(doc)
    assert title, f"{path.name}: the first line names the threat"
    places = [doc.index(f"\n{section}\n") for section in SECTIONS]
    assert places == sorted(places), path.name
    evidence = [line.strip() for line in doc[places[2] :].splitlines()[2:] if line.strip()]
    return title[1], doc, evidence


ABUSE = sorted((ROOT / "tests" / "abuse").glob("test_a*.py"))
THREATS = [pytest.param(threat, id=threat["id"]) for threat in threats()]


@pytest.mark.parametrize("name", ["model.toml", "threats.toml"])
def test_the_sources_are_valid(name: str) -> None:
    """A threat without a mitigation, or with a misspelt field, would pass for one that is dealt with."""
    schema = orjson.loads((ROOT / "schemas" / "threat-model.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(load(name))


def test_the_schema_refuses() -> None:
    """The check above would prove nothing."""
    schema = orjson.loads((ROOT / "schemas" / "threat-model.schema.json").read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    good = threats()[0]
    assert validator.is_valid({"threat": [good]})
    changes: list[dict[str, object]] = [
        {"mitigation": []},
        {"abuse": "tests/abuse/none"},
        {"expected": []},
        {"stride": ["X"]},
        {"remains": ""},
        {"detections": []},
        {"undetected": "why, where it is detected?"},
        {"more": 1},
    ]
    for spoiled in changes:
        assert not validator.is_valid({"threat": [good | spoiled]}), spoiled


def test_the_model_hangs_together() -> None:
    """A flow would begin nowhere, or cross a boundary that nobody drew."""
    model = load("model.toml")
    elements = ids("element")
    assert {each["zone"] for each in model["element"]} == ids("zone")
    assert {end for flow in model["flow"] for end in (flow["from"], flow["to"])} == elements
    assert {flow["boundary"] for flow in model["flow"]} == ids("boundary")
    assert ids("flow")
    paths = [each["code"] for section in ("element", "flow") for each in model[section] if "code" in each]
    assert not [path for path in paths if not (ROOT / path).is_file()]
    assert not [each["id"] for each in model["element"] if (each["kind"] == "process" and "code" not in each)]


def test_who_and_what_is_named_is_threatened() -> None:
    """An attacker or an asset would stand in the model and nothing be thought through for it; or a threat be of nobody."""
    assert {threat["actor"] for threat in threats()} == ids("actor")
    assert {asset for threat in threats() for asset in threat["assets"]} == ids("asset")
    assert {threat["boundary"] for threat in threats()} <= ids("boundary")


def test_threats_and_abuse_cases_are_one_to_one() -> None:
    """A threat would be without its attempt, or an attempt belong to nothing."""
    numbers = Counter(threat["id"] for threat in threats())
    assert max(numbers.values()) == 1
    assert {case(path)[0]: str(path.relative_to(ROOT)) for path in ABUSE} == {threat["id"]: threat["abuse"] for threat in threats()}
    assert [path.name[6:8] for path in ABUSE] == sorted(each["id"][2:] for each in threats())


@pytest.mark.parametrize("threat", THREATS)
def test_what_stands_against_it_exists(threat: dict[str, Any]) -> None:
    """The model would promise what nothing does."""
    defined = "".join(path.read_text() for path in (ROOT / "docs" / "spec").glob("*.md"))
    assert not [clause for clause in threat["mitigation"] if f"**{clause}** " not in defined]
    assert not [path for path in threat["code"] if not (ROOT / path).is_file()]


def test_what_detects_it_exists() -> None:
    """An analyst would wait for an alert of a rule that is not there. What fires, the abuse cases judge themselves."""
    known = load_rules().named()
    assert not {name for threat in threats() for name in threat["detections"] if name not in known or not known[name].alerts}


@pytest.mark.parametrize("threat", THREATS)
def test_the_case_says_what_the_model_says(threat: dict[str, Any]) -> None:
    """The reader of the one would learn something else than the reader of the other."""
    _, doc, evidence = case(ROOT / threat["abuse"])
    assert evidence == threat["expected"]
    assert set(CLAUSE.findall(doc)) & set(threat["mitigation"])


@pytest.mark.parametrize("threat", THREATS)
def test_what_it_leaves_is_registered_and_asserted(threat: dict[str, Any]) -> None:
    """An operator would wait for an event that never comes; or a case would expect what it never looks at."""
    tree = ast.parse((ROOT / threat["abuse"]).read_text(encoding="utf-8"))
    looked_at = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    looked_at |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for line in threat["expected"]:
        if line.startswith("verdict "):
            assert line.split()[1] in Verdict.__members__
            assert line.split()[1] in looked_at, line
        elif line.startswith("status.json: "):
            assert set(line.removeprefix("status.json: ").split(", ")) <= looked_at, line
        elif not line.startswith("none: "):
            event, reason = line.split(" / ")
            assert reason in vocabulary().kinds[event].reasons, line
            assert reason in looked_at, line
