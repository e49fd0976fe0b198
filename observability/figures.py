"""The pictures of a report, as SVG text to put into a page: no script, nothing fetched, readable in light and dark and without colour.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; where two meet that grey would make alike, one is hatched. Lines and
text are drawn in the page's own colour. The same data gives the same bytes.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from io import StringIO
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from observability.bins import coarse, floor_of, span, width_of
from observability.timeline import EPOCH, REKEYED, UNBOUND, Band, Session, Story

INK: Final = "#0a0b0c"  # stands for the page's text colour
FAINT: Final = "#0d0e0f"  # stands for the page's line colour
WIDTH: Final = 10.0  # inches; the page scales it
LANE: Final = 0.19  # inches
REASONS_MAX: Final = 5
TICKS_MAX: Final = 10
DOTS_MAX: Final = 200  # of one reason
SLOTS: Final = 600  # what is narrower than this part of the time cannot be drawn
BANDS_MAX: Final = 300  # of one lane; of more, slots are drawn
MINUTE: Final = 60
DAY: Final = 86_400
STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, DAY, 7 * DAY, 30 * DAY)
SECOND_MS: Final = 1_000
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.xmargin": 0.01,
    "figure.dpi": 72,
    "legend.frameon": False,
    "path.simplify": True,
}


class Look(NamedTuple):
    """Fill, hatch, and the colour of text on it."""

    fill: str
    hatch: str = ""
    text: str = "#000000"


STATES: Final = {
    "PENDING": Look("#bbbbbb"),
    "ATTACHED": Look("#009e73", text="#ffffff"),
    "VOLATILE": Look("#f0e442", "///"),
    "RECOVERING": Look("#d55e00", text="#ffffff"),
    "DEGRADED": Look("#cc79a7", "xxx"),
    "IDLE": Look("#dddddd"),
    "CONNECTING": Look("#bbbbbb"),
    "SEEKING": Look("#d55e00", text="#ffffff"),
}
CARRIERS: Final = {"UDP": Look("#56b4e9"), "TCP": Look("#0072b2", text="#ffffff"), "QUIC": Look("#e69f00", "///")}
OTHER: Final = Look("#999999", "...")
MANY: Final = "several, quickly"
SERIES: Final = (Look("#0072b2"), Look("#e69f00", "///"), Look("#009e73"), Look("#cc79a7", "xxx"), Look("#56b4e9", "\\\\\\"))


@mpl.rc_context(STYLE)
def sessions_over_time(sessions: Sequence[Session], story: Story) -> str:
    """Draw a lane of states, one of carriers and one of the client for each of these sessions, as far as the logs have them."""
    known = {"state": any(one.state.steps for one in sessions), "client": any(one.client.steps for one in sessions)}
    lanes = [lane for lane in ("state", "carrier", "client") if known["client" if lane == "client" else "state"]]
    rows = len(sessions) * (len(lanes) + 1)
    figure, axes = _figure(rows * LANE + 0.8)
    begin, end = span(story)
    used: dict[str, Look] = {}
    labels: list[tuple[float, str]] = []
    for place, session in enumerate(sessions):
        top = -place * (len(lanes) + 1.0)
        labels.append((top + 0.3, session.name[:8]))
        for depth, lane in enumerate(lanes):
            y = top - depth - 0.9
            lane_of = {"state": session.state, "carrier": session.carrier, "client": session.client}[lane]
            for band in _drawable(lane_of.bands(session.ended or end), begin, end):
                if band.name != UNBOUND:
                    used[band.name] = _look(band.name)
                    _band(axes, band, y, _seconds(end) - _seconds(begin))
            labels.append((y + 0.4, lane))
        _marks(axes, session, top, (_seconds(end) - _seconds(begin)) / SLOTS)
    axes.set_xlim(_seconds(begin), _seconds(end))
    axes.set_ylim(-rows + 0.2, 0.9)
    axes.set_yticks([y for y, _ in labels], [name for _, name in labels])
    for (_, name), text in zip(labels, axes.get_yticklabels(), strict=True):
        text.set_fontsize(8 if name in lanes else 9)
        text.set_fontweight("normal" if name in lanes else "bold")
    axes.tick_params(axis="y", length=0)
    _time_axis(axes)
    handles = [
        Patch(facecolor=look.fill, hatch=look.hatch, edgecolor="#333333", linewidth=0.4, label=name)
        for name, look in sorted(used.items(), key=_order)
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=9,
        fontsize=8,
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
    names = ", ".join(f"{session.name[:8]}: {session.jumps_to_other_paths()} jumps" for session in sessions)
    return _svg(
        figure, "sessions", "Sessions over time", f"Bands of state and carrier for each session; the tables below have all of it. {names}."
    )


@mpl.rc_context(STYLE)
def recovery_by_reason(values: Mapping[str, Sequence[int]]) -> str:
    """Draw each measured recovery (us, by reason of the jump) as a dot on a logarithmic scale, with the median as a bar."""
    figure, axes = _figure(0.42 * len(values) + 0.8)
    for place, (_, times) in enumerate(values.items()):
        ordered = _some(sorted(times))
        spread = [place + ((index * 7919) % 11 - 5) / 22 for index in range(len(ordered))]
        axes.scatter([value / 1_000 for value in ordered], spread, s=18, color="#0072b2", alpha=0.75, linewidths=0, zorder=3)
        median = sorted(times)[(len(times) - 1) // 2]
        if len(times) > 1:  # a bar over a single dot would hide it
            axes.plot([median / 1_000] * 2, [place - 0.34, place + 0.34], color=INK, linewidth=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_milliseconds))
    axes.set_yticks(range(len(values)), [f"{plain(reason)} ({len(times)})" for reason, times in values.items()])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel("time without traffic around the jump, measured by the gateway (logarithmic); the bar is the median")
    said = "; ".join(
        f"{plain(reason)}: median {_milliseconds(sorted(times)[(len(times) - 1) // 2] / 1_000)}" for reason, times in values.items()
    )
    return _svg(figure, "recovery", "Recovery times by reason", said + ".")


@mpl.rc_context(STYLE)
def traffic_over_time(story: Story) -> str:
    """Draw what all sessions together carried, in both directions, in Mbit/s."""
    figure, axes = _figure(2.4)
    begin, end = span(story)
    width = width_of(begin, end)
    peaks = []
    for name, bins, look, dashes in (("to clients", story.sent, SERIES[0], "-"), ("from clients", story.received, Look("#d55e00"), "--")):
        counted = coarse(bins, width)
        starts = range(floor_of(begin, width), floor_of(end, width) + width, width)
        rates = [counted[start] * 8 / width / 1e6 for start in starts]
        times = [float(start) for start in starts]
        axes.step(
            [*times, times[-1] + width],
            [*rates, rates[-1]],
            where="post",
            color=look.fill,
            linewidth=1.8,
            linestyle=dashes,
            label=name,
        )
        peaks.append(f"{name} at most {max(rates):.1f} Mbit/s")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Mbit/s")
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderaxespad=0.2)
    _time_axis(axes)
    return _svg(figure, "traffic", "Traffic over time", f"Mean over {width} s; {', '.join(peaks)}.")


@mpl.rc_context(STYLE)
def refusals_over_time(story: Story) -> str:
    """Draw how many messages were refused, by reason: the most frequent ones apart, the others together."""
    figure, axes = _figure(2.6)
    begin, end = span(story)
    width = width_of(begin, end)
    ranked = sorted(story.refused, key=lambda reason: (-story.refused[reason].total(), reason))
    layers = [(reason, coarse(story.refused[reason], width), look) for reason, look in zip(ranked, SERIES, strict=False)]
    rest: Counter[int] = Counter()
    for reason in ranked[REASONS_MAX:]:
        rest.update(story.refused[reason])
    if rest:
        layers.append(("all others", coarse(rest, width), OTHER))
    floor: Counter[int] = Counter()
    for reason, bins, look in layers:
        starts = sorted(bins)
        axes.bar(
            [float(start) for start in starts],
            [bins[start] for start in starts],
            bottom=[floor[start] for start in starts],
            width=width * 0.9,
            align="edge",
            color=look.fill,
            hatch=look.hatch,
            edgecolor="#333333",
            linewidth=0.3,
            label=plain(reason),
        )
        floor.update(bins)
    axes.set_xlim(_seconds(begin), _seconds(end) + width)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_ylabel(f"refused in {width} s")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, borderaxespad=0.2, handlelength=1.4)
    _time_axis(axes)
    said = ", ".join(f"{plain(reason)} {bins.total()}" for reason, bins, _ in layers)
    return _svg(figure, "refusals", "Refusals over time", f"In all: {said}.")


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _drawable(bands: list[Band], begin: datetime, end: datetime) -> list[Band]:
    """Return at most so many bands as can be seen: where several share a slot of time, one that says so."""
    if len(bands) <= BANDS_MAX:
        return bands
    slot = max((end - begin) / SLOTS, timedelta(microseconds=1))
    names: dict[int, set[str]] = {}
    for band in bands:
        for place in range((band.begin - begin) // slot, max((band.begin - begin) // slot + 1, (band.end - begin) // slot)):
            names.setdefault(place, set()).add(band.name)
    drawn: list[Band] = []
    for place, found in sorted(names.items()):
        name, since = (MANY if len(found) > 1 else next(iter(found))), begin + place * slot
        if drawn and drawn[-1].name == name and drawn[-1].end == since:
            since = drawn.pop().begin
        drawn.append(Band(name, since, begin + (place + 1) * slot))
    return drawn


def _marks(axes: Axes, session: Session, top: float, slot: float) -> None:
    """Mark the jumps of a session, and thinner the rekeyings; those that would fall upon each other once."""
    places: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for jump in session.jumps():
        at = _seconds(jump.when)
        places[jump.reason == REKEYED].setdefault(int(at / slot), at)
    for rekey, found in places.items():
        axes.vlines(list(found.values()), top - 1.98, top - 0.02 - rekey, color=INK, linewidth=0.6 if rekey else 1.3)
    moved = list(places[False].values())
    axes.plot(moved, [top + 0.12] * len(moved), marker="v", markersize=4.5, color=INK, linestyle="none")


def _some(ordered: Sequence[int]) -> Sequence[int]:
    """Return at most `DOTS_MAX` of these values, evenly chosen by rank, the first and the last among them."""
    if len(ordered) <= DOTS_MAX:
        return ordered
    return [ordered[index * (len(ordered) - 1) // (DOTS_MAX - 1)] for index in range(DOTS_MAX)]


def _band(axes: Axes, band: Band, y: float, seconds: float) -> None:
    look = _look(band.name)
    begin, width = _seconds(band.begin), _seconds(band.end) - _seconds(band.begin)
    axes.add_patch(Rectangle((begin, y), width, 0.8, facecolor=look.fill, hatch=look.hatch, edgecolor="#333333", linewidth=0.4))
    if width > seconds * 0.012 * len(band.name) and not look.hatch:  # the name has room
        axes.text(begin + width / 2, y + 0.38, band.name, fontsize=6.5, color=look.text, ha="center", va="center")


def _svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return the figure as an element to put into a page: named for screen readers, coloured by the page, its ids its own."""
    out = StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace("*{stroke-linejoin", "figure svg *{stroke-linejoin").replace(INK, "var(--ink)").replace(FAINT, "var(--line)")
    label = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    opening, rest = text.split(">", 1)
    return f'{opening} role="img" aria-labelledby="{name}-title {name}-desc">{label}{rest}'.strip()


