"""`make demo`: play the story, show it as it goes, write the report, judge.

    python -m lab.demo [--siem] [--loopback] [--out DIR] [--json]

It plays in two network namespaces, as root or in a user namespace; where neither is possible, or with --loopback, over loopback sockets
with a packet pump in place of the TUN devices, and says so. Exit status: 0 when every claim held, 1 when one did not, 2 when this machine
cannot play what was asked for.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lab import command, netns
from lab.demo import siem
from lab.demo.loopback import Loopback
from lab.demo.scene import Failed, Scene
from lab.demo.story import DEVICES, FILE_BYTES, RATE, Outcome, Story, new_directory
from observability.page import paragraph

# A TUN device and nf_tables, as a scene in namespaces needs them.
ABLE: Final = """
from jvpn.shell.tun import Tun
from pyroute2.nftables.main import NFTables
Tun("probe%d").close()
with NFTables(nfgen_family=1) as nft:
    nft.get_tables()
"""
# What the demonstration promises, as a pilot would: the report judges it.
PILOT: Final = """name = "make demo"
environment = "mobile"

[failure_model]
churn_per_hour = 180

[criteria]
recovery_window_ms = 3000
switches_per_minute = 6
sessions_lost = 0
telemetry_lost = 0
detections_from = "critical"
signed = "log"
"""
PROBE: Final = (sys.executable, "-I", "-c", ABLE)


class Screen:
    """The list of steps with their states, and one line about what happens now."""

    def __init__(self, console: Console, *, live: bool) -> None:
        """Draw live on a terminal, line by line elsewhere."""
        self.console, self.steps, self.now = console, dict[str, str](), ""
        self.live = Live(console=console, refresh_per_second=8, get_renderable=self.table) if live and console.is_terminal else None

    def show(self, step: str, state: str) -> None:
        """Take news: of a step, or with an empty step of the moment."""
        if not step:
            self.now = state
        else:
            self.steps[step] = state
            if self.live is None:
                self.console.print(f"{step}: {state}")

    def table(self) -> Table:
        """Return what is on the screen."""
        table = Table.grid(padding=(0, 2))
        for step, state in self.steps.items():
            mark = "[green]✓[/]" if state.startswith("done") else "[red]✗[/]" if state == "failed" else "[yellow]…[/]"
            table.add_row(mark, step, f"[dim]{state}[/]")
        table.add_row("", f"[cyan]{self.now}[/]", "")
        return table


def main(argv: Sequence[str] | None = None) -> int:
    """Play and judge."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--siem", action="store_true", help="ship the log into a real OpenSearch node while the session runs")
    parser.add_argument("--loopback", action="store_true", help="play without namespaces, also where they are possible")
    parser.add_argument("--out", type=Path, default=Path("demo-report"), help="directory of the report (default: demo-report)")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    options = parser.parse_args(argv)
    console = Console(stderr=options.json)
    if options.siem and (missing := siem.missing()):
        console.print(f"No OpenSearch node can run here: {missing}")
        return 2
    place, why = choose(loopback=options.loopback)
    for line in told(place, why):
        console.print(line, markup=False, highlight=False)
    console.print(f"A {FILE_BYTES / 1e6:.0f} MB file paced at {RATE / 1e6:.0f} MB/s. About a minute.")
    try:
        outcome = play(place, why, options.out, Screen(console, live=not options.json), with_siem=options.siem)
    except Failed as failure:
        console.print(f"[red]Failed:[/] {failure}")
        return 1
    print_outcome(console, outcome, options.out)
    if options.json:
        sys.stdout.write(json.dumps({"passed": outcome.passed, **numbers(place, why, outcome)}) + "\n")
    return 0 if outcome.passed else 1


