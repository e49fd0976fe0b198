"""Draws a board from the answers to its queries: what somebody would see without a Grafana server. The places are the board's own.

It is a drawing, not Grafana: colours and type are ours; titles, series, numbers, columns, units and limits are the board's.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from matplotlib.transforms import Bbox
from PIL import Image

from lab.grafana.plugin import Answer, Series, Table
from observability.figures import STEPS, TICKS_MAX

COLUMNS: Final = 24
INCHES: Final = 0.62  # of a column of the grid
ROW_INCHES: Final = 0.34
SHOWN_ROWS: Final = 11
CELL_CHARS: Final = 26
MEANING_CHARS: Final = 52
LEGEND_LINE: Final = 0.115  # inches
LONG_NAME: Final = 28  # of a series; longer ones are listed in two columns, not four
PALETTE: Final = 200  # colours of a picture: small files
COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999", "#7f3c8d", "#11a579")
RED: Final = "#c4162a"
GREEN: Final = "#1a7f4b"
INK: Final = "#24292e"
STYLE: Final[Any] = {"font.size": 7, "font.family": ["DejaVu Sans"], "text.color": INK, "axes.edgecolor": "#cccccc", "xtick.color": INK,
                     "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "grid.color": "#e5e5e5"}  # fmt: skip
UNITS: Final = {
    "µs": ((1, 1e3, 1e6), (" µs", " ms", " s")),
    "ms": ((1, 1e3, 6e4), (" ms", " s", " min")),
    "bytes": ((1, 2**10, 2**20), (" B", " KiB", " MiB")),
    "short": ((1, 1e3, 1e6), ("", " K", " M")),
}
Panel = Mapping[str, Any]


@mpl.rc_context(STYLE)
def draw(board: Mapping[str, Any], answers: Mapping[int, Sequence[Answer]], path: Path, note: str) -> None:
    """Write the picture of a board as PNG. `answers`: of each panel by its id, one a target; a panel without is drawn as not asked."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = bottom * ROW_INCHES + 0.6
    figure = Figure(figsize=(COLUMNS * INCHES, height), facecolor="#f4f5f5")
    figure.text(0.008, 1 - 0.22 / height, board["title"], fontsize=13, weight="bold", va="center")
    figure.text(0.992, 1 - 0.22 / height, note, fontsize=7, ha="right", va="center", color="#666666")
    for panel in board["panels"]:
        _panel(figure, panel, answers.get(panel["id"]), height)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=80)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(PALETTE).save(path, optimize=True)


def reduced(series: Series, calc: str) -> float | None:
    """Return what a panel of one number makes of a series."""
    known = [value for value in series.values if value is not None]
    if not known:
        return None
    return {"sum": sum(known), "max": max(known), "lastNotNull": known[-1]}[calc]


def arranged(panel: Panel, table: Table) -> dict[str, list[Any]]:
    """Return the columns that a table shows after its transformations, in their order and with their names."""
    (organize,) = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
    (only,) = [each["options"]["include"]["names"] for each in panel["transformations"] if each["id"] == "filterFieldsByName"]
    names = sorted((name for name in only if name in table.columns), key=lambda name: organize["indexByName"][name])
    return {organize["renameByName"][name]: table.columns[name] for name in names}


