"""The threat model as a document: a data-flow diagram, who and what, the threats, and a count by class."""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SHAPES: Final = {"process": ('(["', '"])'), "store": ('[("', '")]'), "external": ('["', '"]')}
STRIDE: Final = {
    "S": "spoofing",
    "T": "tampering",
    "R": "repudiation",
    "I": "information disclosure",
    "D": "denial of service",
    "E": "elevation of privilege",
}


def load(folder: Path, name: str) -> dict[str, Any]:
    """Return model.toml or threats.toml as tomllib reads it."""
    return tomllib.loads((folder / name).read_text(encoding="utf-8"))


def parts(folder: Path) -> Mapping[str, str]:
    """Return the generated parts of the threat model's README."""
    model, threats = load(folder, "model.toml"), load(folder, "threats.toml")["threat"]
    return {
        "diagram": diagram(model),
        "assets": "\n".join(f"* **{each['name']}** ({each['id']}): {each['why']}" for each in model["asset"]),
        "actors": "\n".join(f"* **{each['name']}** ({each['id']}) can {each['can']}. Cannot {each['cannot']}." for each in model["actor"]),
        "flows": flows(model),
        "threats": threats_list(threats),
        "classes": classes(threats),
    }


def diagram(model: Mapping[str, Any]) -> str:
    """Return elements in their zones and the flows between them, as Mermaid."""
    lines = ["```mermaid", "flowchart LR"]
    inside: dict[str, list[str]] = defaultdict(list)
    for each in model["element"]:
        before, after = SHAPES[each["kind"]]
        inside[each["zone"]].append(f"        {each['id']}{before}{each['name']}{after}")
    for zone in model["zone"]:
        lines += [f'    subgraph {zone["id"]}["{zone["name"]}"]', *inside[zone["id"]], "    end"]
    lines += [f'    {each["from"]} -->|"{each["what"]}"| {each["to"]}' for each in model["flow"]]
    return "\n".join([*lines, "```"])


def flows(model: Mapping[str, Any]) -> str:
    """Return each flow with the boundary that it crosses and what protects it."""
    names = {each["id"]: each["name"] for each in [*model["element"], *model["boundary"]]}
    rows = []
    for each in model["flow"]:
        cells = (names[each["from"]], names[each["to"]], each["what"], names[each["boundary"]], each["protection"], f"`{each['code']}`")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(["| from | to | what | crosses | protected by | code |", "|---|---|---|---|---|---|", *rows])


def threats_list(threats: list[dict[str, Any]]) -> str:
    """Return each threat as a few lines."""
    blocks = []
    for each in threats:
        classes_ = ", ".join(STRIDE[letter] for letter in each["stride"])
        blocks += [
            f"### {each['id']} {each['title']}",
            "",
            f"*{each['actor']}, {each['boundary']}; {classes_}; {', '.join(each['assets'])}.* {each['wrong']}",
            "",
            f"* prevented by {', '.join(each['mitigation'])}: {', '.join(f'`{path}`' for path in each['code'])}",
            f"* shown by [{Path(each['abuse']).stem}](../{each['abuse']}); in the records: {'; '.join(each['expected'])}",
            f"* detected by {', '.join(each['detections'])}" if each["detections"] else f"* not detected: {each['undetected']}",
            f"* remains: {each['remains']}",
            "",
        ]
    return "\n".join(blocks)


def classes(threats: list[dict[str, Any]]) -> str:
    """Return how many threats there are of each class at each boundary."""
    counted = Counter((each["boundary"], letter) for each in threats for letter in each["stride"])
    boundaries = list(dict.fromkeys(each["boundary"] for each in threats))
    rows = [f"| {boundary} | {' | '.join(str(counted[boundary, letter] or '') for letter in STRIDE)} |" for boundary in boundaries]
    return "\n".join([f"| boundary | {' | '.join(STRIDE.values())} |", f"|{'---|' * 7}", *rows])
