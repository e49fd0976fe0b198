"""The README: everything that it shows is run, everything that it names is there, and it stays short."""

import re
from pathlib import Path

import pytest

from tests.meta.documents import Wrong, as_after_a_demo, broken_links, left_behind, run
from tests.support import ROOT

README = ROOT / "README.md"
LINES_MAX = 120


def test_every_command_works(tmp_path: Path) -> None:
    """The first thing that a newcomer types would fail, or leave a private key for the next `git add`."""
    as_after_a_demo(tmp_path)
    assert run(README.read_text(encoding="utf-8"), tmp_path) > 10
    assert not left_behind(tmp_path)


def test_every_link_leads_somewhere() -> None:
    """The reading order would end in front of a missing file."""
    assert not broken_links(README)


def test_the_layout_is_the_layout() -> None:
    """A reader would look for folders that are not there, or never learn of one that is."""
    told = set(re.findall(r"^\| `([a-z-]+)/` ", README.read_text(encoding="utf-8"), re.MULTILINE))
    there = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("[a-z]*/*") if path.is_file() or path.is_dir()}
    assert told <= there
    assert {"core", "audit", "observability", "jvpn", "lab", "schemas", "docs", "tests"} <= told


def test_the_two_commands_come_first_and_the_whole_is_short() -> None:
    """People who look for how to begin would not find it on the first screen."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    first = text[: text.index("```", text.index("```") + 3)]
    assert first.index("make demo") < first.index("make test")
    assert len(first.splitlines()) < 15


@pytest.mark.parametrize(
    "document",
    [
        "```sh\nfalse\n```\n",
        "```sh\ntrue\nfalse\ntrue\n```\n",
        "```sh\nfalse | true\n```\n",
        "<!-- ends with exit status 3 -->\n```sh\ntrue\n```\n",
        "<!-- tested as: --help -->\n```sh\njvpn nothing --config x\n```\n",
        "<!-- tested as: --help -->\n```sh\njvpn audit --json\n```\n",
        "<!-- tested as: --help -->\n```sh\njvpn status --colour red\n```\n",
        "<!-- tested as: --help -->\n```sh\nrm -r x\n```\n",
        "<!-- tested as: make --dry-run -->\n```sh\nmake coffee\n```\n",
        "<!-- not tested -->\n```sh\ntrue\n```\n",
        "```bash\nfalse\n```\n",
        "```sh\ntrue\n",
        "  ```sh\n  false\n  ```\n",
        "```ini\nExecStart=/opt/x/bin/python -I -m jvpn gatway --config x\n```\n",
    ],
)
def test_what_does_not_work_is_seen(document: str, tmp_path: Path) -> None:
    """The tests of the documents would pass whatever the documents show."""
    with pytest.raises(Wrong):
        run(document, tmp_path)


def test_what_works_is_counted(tmp_path: Path) -> None:
    """A document whose commands are all passed over would look tested."""
    document = (
        "<!-- file: a.txt -->\n```text\nhello\n```\n```sh\ngrep -q hello a.txt\ntrue  # nothing\n```\n"
        "<!-- tested as: --help -->\n```sh\njvpn audit verify DIR --json\njvpn status --config FILE\n```\n"
        "<!-- ends with exit status 2 -->\n```sh\nexit 2\n```\n<!-- tested as: make --dry-run -->\n```sh\nmake demo\n```\n"
        "```ini\nExecStart=/opt/x/bin/python -I -m jvpn gateway --config x\n```\n"
    )
    assert run(document, tmp_path) == 2 + 2 + 1 + 1 + 1
