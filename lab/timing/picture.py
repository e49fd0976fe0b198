"""The picture of a round: |t| of each run, on a logarithmic scale, with the two limits."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from lab.timing.harness import ALARM, LOUD
from lab.timing.judge import Verdict

COLOURS: Final = {"leak": "#D55E00", "control": "#0072B2", "subject": "#009E73"}  # Okabe and Ito
MARKS: Final = {"leak": "^", "control": "s", "subject": "o"}
FLOOR: Final = 0.1


def draw(verdict: Verdict, path: Path) -> None:
    """Write the picture as SVG."""
    with mpl.rc_context({"svg.hashsalt": "timing", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 0.45 * len(verdict.rows) + 1.2), layout="constrained")
        axes = figure.add_subplot()
        for at, row in enumerate(verdict.rows):
            values = [max(each.t, FLOOR) for each in row.runs]
            axes.scatter(values, [at] * len(values), color=COLOURS[row.role], marker=MARKS[row.role], s=28, alpha=0.8)
        axes.set_yticks(range(len(verdict.rows)), [row.subject.what for row in verdict.rows])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel(
            "|t| of each run: triangles are leaks made on purpose,\nsquares the same class twice, circles the functions under test"
        )
        axes.axvline(ALARM, color="#000000", linewidth=1, linestyle="--")
        axes.axvline(LOUD, color="#D55E00", linewidth=1, linestyle=":")
        axes.annotate(f"alarm {ALARM}", (ALARM, -0.7), ha="right", va="bottom", fontsize=8, annotation_clip=False)
        axes.annotate(f"a leak must be beyond {LOUD:.0f}", (LOUD, -0.7), va="bottom", fontsize=8, annotation_clip=False)
        axes.grid(axis="x", alpha=0.3)
        figure.savefig(path, format="svg", metadata={"Date": None})