def _time_axis(axes: Axes) -> None:
    """Put a mark at round times of day, at most ten."""
    begin, end = axes.get_xlim()
    step = next((step for step in STEPS if (end - begin) / step <= TICKS_MAX), STEPS[-1])
    ticks = range(int(-(-begin // step)) * step, int(end) + 1, step)
    form = "%H:%M:%S" if step < MINUTE else "%H:%M" if step < DAY else "%d %b"
    axes.set_xticks(list(ticks), [(EPOCH + timedelta(seconds=tick)).strftime(form) for tick in ticks])
    first, last = (f"{EPOCH + timedelta(seconds=when):%d %B %Y}" for when in (begin, end))
    axes.set_xlabel(f"{first} (UTC)" if first == last else f"{first} to {last} (UTC)")


def _seconds(when: datetime) -> float:
    return (when - EPOCH) / timedelta(seconds=1)


def _look(name: str) -> Look:
    return STATES.get(name) or CARRIERS.get(name) or OTHER


def _order(used: tuple[str, Any]) -> int:
    known = [*STATES, *CARRIERS]
    return known.index(used[0]) if used[0] in known else len(known)


def plain(reason: str) -> str:
    """Return a name of the registry as words."""
    return reason.removeprefix("MOVED_").replace("_", " ").lower()


def _milliseconds(value: float, _: object = None) -> str:
    return f"{value / SECOND_MS:g} s" if value >= SECOND_MS else f"{value:g} ms"