def choose(*, loopback: bool) -> tuple[type[Scene | Loopback], str]:
    """Return where to play, and why there; enter a user namespace where that is the way."""
    if loopback:
        return Loopback, "Asked for by --loopback."
    way, why = netns.probe()
    if not way:
        return Loopback, f"This machine allows no network namespaces: {why.removeprefix('no network namespace: ')}."
    done = subprocess.run([*netns.COMMAND, "run", "--", *PROBE], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Loopback, f"Network namespaces are possible here, but what the demonstration needs in them is not: {said}."
    if way == "user":
        netns.isolate()
    return Scene, "As root." if way == "root" else "In a user namespace."


def told(place: type[Scene | Loopback], why: str) -> list[str]:
    """Return what a reader has to know about where it was played."""
    return [f"{place.label} {why}", *(f"Not shown here: {each}." for each in place.not_shown)]


def numbers(place: type[Scene | Loopback], why: str, outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as what JSON can hold."""
    where = {"mode": place.mode, "label": place.label, "why": why, "not_shown": place.not_shown}
    names = ("claims", "jumps", "attacks", "outages_ms", "moments")
    return where | {"sessions": sorted(outcome.sessions)} | {name: getattr(outcome, name) for name in names}


def play(place: type[Scene | Loopback], why: str, out: Path, screen: Screen, *, with_siem: bool) -> Outcome:
    """Play the story and write the report; the scene's directory stays for a look."""
    with place(new_directory(out.absolute()), DEVICES) as scene, siem.cluster(scene, screen.show, wanted=with_siem) as cluster:
        story = Story(scene, screen.show)
        if screen.live:
            screen.live.start()
        try:
            story.play()
            story.verify()
            if cluster:
                with story.step("the cluster's numbers are compared with the log's"):
                    story.outcome.claims["the cluster says what the log says"] = cluster.same_numbers()
            with story.step("the report is written"):
                logs = [str(scene.audit(role)) for role in ("gateway", "client")]
                (out / "pilot.toml").write_text(PILOT, encoding="utf-8")
                files = ("--out", str(out.absolute() / "index.html"), "--pilot", str(out.absolute() / "pilot.toml"))
                scene.jvpn("audit", "report", *logs, *files)
                label(out / "index.html", told(place, why))
        finally:
            if screen.live:
                screen.live.stop()
    outcome = story.outcome
    summary = {"passed": outcome.passed, **numbers(place, why, outcome)}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return outcome


def label(report: Path, lines: Sequence[str]) -> None:
    """Write below the report's title where its logs were made; the page is the product's, which knows nothing of demonstrations."""
    page, end = report.read_text(encoding="utf-8"), "</h1>\n"
    if page.count(end) != 1:
        raise Failed(f"{report} has no title to be labelled at")
    first, *others = lines
    paragraphs = [paragraph(f"A demonstration. {first}", "verdict"), *(paragraph(line, "soft") for line in others)]
    report.write_text(page.replace(end, end + "\n".join(paragraphs) + "\n"), encoding="utf-8")


def print_outcome(console: Console, outcome: Outcome, out: Path) -> None:
    """Print what happened and where things are."""
    jumps = Table("jump", "from", "to", "epoch", "without traffic", title="Jumps of one session (by the gateway's log)")
    for jump in outcome.jumps:
        jumps.add_row(jump["reason"], jump["from"], jump["to"], str(jump["epoch"]), f"{jump['recovery_ms']} ms")
    attacks = Table("attack", "refused as", "in the log", "session unchanged", title="Attacks")
    for attack in outcome.attacks:
        attacks.add_row(
            attack["attack"], attack["reason"], *("yes" if attack[name] else "[red]no[/]" for name in ("recorded", "session_unchanged"))
        )
    console.print(jumps, attacks)
    console.print("Longest gap of a 10 ms ping after: " + ", ".join(f"{name} {gap} ms" for name, gap in outcome.outages_ms.items()))
    for claim, held in outcome.claims.items():
        console.print(f"{'[green]✓[/]' if held else '[red]✗[/]'} {claim}")
    console.print(f"Report: {out / 'index.html'}   numbers: {out / 'summary.json'}   logs and configurations: {out / 'run'}")


if __name__ == "__main__":
    command.run(main, "lab.demo")
