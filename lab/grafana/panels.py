"""The four kinds of panels that the boards have, and the boards' frame: variables, time, refresh."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

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
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="color", value=fixed)])
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
    units: Mapping[str, str] | None = None,
    red: Mapping[str, float] | None = None,
    reasons: Sequence[str] | None = None,
    width: int = HALF,
) -> Panel:
    """Return a table. `columns`: names of the data source and what they are called, in order; others are left out.

    `units` and `red` (from which value on a cell is red) by the new names; `reasons`: which may occur, so that their meaning is shown.
    """
    panel = table.Panel().title(title).description(what).datasource(OPENSEARCH).with_target(query).span(width).height(TALL)
    only = dashboard.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(columns)}})
    named = dashboard.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {},
            "indexByName": {name: place for place, name in enumerate(columns)},
            "renameByName": dict(columns),
        },
    )
    panel = panel.with_transformation(only).with_transformation(named).show_header(True)
    for name, unit in (units or {}).items():
        panel = panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="unit", value=unit)])
    for name, limit in (red or {}).items():
        panel = panel.override_by_name(
            name,
            [
                dashboard.DynamicConfigValue(id_val="thresholds", value=_limits(limit).build()),
                dashboard.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
            ],
        )
    if "reason_code" in columns:
        shown = [dashboard.DynamicConfigValue(id_val="mappings", value=[meanings(reasons)])]
        panel = panel.override_by_name(columns["reason_code"], shown)
    if "severity" in columns:
        shown = [dashboard.DynamicConfigValue(id_val="mappings", value=[severities()])]
        panel = panel.override_by_name(columns["severity"], shown)
    return panel


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
