"""Starts the fuzzer on a target in a process of its own, reads what it says, and keeps what it found."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
COMMITTED: Final = ROOT / "tests" / "fuzz" / "corpus"
WORKING: Final = ROOT / ".cache" / "fuzz"
LENGTH_MAX: Final = 2_048
SECONDS_OF_ONE_INPUT: Final = 20  # an input that takes longer is a finding
MEMORY_MB: Final = 1_024
LINE: Final = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
UNITS: Final = re.compile(r"stat::number_of_executed_units: (\d+)")
TARGETS: Final = ("parse", "parse_data", "inner", "records", "ack", "health", "segment", "locator", "row", "gateway", "client")
SHARES: Final = {"gateway": 4, "client": 2, "locator": 2, "row": 2}  # percent of all runs; the rest is divided among the parsers,
# which are also guided by the values they compare: the engines compare too many


class Missing(Exception):
    """The fuzzer is not installed, or cannot be."""


@dataclass
class Result:
    """What one target came to: inputs executed, seconds, covered edges and features, inputs kept, and the inputs that crashed it."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    crashes: list[str] = field(default_factory=list)
    said: str = ""


def available() -> str | None:
    """Return why there is no fuzzer here, or None when there is one."""
    if importlib.util.find_spec("atheris"):
        return None
    return (
        f"the package atheris is not installed; a wheel exists for CPython 3.11 to 3.13 on Linux x86_64, this is {sys.version.split()[0]}"
    )


def shares(runs: int) -> dict[str, int]:
    """Divide runs among the targets: cheap ones get more."""
    plain = [name for name in TARGETS if name not in SHARES]
    each = (100 - sum(SHARES.values())) / len(plain)
    return {name: -(-int(runs * SHARES.get(name, each)) // 100) for name in TARGETS}


def fuzz(  # noqa: PLR0913 - what a run of the fuzzer is, all by name
    target: str,
    *,
    runs: int = 0,
    seconds: int = 0,
    seed: int = 1,
    folder: Path,
    corpus: Path | None = None,
    module: str = "lab.fuzz.inside",
    tell: Callable[[Result], None] = lambda _result: None,
) -> Result:
    """Fuzz a target for so many inputs or seconds; new inputs go to `folder`, crashes beside it; raise Missing without a fuzzer."""
    if why := available():
        raise Missing(why)
    own, crashes = folder / target, folder / "crashes"
    for each in (own, crashes):
        each.mkdir(parents=True, exist_ok=True)
    bounds = [f"-runs={runs}"] if runs else [f"-max_total_time={seconds}"]
    options = [*bounds, f"-seed={seed}", f"-max_len={LENGTH_MAX}", f"-timeout={SECONDS_OF_ONE_INPUT}", f"-rss_limit_mb={MEMORY_MB}",
               "-len_control=10", f"-use_value_profile={int(target not in SHARES)}", "-print_final_stats=1",
               f"-artifact_prefix={crashes}/{target}-"]  # fmt: skip
    folders = [own, *([corpus / target] if corpus and (corpus / target).is_dir() else [])]
    command = [sys.executable, "-m", module, target, *options, *map(str, folders)]
    before, result, said = set(crashes.iterdir()), Result(target), list[str]()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        try:
            for line in process.stdout or ():
                said = [*said[-60:], line.rstrip()]
                read(line, result)
                tell(result)
        except BaseException:
            process.terminate()
            raise
    result.crashes = sorted(each.name for each in set(crashes.iterdir()) - before)
    result.said = "\n".join(said)
    if process.returncode and not result.crashes:
        raise RuntimeError(f"the fuzzer of {target} ended with {process.returncode}:\n{result.said}")
    return result


def read(line: str, result: Result) -> None:
    """Take over what one line of the fuzzer says."""
    if match := LINE.search(line):
        result.executions, result.edges, result.features, result.corpus = (int(match[number]) for number in (1, 3, 4, 5))
    elif match := UNITS.search(line):
        result.executions = int(match[1])


def inputs(folder: Path) -> Iterator[bytes]:
    """Yield the inputs in a folder, by name."""
    for path in sorted(folder.glob("*")):
        yield path.read_bytes()
