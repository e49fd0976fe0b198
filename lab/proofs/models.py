"""The ProVerif models in docs/proofs/proverif: are text, log and table of results still about each other, and about this protocol?

ProVerif is not run here. What can be checked without it: a model's canonical form has the hash that stands in its log and in the table;
the log's results are the table's; and the wire formats and key derivations are those with which the models were compared by hand.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from core.wire.layout import SIZES, Type

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs" / "proofs" / "proverif"
VECTORS: Final = ROOT / "schemas" / "vectors"
TOKEN: Final = re.compile(r"[A-Za-z0-9_']+|==>|->|<>|<=|>=|&&|\|\||:=|\S")
RESULT: Final = re.compile(r"^RESULT (?!\().* (is true|is false|cannot be proved)\.$", re.MULTILINE)
ADVICE: Final = (
    "The messages or the key derivation are no longer those that the ProVerif models in docs/proofs/proverif describe. Compare each model "
    "with the clauses that its lines name; change the models and run ProVerif again where they differ (README.md there says how); put "
    "hashes, results and logs in place; only then put the new digest into results.toml, under [wire]."
)


@cache
def table() -> dict[str, Any]:
    """Return the table of results."""
    return tomllib.loads((FOLDER / "results.toml").read_text(encoding="utf-8"))


def without_comments(text: str) -> str:
    """Return a model's text with its comments, which may be nested, replaced by blanks."""
    depth, kept = 0, list[str]()
    for piece in re.split(r"(\(\*|\*\))", text):
        if piece == "(*":
            depth += 1
        elif piece == "*)" and depth:
            depth -= 1
        else:
            kept.append(re.sub(r"[^\n]", " ", piece) if depth else piece)
    return "".join(kept)


def canonical(text: str) -> str:
    """Return a model's tokens with one blank between them: what stays the same when comments and layout change."""
    return " ".join(TOKEN.findall(without_comments(text)))


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return sha256(text.encode()).hexdigest()


def faults_of_model(name: str, folder: Path = FOLDER) -> list[str]:
    """Return how a model, its log and its entry in the table contradict each other."""
    entry, faults = table()["models"][name], list[str]()
    text, log = ((folder / part).read_text(encoding="utf-8") for part in (f"{name}.pv", f"logs/{name}.txt"))
    found = digest(canonical(text))
    if found != entry["sha256"]:
        faults.append(f"{name}.pv is not the text that was proved: its canonical form has SHA-256 {found}")
    if f"sha256 of its canonical form: {entry['sha256']}\n" not in log:
        faults.append(f"logs/{name}.txt is about another text")
    if f"wall time: {entry['seconds']} s" not in log or f"tool: {table()['tool']}\n" not in log or "status: finished\n" not in log:
        faults.append(f"logs/{name}.txt names another tool, time or status")
    results, wanted = RESULT.findall(log), [query["result"] for query in entry["queries"]]
    if results != wanted:
        faults.append(f"logs/{name}.txt has the results {results}, results.toml {wanted}")
    asked = len(re.findall(r"\bquery\b", without_comments(text))) or 1  # an equivalence is asked without the word
    if asked != len(wanted):
        faults.append(f"{name}.pv asks {asked} queries, results.toml has {len(wanted)}")
    return faults


def wire() -> dict[str, str]:
    """Return a digest of each thing that the models describe: lengths, and the pinned vectors, which the tests hold the code to."""
    sizes = {Type(number).name: size for number, size in SIZES.items()}
    return {"lengths": _of(sizes), **{name: _of(value) for name, value in _vectors()}}


def faults_of_wire() -> list[str]:
    """Return what the models describe and the project no longer does, or does and they were never compared with."""
    pinned, found = table()["wire"], wire()
    changed = [
        f"{name} is now {found.get(name, 'gone')}" for name in sorted(pinned.keys() | found.keys()) if pinned.get(name) != found.get(name)
    ]
    return [f"{'; '.join(changed)}. {ADVICE}"] if changed else []


def _vectors() -> Iterator[tuple[str, Any]]:
    """Yield the vectors that say what handshake and reattach put on the wire and derive from it; descriptions are left out."""
    read = {name: json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8")) for name in ("ikhfs", "reattach", "chain", "wire")}
    yield "handshake", [read["ikhfs"]["inputs"], read["ikhfs"]["outputs"]]
    for number, case in enumerate(read["reattach"]["cases"], 1):
        yield f"reattach {number}", [case["inputs"], case["outputs"]]
    for name in ("attempts", "locators", "sealed_row", "kek"):
        yield f"chain: {name}", read["chain"][name]
    for name in ("frames", "payloads", "macs"):
        yield from ((f"{name}: {entry['name']}", entry["hex"]) for entry in read["wire"][name])
    yield from (
        (f"inner: {entry['name']}", entry["hex"]) for entry in read["wire"]["inner"] if entry["name"].startswith(("CONFIRM", "ACK"))
    )


def _of(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True))[:16]
