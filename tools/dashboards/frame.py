"""What every dashboard of octet has: variables, links to its siblings, rows of panels, and stable ids."""
import itertools

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from panels import SOURCE

TAG = "octet"


def _choice(name, label, query):
    """A variable that may have several values; All also takes series without the label."""
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = builders.QueryVariable(name).label(label).query({"query": query, "refId": name}).datasource(SOURCE)
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def _variables():
    within = 'namespace=~"$namespace"'
    return [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("namespace", "Namespace", "label_values(octet_build_info, namespace)"),
        _choice("model", "Model", f"label_values(octet_texts_total{{{within}}}, model)"),
        _choice("instance", "Instance", f"label_values(octet_build_info{{{within}}}, instance)"),
    ]


def _number(panels):
    """Ids from 1 in reading order, rows included."""
    ids = itertools.count(1)
    for panel in panels:
        panel.id_val = next(ids)


def build(uid, title, description, rows):
    """`rows`: (title, panels) from top to bottom. A row's panels must fill lines of 24 columns."""
    board = builders.Dashboard(title).uid(uid).description(description).tags([TAG]).timezone("browser").editable()
    board.tooltip(models.DashboardCursorSync.CROSSHAIR).refresh("30s").time("now-1h", "now")
    board.variables(_variables())
    board.link(builders.DashboardLink("octet").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
               .as_dropdown(False).include_vars(True).keep_time(True))
    for row_title, panels in rows:
        board.with_row(builders.Row(row_title))
        for panel in panels:
            board.with_panel(panel)
    built = board.build()
    _number(built.panels)
    return built