def _panel(figure: Figure, panel: Panel, answers: Sequence[Answer] | None, height: float) -> None:
    at = panel["gridPos"]
    left, width = at["x"] / COLUMNS, at["w"] / COLUMNS
    top = 1 - (0.5 + at["y"] * ROW_INCHES) / height
    tall = at["h"] * ROW_INCHES / height
    frame = figure.add_axes((left + 0.003, top - tall + 0.04 / height, width - 0.006, tall - 0.08 / height), facecolor="white")
    frame.set_xticks([])
    frame.set_yticks([])
    for side in frame.spines.values():
        side.set_visible(True)
        side.set_color("#dddddd")
    frame.set_title(f" {panel['title']}", loc="left", y=1.0, pad=-10, fontsize=8, weight="bold")
    if answers is None:
        frame.text(0.5, 0.45, "Prometheus: not part of this drawing", ha="center", va="center", color="#888888")
    elif panel["type"] == "stat":
        _number(frame, panel, answers)
    elif panel["type"] == "timeseries":
        names = [each.name for each in _drawn(answers)]
        legend = LEGEND_LINE * -(-len(names) // _legend_columns(names)) + 0.26
        inner = (left + 0.036, top - tall + legend / height, width - 0.048, tall - (legend + 0.28) / height)
        _chart(figure.add_axes(inner, facecolor="white"), panel, answers)
    else:
        _table(frame, panel, answers[0], at["w"])


def _number(frame: Axes, panel: Panel, answers: Sequence[Answer]) -> None:
    calc = panel["options"]["reduceOptions"]["calcs"][0]
    values = [reduced(series, calc) for answer in answers if isinstance(answer, list) for series in answer]
    value = next((value for value in values if value is not None), 0.0)
    red = _red(panel["fieldConfig"]["defaults"])
    colour = RED if red is not None and value >= red else GREEN
    frame.text(
        0.5, 0.4, _said(value, panel["fieldConfig"]["defaults"].get("unit", "short")), fontsize=20, ha="center", va="center", color=colour
    )


def _chart(axes: Axes, panel: Panel, answers: Sequence[Answer]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    series = _drawn(answers)
    bars = defaults["custom"].get("drawStyle") == "bars"
    fixed = {name: value["fixedColor"] for name, change, value in _overrides(panel) if change == "color"}
    floor: dict[int, float] = {}
    for each, colour in zip(series, COLOURS * 3, strict=False):
        label = f"{each.name} ({_said(reduced(each, 'sum' if bars else 'max') or 0, defaults['unit'])})"
        ink = {"red": RED, "green": GREEN}.get(fixed.get(each.name, ""), colour)
        (_bars if bars else _line)(axes, each, ink, label, floor)
    red, peak = _red(defaults), axes.get_ylim()[1]
    if red is not None and peak > red / 3:
        axes.axhline(red, color=RED, linewidth=0.9, linestyle="--")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MultipleLocator(_tick(series)))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=bars))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _said(value, defaults["unit"])))
    if not series:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color="#888888")
        return
    axes.set_xlim(series[0].times[0] / 1_000, series[0].times[-1] / 1_000)
    columns = _legend_columns([each.name for each in series])
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.03, -0.09), ncols=columns, fontsize=5.5, frameon=False, handlelength=1, columnspacing=0.9,
        labelspacing=0.15, borderaxespad=0,
    )  # fmt: skip


def _bars(axes: Axes, series: Series, colour: str, label: str, floor: dict[int, float]) -> None:
    """Stack bars on what `floor` has; nothing is drawn of a 0."""
    pairs = [(time, value) for time, value in zip(series.times, series.values, strict=True) if value]
    wide = (series.times[1] - series.times[0]) / 1_000 if len(series.times) > 1 else 1
    base = [floor.get(time, 0.0) for time, _ in pairs]
    axes.bar(
        [time / 1_000 for time, _ in pairs],
        [value for _, value in pairs],
        bottom=base,
        width=wide * 0.9,
        color=colour,
        label=label,
        align="edge",
    )
    floor.update({time: start + value for (time, value), start in zip(pairs, base, strict=True)})


def _line(axes: Axes, series: Series, colour: str, label: str, _: dict[int, float]) -> None:
    """Draw points, and lines between neighbours: nothing is drawn where there is no value."""
    when = [time / 1_000 for time in series.times]
    values: Any = [float("nan") if value is None else value for value in series.values]
    axes.plot(when, values, color=colour, marker=".", markersize=4, linewidth=1.1, label=label)


