"""Panels in one style, from Grafana's typed builders. Each takes a description that says what to do when it is red."""
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
SERIES_HEIGHT, STAT_HEIGHT = 8, 4


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str = ""


def _targets(panel, queries, *, query_format=PromQueryFormat.TIME_SERIES, instant=False):
    for i, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + i))
        target = target.format(query_format).datasource(SOURCE)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _common(panel, title, unit, description, width, height):
    return panel.title(title).unit(unit).description(description).datasource(SOURCE).span(width).height(height)


def _thresholds(red, red_below):
    """Green, and red from `red` on; or red, and green from `red_below` on."""
    steps = [dashboard.Threshold(value=None, color="green")]
    if red is not None:
        steps.append(dashboard.Threshold(value=red, color="red"))
    if red_below is not None:
        steps = [dashboard.Threshold(value=None, color="red"), dashboard.Threshold(value=red_below, color="green")]
    return dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def series(title, unit, description, queries, *, width=8, red=None, stacked=False):
    """Lines over time; `red` draws a line at that value."""
    panel = _common(timeseries.Panel(), title, unit, description, width, SERIES_HEIGHT).min(0)
    panel.legend(common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
                 .placement(common.LegendPlacement.BOTTOM).show_legend(True))
    panel.tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
                  .sort(common.SortOrder.DESCENDING))
    panel.thresholds(_thresholds(red, None))
    if red is not None:
        panel.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED))
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")).fill_opacity(30)
    return _targets(panel, queries)


def single(title, unit, description, expr, *, width=4, red=None, red_below=None):
    """The newest value, large, with its course behind it."""
    panel = _common(stat.Panel(), title, unit, description, width, STAT_HEIGHT)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common.BigValueGraphMode.AREA).color_mode(common.BigValueColorMode.VALUE)
    return _targets(panel.thresholds(_thresholds(red, red_below)), [Query(expr, title)])


def heat(title, unit, description, expr, *, width=8):
    """A histogram over time."""
    panel = _common(heatmap.Panel(), title, unit, description, width, SERIES_HEIGHT).calculate(False)
    panel.color(heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    panel.y_axis(heatmap.YAxisConfig().unit(unit)).show_tooltip().hide_legend()
    return _targets(panel, [Query(expr, "{{le}}")], query_format=PromQueryFormat.HEATMAP)


def listing(title, description, expr, *, width=24, unit="none"):
    """The labels of the newest samples as a table."""
    panel = _common(table.Panel(), title, unit, description, width, SERIES_HEIGHT).show_header(True)
    panel.with_transformation(dashboard.DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True, "Value": True, "__name__": True}}))
    return _targets(panel, [Query(expr)], query_format=PromQueryFormat.TABLE, instant=True)
