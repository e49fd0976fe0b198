"""The four kinds of panels that the boards have, and the boards' frame: variables, time, refresh."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import logs, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from lab.grafana.targets import LETTERS, OPENSEARCH, Ask, Query
from lab.grafana.words import meanings, severities

WIDE, HALF, QUARTER = 24, 12, 6
TALL, LOW = 8, 4
SELECT_ALL: Final = "*"
VARIABLES: Final = {  # name: (field, label, what it filters)
    "node": ("node_id", "Node", "The process that wrote the log."),
    "session": ("session.correlation_id", "Session", "The same in the logs of gateway and client."),
    "reason": ("reason_code", "Reason", "Why it happened; schemas/registry.toml has all meanings."),
}

Panel = Builder[dashboard.Panel]
Changeable = TypeVar("Changeable", timeseries.Panel, table.Panel)


def number(title: str, what: str, query: Query | Ask, *, calc: str = "sum", unit: str = "short", red: float | None = None) -> Panel:
    """Return a panel with one number. `calc`: what becomes of the series; `red`: from which value on it is bad news."""
    options = build_common.ReduceDataOptions().calcs([calc]).values(False).fields("")
    panel = stat.Panel().title(title).description(what).datasource(_source(query)).with_target(query).unit(unit).no_value("0")
    panel = panel.reduce_options(options).graph_mode(common.BigValueGraphMode.AREA).color_mode(common.BigValueColorMode.VALUE)
    return panel.thresholds(_limits(red)).span(QUARTER).height(LOW)


def chart(
    title: str,
    what: str,
    *queries: Query | Ask,
    unit: str = "short",
    bars: bool = False,
    red: float | None = None,
    colours: Mapping[str, str] | None = None,
) -> Panel:
    """Return a panel of series over time: stacked bars for numbers of things, lines with points for measures.

    `red`: a line at this value; `colours`: of series, by name, where a colour says more than the palette.
    """
    panel = timeseries.Panel().title(title).description(what).datasource(_source(queries[0])).unit(unit).span(HALF).height(TALL)
    for letter, query in zip(LETTERS, queries, strict=False):
        panel = panel.with_target(query.called(letter))
    legend = build_common.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM)
    legend = legend.calcs(["sum"] if bars else ["max"]).show_legend(True)
    tooltip = build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = panel.legend(legend).tooltip(tooltip).thresholds(_limits(red)).min(0)
    if red is not None:
        lines = build_common.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(lines)
    for name, colour in (colours or {}).items():
        panel = _changed(panel, name, {"color": {"mode": "fixed", "fixedColor": colour}})
    if bars:
        stacked = build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
        return panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).stacking(stacked)
    points = panel.draw_style(common.GraphDrawStyle.LINE).line_width(2).fill_opacity(8)
    return points.show_points(common.VisibilityMode.ALWAYS).span_nulls(False)


def rows_of(
    title: str,
    what: str,
    query: Query,
    columns: Mapping[str, str],
    *,
    times: Sequence[str] = (),
    red: Mapping[str, float] | None = None,
    reasons: Sequence[str] | None = None,
) -> table.Panel:
    """Return a table. `columns`: names of the data source and what they are called, in order; others are left out.

    `times`: which of them, by the new names, are milliseconds since 1970; `red`: from which value on a cell is; `reasons`: which may occur,
    so that their meaning is shown.
    """
    panel = table.Panel().title(title).description(what).datasource(OPENSEARCH).with_target(query).span(HALF).height(TALL)
    panel = panel.with_transformation(_step("filterFieldsByName", include={"names": list(columns)}))
    places = {name: place for place, name in enumerate(columns)}
    panel = panel.with_transformation(_step("organize", excludeByName={}, indexByName=places, renameByName=dict(columns)))
    if times:
        conversions = [{"targetField": name, "destinationType": "time"} for name in times]
        panel = panel.with_transformation(_step("convertFieldType", conversions=conversions, fields={}))
    for name, limit in (red or {}).items():
        panel = _changed(panel, name, {"thresholds": _limits(limit).build(), "custom.cellOptions": {"type": "color-text"}})
    shown: list[dashboard.ValueMapping] = [meanings(reasons)] if "reason_code" in columns else []
    shown += [severities()] if "severity" in columns else []
    return panel.mappings(shown).show_header(True)


def log_of(title: str, what: str, query: Query) -> Panel:
    """Return a panel of events as lines."""
    panel = logs.Panel().title(title).description(what).datasource(OPENSEARCH).with_target(query).span(WIDE).height(TALL)
    panel = panel.show_time(True).enable_log_details(True).wrap_log_message(True).show_labels(False)
    return panel.sort_order(common.LogsSortOrder.ASCENDING).dedup_strategy(common.LogsDedupStrategy.NONE)


def board(uid: str, title: str, what: str, variables: Sequence[str], panels: Sequence[Panel]) -> dashboard.Dashboard:
    """Return a board; its panels are placed row by row in their order."""
    made = build.Dashboard(f"Jumping VPN: {title}").uid(uid).description(what).tags(["jvpn"]).timezone("utc").editable()
    made = made.refresh("1m").time("now-6h", "now").tooltip(dashboard.DashboardCursorSync.CROSSHAIR).version(1)
    for name in variables:
        made = made.with_variable(_variable(name))
    for place, panel in enumerate(panels, start=1):
        made = made.with_panel(_numbered(panel, place))
    others = build.DashboardLink("Boards").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["jvpn"]).as_dropdown(True)
    return made.link(others.include_vars(True).keep_time(True)).build()


def chosen(*fields: str) -> str:
    """Return the Lucene query for the variables of these names."""
    return " AND ".join(f"{VARIABLES[name][0]}:${name}" for name in fields)


class _numbered(Builder[dashboard.Panel]):  # noqa: N801 - reads as the function that it stands for
    """A panel with its id."""

    def __init__(self, panel: Panel, place: int) -> None:
        self._panel, self._place = panel, place

    def build(self) -> dashboard.Panel:
        made = self._panel.build()
        made.id_val = self._place
        return made


def _step(kind: str, **options: object) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=kind, options=options)


def _changed(panel: Changeable, name: str, changes: Mapping[str, object]) -> Changeable:
    """Change how one column or series is shown. By `byNames`: what Grafana's schema allows as a matcher's options is an object."""
    matcher = dashboard.MatcherConfig(id_val="byNames", options={"mode": "include", "names": [name]})
    return panel.with_override(matcher, [dashboard.DynamicConfigValue(id_val=what, value=value) for what, value in changes.items()])


def _variable(name: str) -> build.QueryVariable:
    field, label, what = VARIABLES[name]
    query = json.dumps({"find": "terms", "field": field, "query": "*", "size": 500, "orderBy": "doc_count"})
    everything = dashboard.VariableOption(selected=True, text="All", value="$__all")
    made = build.QueryVariable(name).label(label).description(what).datasource(OPENSEARCH).query(query).current(everything)
    made = made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    return made.include_all(True).all_value(SELECT_ALL).multi(True)


def _limits(red: float | None) -> build.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color="green")]
    if red is not None:
        steps.append(dashboard.Threshold(value=red, color="red"))
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _source(query: Query | Ask) -> common.DataSourceRef:
    found = query.build().datasource
    if found is None:
        raise ValueError("a query without a data source")
    return found