def _table(frame: Axes, panel: Panel, answer: Answer, columns: int) -> None:
    if not isinstance(answer, Table):
        raise TypeError(f"{panel['title']}: series in a table")
    shown = arranged(panel, answer) if panel["type"] == "table" else _lines(answer)
    texts = (
        {value: text for mapping in panel["fieldConfig"]["defaults"].get("mappings", ()) for value, text in mapping["options"].items()}
        if panel["type"] == "table"
        else {}
    )
    times = {name for each in panel.get("transformations", ()) for name in _times(each)} | {"Time"}
    limits = {name: _red({"thresholds": value}) for name, change, value in _overrides(panel) if change == "thresholds"}
    many = min(SHOWN_ROWS, len(next(iter(shown.values()), [])))
    rows = [[_cell(shown[name][place], texts, time=name in times) for name in shown] for place in range(many)]
    if not rows:
        frame.text(0.5, 0.45, "No data", ha="center", color="#888888")
        return
    longest = [max(len(name), *(len(row[place]) for row in rows)) + 2 for place, name in enumerate(shown)]
    high = 0.07 * (many + 1)
    drawn = frame.table(
        cellText=rows, colLabels=list(shown), colWidths=[each / sum(longest) for each in longest], cellLoc="left", colLoc="left",
        bbox=Bbox.from_bounds(0.01, 0.88 - high, 0.98, high),
    )  # fmt: skip
    drawn.auto_set_font_size(value=False)
    drawn.set_fontsize(min(7.0, columns * INCHES * 72 / (sum(longest) * 0.62)))
    for (row, place), cell in drawn.get_celld().items():
        cell.set_edgecolor("#eeeeee")
        name = list(shown)[place]
        limit = limits.get(name)
        if row == 0:
            cell.set_text_props(weight="bold")
        elif limit is not None and (shown[name][row - 1] or 0) >= limit:
            cell.set_text_props(color=RED, weight="bold")


def _overrides(panel: Panel) -> Iterator[tuple[str, str, Any]]:
    """Yield what a panel changes of one column or series: its name, what is changed, to what."""
    for override in panel.get("fieldConfig", {}).get("overrides", ()):
        for each in override["properties"]:
            yield override["matcher"]["options"]["names"][0], each["id"], each["value"]


def _times(transformation: Mapping[str, Any]) -> list[str]:
    return [each["targetField"] for each in transformation["options"].get("conversions", ())]


def _drawn(answers: Sequence[Answer]) -> list[Series]:
    return [each for answer in answers if isinstance(answer, list) for each in answer if any(value is not None for value in each.values)]


def _legend_columns(names: Sequence[str]) -> int:
    return 4 if max(map(len, names), default=0) <= LONG_NAME else 2


def _tick(series: Sequence[Series]) -> int:
    """Return the seconds between two marks: round times of day, at most ten."""
    seconds = (series[0].times[-1] - series[0].times[0]) / 1_000 if series else 0
    return next((step for step in STEPS if seconds / step <= TICKS_MAX), STEPS[-1])


def _clock(seconds: float, _: object) -> str:
    return f"{_when(int(seconds * 1_000)):%H:%M:%S}"


def _when(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1_000, UTC)


def _lines(table: Table) -> dict[str, list[Any]]:
    names = ("@timestamp", "event_type", "reason_code", "session.correlation_id", "state.to", "event_hash")
    return {name: table.columns[name] for name in names if name in table.columns}


def _red(defaults: Mapping[str, Any]) -> float | None:
    steps = defaults.get("thresholds", {}).get("steps", [])
    return next((float(step["value"]) for step in steps if step["color"] == "red"), None)


def _cell(value: object, texts: Mapping[str, Any], *, time: bool) -> str:
    if value is None:
        return "-"
    if str(value) in texts:
        return textwrap.shorten(texts[str(value)]["text"], MEANING_CHARS, placeholder=" …")
    if isinstance(value, float | int):
        return f"{_when(int(value)):%H:%M:%S}" if time else _said(value, "short")
    return str(value)[11:23] if time else str(value)[:CELL_CHARS]


def _said(value: float, unit: str) -> str:
    """Return a number as a unit of Grafana's shows it."""
    limits, names = UNITS.get(unit, UNITS["short"])
    place = sum(bool(value >= limit) for limit in limits[1:])
    return f"{value / limits[place]:.3g}{names[place]}" if place or value % 1 else f"{value:.0f}{names[0]}"
