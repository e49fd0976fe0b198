"""Runs what a document shows, so that no reader is the first to try it.

Each block of ```sh is run by bash in a scratch directory, block after block, and must end with status 0. A comment on the line before the
block says so where it is otherwise:

    <!-- ends with exit status 11 -->   the block has to fail in this way
    <!-- tested as: --check -->         each command is run with this option behind it
    <!-- tested as: make --dry-run -->  each command is a `make ...`; the target and its recipe must exist
    <!-- tested as: --help -->          a command that needs what a test has not, or runs for long: it and each option shown must be known
    <!-- with a cluster -->             passed over unless the caller has a cluster (tests/observability)

A block of ```python is run as a program, in the same way.
A block of any kind after <!-- file: NAME --> is written to that file. The lines ExecStart= of an ```ini block are tested as --help.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.observability.story import write_story
from tests.support import ROOT

BLOCK = re.compile(r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#]+)(?:#[^)]*)?\)")
JVPN = re.compile(r"^(?:\S*/python\S* -I -m )?(?:\S*/)?jvpn(?= )")
KINDS = {"sh", "python", "toml", "ini", "mermaid", "text"}
CLUSTER = "with a cluster"
GROUPS = (["audit"], ["keygen"], ["keys"], ["grafana"], ["siem"], ["witness"])
SECONDS = 60


class Block(NamedTuple):
    """One fenced block; `mark` is the comment before it, or empty."""

    mark: str
    kind: str
    text: str


class Wrong(AssertionError):
    """A document shows what does not work."""


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks; raise Wrong for one whose kind or comment is not known, as it would be passed over."""
    found = [Block(each["mark"] or "", each["kind"], each["text"]) for each in BLOCK.finditer(document)]
    if 2 * len(found) != len(re.findall(r"^\s*```", document, re.MULTILINE)):
        raise Wrong("a fence that is not closed, or is indented")
    for block in found:
        if block.kind not in KINDS or (
            block.mark and not re.match(rf"file: |ends with exit status \d+$|tested as: |{CLUSTER}$", block.mark)
        ):
            raise Wrong(f"nobody knows what to do with {block}")
    return found


def run(document: str, scratch: Path, *, cluster: bool = False) -> int:
    """Try every block in its order; return how many commands were run. Raise Wrong for the first that does not do what is shown.

    `cluster`: there is one, and the document names it.
    """
    return sum(_try(block, scratch) for block in blocks(document) if cluster or block.mark != CLUSTER)


def python(program: str, scratch: Path) -> str:
    """Run a program in a directory; return what it says. Raise Wrong when it fails."""
    (scratch / "shown.py").write_text(program, encoding="utf-8")
    return _bash(f"{shlex.quote(sys.executable)} -I shown.py", scratch, 0)


def as_after_a_demo(scratch: Path) -> None:
    """Put a gateway's log and a client's where `make demo` would leave them."""
    gateway, client = write_story(scratch / "told", sessions=2, minutes=1)
    ran = scratch / "demo-report" / "run"
    (ran / "alice" / "state").mkdir(parents=True)
    gateway.rename(ran / "gateway-audit")
    client.rename(ran / "alice" / "state" / "audit")


def left_behind(scratch: Path) -> set[str]:
    """Return what the document's commands put where a checkout has nothing that git ignores; `told` is of `as_after_a_demo`."""
    return {path.name for path in scratch.iterdir()} - {"demo-report", "told"}


def broken_links(document: Path) -> list[str]:
    """Return the links to files that are not there."""
    targets = [each["target"] for each in LINK.finditer(document.read_text(encoding="utf-8"))]
    return [target for target in targets if "://" not in target and not (document.parent / target).exists()]


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a block, one a line, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield shlex.join(words)


def _try(block: Block, scratch: Path) -> int:
    what, _, rest = block.mark.partition(": ")
    if what == "file":
        (scratch / rest).write_text(block.text, encoding="utf-8")
    if block.kind == "ini":
        services = re.findall(r"^ExecStart=(.*)$", block.text, re.MULTILINE)
        return sum(_known(service) for service in services)
    if block.kind == "python":
        python(block.text, scratch)
        return 1
    if block.kind != "sh":
        return 0
    shown = list(commands(block.text))
    if what == "tested as" and rest == "--help":
        return sum(_known(command) for command in shown)
    if what == "tested as" and rest == "make --dry-run":
        for command in shown:
            _bash(command.replace("make", "make --dry-run", 1), ROOT, 0)
    elif what == "tested as":
        for command in shown:
            _bash(f"{command} {rest}", scratch, 0)
    else:
        _bash(block.text, scratch, int(block.mark.rsplit(" ", 1)[1]) if block.mark.startswith("ends with") else 0)
    return len(shown)


def _known(command: str) -> int:
    """Find out by its help that a `jvpn` command exists, and every option that is shown."""
    if not JVPN.match(command):
        raise Wrong(f"only jvpn commands can be tested by their help: {command}")
    words = shlex.split(JVPN.sub("", command))
    name: list[str] = []
    for word in words[:2]:  # a command, or a group and its command
        if not re.fullmatch(r"[a-z]+", word) or not _bash(f"jvpn {shlex.join([*name, word])} --help", ROOT, None):
            break
        name.append(word)
        if name not in GROUPS:
            break
    if not name or name in GROUPS:
        raise Wrong(f"no such command: {command}")
    text = _bash(f"jvpn {shlex.join(name)} --help", ROOT, 0)
    if unknown := [word for word in words if word.startswith("--") and not re.search(rf"{word}\b", text)]:
        raise Wrong(f"{command}: {unknown} is not in its help")
    return 1


def _bash(script: str, directory: Path, status: int | None) -> str:
    """Run a script; return its output, which is empty when `status` is None and it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS, check=False)  # fmt: skip
    if status is None:
        return done.stdout if done.returncode == 0 else ""
    if done.returncode != status:
        raise Wrong(f"exit status {done.returncode} instead of {status}:\n{script}\n{done.stdout}{done.stderr}")
    return done.stdout
