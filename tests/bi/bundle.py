"""What Superset imports: a database, datasets, charts and a dashboard; ``python -m tests.bi.bundle`` writes it anew.

Columns, their types and meanings are those of the contracts of gold; which of them a chart shows is chosen here.
A chart is in Superset's files twice, as its page asks and as its API does: both are made of one :class:`Chart`.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.contracts.tables import Column, TableContract
from tests.docs.gold_tables import described

REPOSITORY: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = REPOSITORY / "deploy" / "superset" / "sports_market"
TITLE: Final = "Sports market"
SLUG: Final = "sports-market"
PORT: Final = 15432
ADDRESS: Final = f"postgresql+psycopg2://sports_market_reader@127.0.0.1:{PORT}/sports_market"
# Names of things are made of this one, so that they stay the same.
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "superset.sports-market.invalid")
_COLUMNS_OF_A_ROW: Final = 12
_PERCENT, _PRICE, _NUMBER = ".1%", ".2f", ",d"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number over rows: an expression in SQL of a dataset's columns, and how it is shown."""

    name: str
    label: str
    expression: str
    shown: str = _NUMBER


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table or view of gold.

    Attributes:
        table: its name.
        time: the column that a range of time is about.
        labels: column → what a reader is shown in its place.
        shown: column → d3's format of its numbers.
        made: further columns, as SQL of the others.
        metrics: numbers over its rows.
    """

    table: str
    time: str
    labels: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on a column, in Superset's words."""

    column: str
    operator: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a dataset.

    Attributes:
        title: what it shows.
        table: the dataset's.
        kind: Superset's name of its drawing.
        columns: of a table without metrics its columns, else what is grouped by; of a drawing the one along x, then the series.
        metrics: names of the dataset's.
        filters: what of it.
        order: columns or metrics with whether each ascends.
        width: of twelve.
        height: in units of eight pixels; of those in one row alike.
        about: what to know to read it.
        options: of the drawing.
        hour: whether the column along x is a time, taken by the hour.
    """

    title: str
    table: str
    kind: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    width: int = _COLUMNS_OF_A_ROW
    height: int = 45
    about: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    hour: bool = False


GAME: Final = {"game": "home_team || ' v ' || away_team"}
DATASETS: Final = (
    Dataset(
        "game_lines",
        "start_at",
        labels={
            "start_at": "start (UTC)",
            "sport_key": "sport",
            "h2h_closing_probability_home": "home, no-vig",
            "h2h_closing_probability_draw": "draw, no-vig",
            "h2h_closing_probability_away": "away, no-vig",
            "h2h_closing_price_home": "best on home",
            "h2h_closing_price_away": "best on away",
            "h2h_closing_hold": "hold at best",
            "h2h_close_status": "close",
            "h2h_opening_probability_home": "home at the opening",
            "h2h_probability_home_min": "lowest",
            "h2h_probability_home_max": "highest",
            "home_way": "way",
        },
        shown={
            "h2h_closing_probability_home": _PERCENT,
            "h2h_closing_probability_draw": _PERCENT,
            "h2h_closing_probability_away": _PERCENT,
            "h2h_closing_price_home": _PRICE,
            "h2h_closing_price_away": _PRICE,
            "h2h_closing_hold": _PERCENT,
            "h2h_opening_probability_home": _PERCENT,
            "h2h_probability_home_min": _PERCENT,
            "h2h_probability_home_max": _PERCENT,
            "home_way": _PERCENT,
        },
        made={**GAME, "home_way": "h2h_probability_home_max - h2h_probability_home_min"},
    ),
    Dataset(
        "best_price_now",
        "start_at",
        labels={
            "start_at": "start (UTC)",
            "sport_key": "sport",
            "market_key": "market",
            "line_point": "line",
            "outcome_name": "outcome",
            "price_decimal": "best price",
            "price_american": "American",
            "bookmaker_titles": "book list",
            "books": "at",
            "runner_up_price_decimal": "next best",
            "best_hold": "hold at best",
            "book_count": "books",
            "quote_age_seconds": "age (s)",
        },
        shown={"price_decimal": _PRICE, "price_american": "+d", "runner_up_price_decimal": _PRICE, "best_hold": _PERCENT},
        made={**GAME, "books": "array_to_string(bookmaker_titles, ', ')"},
    ),
    Dataset(
        "quotes_sampled",
        "sampled_at",
        labels={"minutes_to_start": "minutes to the start", "market_key": "market"},
        metrics=(Metric("mean_margin", "mean margin", "avg(overround - 1)", _PERCENT),),
    ),
    Dataset(
        "moves",
        "changed_at",
        labels={"changed_at": "hour (UTC)", "market_key": "market"},
        metrics=(Metric("move_count", "moves", "count(*)"),),
    ),
    Dataset(
        "closing_coverage",
        "day",
        labels={"bookmaker_key": "book"},
        metrics=tuple(
            Metric(f"{name}_events", label, f"sum({name}_count)")
            for name, label in (
                ("ok", "ok"),
                ("aged", "aged"),
                ("old", "old: no close"),
                ("not_quoting", "not quoting"),
                ("none", "no quote"),
                ("not_asked", "not asked"),
            )
        ),
    ),
    Dataset(
        "book_scorecard",
        "month",
        labels={"bookmaker_key": "book"},
        metrics=(
            Metric("hold", "hold", "sum(mean_hold * hold_sets) / nullif(sum(hold_sets), 0)", _PERCENT),
            Metric("sets", "sets", "sum(hold_sets)"),
        ),
    ),
    Dataset(
        "clv",
        "taken_at",
        labels={"bookmaker_key": "book"},
        metrics=(
            Metric("prices", "prices", "count(*)"),
            Metric(
                "same_line_share",
                "on the same line",
                "avg(case when clv_status = 'same_point' then 1.0 else 0.0 end)",
                _PERCENT,
            ),
            Metric("mean_clv", "mean CLV", "avg(clv_ev)", _PERCENT),
            Metric("mean_points", "mean points gained", "avg(clv_points)", "+.2f"),
        ),
    ),
    Dataset(
        "bet_ledger",
        "placed_at",
        labels={
            "placed_at": "placed (UTC)",
            "bookmaker_key": "book",
            "market_key": "market",
            "outcome_name": "outcome",
            "price_decimal": "price",
            "was_there": "was there",
            "clv_ev": "CLV",
            "close_status": "close",
        },
        shown={"price_decimal": _PRICE, "stake": ",.2f", "clv_ev": _PERCENT, "profit": "+,.2f"},
    ),
)
_CLOSED: Final = Filter("h2h_closing_probability_home", "IS NOT NULL")
_BARS: Final = {
    "orientation": "vertical",
    "show_legend": True,
    "legendType": "plain",
    "legendOrientation": "top",
    "rich_tooltip": True,
    "xAxisLabelRotation": 45,
}
CHARTS: Final = (
    Chart(
        "Games and their no-vig close",
        "game_lines",
        "table",
        (
            "start_at",
            "sport_key",
            "game",
            "h2h_closing_probability_home",
            "h2h_closing_probability_draw",
            "h2h_closing_probability_away",
            "h2h_closing_price_home",
            "h2h_closing_price_away",
            "h2h_closing_hold",
            "h2h_close_status",
        ),
        filters=(_CLOSED,),
        order=(("start_at", False), ("event_id", True)),
        height=40,
        about="What the market held each side for when the game began, without the books' margin; games with a close.",
    ),
    Chart(
        "Best prices now",
        "best_price_now",
        "table",
        (
            "start_at",
            "sport_key",
            "game",
            "market_key",
            "line_point",
            "outcome_name",
            "price_decimal",
            "price_american",
            "books",
            "runner_up_price_decimal",
            "best_hold",
            "quote_age_seconds",
        ),
        filters=(Filter("phase", "==", "pre"), Filter("home_team", "IS NOT NULL")),
        order=(("start_at", True), ("event_id", True), ("market_key", True), ("line_point", True), ("outcome_name", True)),
        about="Now is the newest answer that covers the game, not your clock.",
    ),
    Chart(
        "How far the market went",
        "game_lines",
        "table",
        (
            "game",
            "h2h_opening_probability_home",
            "h2h_probability_home_min",
            "h2h_probability_home_max",
            "h2h_closing_probability_home",
            "home_way",
        ),
        filters=(_CLOSED,),
        order=(("home_way", False), ("event_id", True)),
        width=6,
        about="The consensus for the home side between the opening (else the first answer) and the start.",
    ),
    Chart(
        "What moved, by the hour",
        "moves",
        "echarts_timeseries_bar",
        ("changed_at", "market_key"),
        ("move_count",),
        width=6,
        about="Moves of books' main lines before the start.",
        options={**_BARS, "stack": "Stack", "xAxisLabelRotation": 0},
        hour=True,
    ),
    Chart(
        "Hold by book",
        "book_scorecard",
        "echarts_timeseries_bar",
        ("bookmaker_key",),
        ("hold",),
        filters=(Filter("hold_sets", ">", "0"),),
        width=6,
        about="The mean of 1 - 1 / overround over the sets before the start.",
        options={**_BARS, "y_axis_format": _PERCENT, "show_legend": False, "x_axis_sort": "hold"},
    ),
    Chart(
        "Closing coverage by book",
        "closing_coverage",
        "echarts_timeseries_bar",
        ("bookmaker_key",),
        tuple(f"{name}_events" for name in ("ok", "aged", "old", "not_quoting", "none", "not_asked")),
        filters=(Filter("market_key", "==", "h2h"),),
        width=6,
        about="Of the games that began, how many have a close of h2h, and why the others have none.",
        options={**_BARS, "stack": "Stack"},
    ),
    Chart(
        "Margin on the way to the start",
        "quotes_sampled",
        "echarts_timeseries_line",
        ("minutes_to_start", "market_key"),
        ("mean_margin",),
        filters=(Filter("quote_state", "==", "quoted"),),
        width=6,
        about="The mean overround less 1 of books' main lines, so many minutes before the start.",
        options={
            "y_axis_format": _PERCENT,
            "markerEnabled": True,
            "show_legend": True,
            "legendType": "plain",
            "x_axis_title": "minutes before the start",
            "x_axis_title_margin": 30,
        },
    ),
    Chart(
        "CLV by book, an hour before the start",
        "clv",
        "table",
        ("bookmaker_key",),
        ("mean_clv", "same_line_share", "mean_points", "prices"),
        filters=(Filter("horizon", "==", "1h"), Filter("is_closing", "IS TRUE")),
        order=(("mean_clv", False), ("bookmaker_key", True)),
        width=6,
        about="What a price an hour before was worth by the close on the same line; where few stayed, that is of few.",
    ),
    Chart(
        "Bets against the close",
        "bet_ledger",
        "table",
        (
            "placed_at",
            "bookmaker_key",
            "market_key",
            "outcome_name",
            "price_decimal",
            "stake",
            "was_there",
            "clv_ev",
            "close_status",
            "status",
            "profit",
        ),
        order=(("placed_at", False), ("ledger", True), ("bet_id", True)),
        height=30,
        about="Empty until a ledger is imported.",
    ),
)


def name_of(kind: str, name: str) -> str:
    """The lasting id of a thing."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


def files(contracts: Mapping[str, TableContract]) -> dict[str, dict[str, Any]]:
    """Path below the bundle's folder → what stands there."""
    datasets = {each.table: each for each in DATASETS}
    return {
        "metadata.yaml": {"version": "1.0.0", "type": "Dashboard"},
        "databases/sports_market.yaml": _database(),
        **{f"datasets/sports_market/{each.table}.yaml": _dataset(each, contracts[each.table]) for each in DATASETS},
        **{f"charts/{_file_name(each.title)}.yaml": _chart(each, datasets[each.table]) for each in CHARTS},
        f"dashboards/{_file_name(TITLE)}.yaml": _dashboard(),
    }


def _file_name(title: str) -> str:
    return "_".join("".join(sign if sign.isalnum() else " " for sign in title).lower().split())


def _database() -> dict[str, Any]:
    return {
        "database_name": TITLE,
        "sqlalchemy_uri": ADDRESS,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_file_upload": False,
        "extra": {"allows_virtual_table_explore": True},
        "uuid": name_of("database", TITLE),
        "version": "1.0.0",
    }


def _dataset(dataset: Dataset, contract: TableContract) -> dict[str, Any]:
    return {
        "table_name": dataset.table,
        "main_dttm_col": dataset.time,
        "description": _line(contract.description),
        "schema": "gold",
        "sql": None,
        "params": None,
        "filter_select_enabled": True,
        "uuid": name_of("dataset", dataset.table),
        "metrics": [_metric(each) for each in dataset.metrics],
        "columns": [
            *(_column(each, dataset.labels.get(each.name)) for each in contract.columns),
            *(_made_column(name, expression, dataset.labels.get(name)) for name, expression in dataset.made.items()),
        ],
        "version": "1.0.0",
        "database_uuid": name_of("database", TITLE),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "metric_name": metric.name,
        "verbose_name": metric.label,
        "expression": metric.expression,
        "d3format": metric.shown,
    }


def _column(column: Column, label: str | None) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "verbose_name": label or column.name.replace("_", " "),
        "is_dttm": column.physical_type in ("timestamptz", "date"),
        "is_active": True,
        "type": column.physical_type.upper(),
        "groupby": True,
        "filterable": True,
        "description": _line(column.description) + (f" ({column.unit})" if column.unit else ""),
    }


def _made_column(name: str, expression: str, label: str | None) -> dict[str, Any]:
    return {
        "column_name": name,
        "verbose_name": label or name.replace("_", " "),
        "is_dttm": False,
        "is_active": True,
        "type": None,
        "groupby": True,
        "filterable": True,
        "expression": expression,
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _chart(chart: Chart, dataset: Dataset) -> dict[str, Any]:
    return {
        "slice_name": chart.title,
        "description": chart.about,
        "viz_type": chart.kind,
        "params": _form(chart, dataset),
        "query_context": json.dumps(
            {"force": False, "queries": [_query(chart)], "result_format": "json", "result_type": "full"}
        ),
        "uuid": name_of("chart", chart.title),
        "version": "1.0.0",
        "dataset_uuid": name_of("dataset", chart.table),
    }


def _form(chart: Chart, dataset: Dataset) -> dict[str, Any]:
    """The chart as its page has it."""
    common = {
        "viz_type": chart.kind,
        "adhoc_filters": [
            {
                "clause": "WHERE",
                "expressionType": "SIMPLE",
                "subject": each.column,
                "operator": each.operator,
                "comparator": each.value,
            }
            for each in chart.filters
        ],
        "row_limit": 1000,
        "time_range": "No filter",
        **chart.options,
    }
    if chart.kind != "table":
        x, *series = chart.columns
        hour = {"time_grain_sqla": "PT1H", "x_axis_time_format": "%d %b %H:%M"} if chart.hour else {}
        ways = {} if chart.hour else {"x_axis_sort_asc": True}
        return {**common, "x_axis": x, "groupby": series, "metrics": list(chart.metrics), **hour, **ways}
    table = {
        **common,
        "table_timestamp_format": "%d %b %H:%M",
        "include_search": chart.width == _COLUMNS_OF_A_ROW,
        "server_pagination": False,
        "page_length": 0,
        "show_cell_bars": False,
        "column_config": {name: {"d3NumberFormat": dataset.shown[name]} for name in chart.columns if name in dataset.shown},
    }
    if chart.metrics:
        [(first, ascends), *_] = chart.order
        order = {"timeseries_limit_metric": first, "order_desc": not ascends}
        return {**table, "query_mode": "aggregate", "groupby": list(chart.columns), "metrics": list(chart.metrics), **order}
    order_by = [json.dumps([name, ascends]) for name, ascends in chart.order]
    return {**table, "query_mode": "raw", "all_columns": list(chart.columns), "order_by_cols": order_by}


def _query(chart: Chart) -> dict[str, Any]:
    """The same as its API is asked."""
    x = {"columnType": "BASE_AXIS", "expressionType": "SQL", "timeGrain": "PT1H"}
    columns: list[Any] = list(chart.columns)
    if chart.hour:
        columns[0] = {**x, "label": columns[0], "sqlExpression": columns[0]}
    return {
        "columns": columns,
        # an empty list would group by the columns
        **({"metrics": list(chart.metrics)} if chart.metrics else {}),
        "filters": [
            {"col": each.column, "op": each.operator, **({} if each.value is None else {"val": each.value})}
            for each in chart.filters
        ],
        "orderby": [list(each) for each in chart.order],
        "row_limit": 1000,
        "time_range": "No filter",
    }


def _dashboard() -> dict[str, Any]:
    return {
        "dashboard_title": TITLE,
        "description": None,
        "slug": SLUG,
        "uuid": name_of("dashboard", TITLE),
        "position": _position(),
        "metadata": {
            "refresh_frequency": 0,
            "color_scheme": "supersetColors",
            "cross_filters_enabled": True,
            "native_filter_configuration": [_sport_filter()],
        },
        "version": "1.0.0",
        "published": True,
    }


def _sport_filter() -> dict[str, Any]:
    """All datasets have this column, so a choice holds for all charts."""
    return {
        "id": "NATIVE_FILTER-sport",
        "name": "Sport",
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"column": {"name": "sport_key"}, "datasetUuid": name_of("dataset", "book_scorecard")}],
        "controlValues": {
            "multiSelect": True,
            "enableEmptyFilter": False,
            "searchAllOptions": False,
            "inverseSelection": False,
        },
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
    }


def _position() -> dict[str, Any]:
    """Charts in rows of twelve columns, in the order of :data:`CHARTS`."""
    rows: list[list[tuple[int, Chart]]] = [[]]
    for number, chart in enumerate(CHARTS, 1):
        if sum(each.width for _, each in rows[-1]) + chart.width > _COLUMNS_OF_A_ROW:
            rows.append([])
        rows[-1].append((number, chart))
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {
            "type": "GRID",
            "id": "GRID_ID",
            "children": [f"ROW-{place}" for place in range(1, len(rows) + 1)],
            "parents": ["ROOT_ID"],
        },
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": TITLE}},
    }
    for place, row in enumerate(rows, 1):
        above = ["ROOT_ID", "GRID_ID"]
        found[f"ROW-{place}"] = {
            "type": "ROW",
            "id": f"ROW-{place}",
            "children": [f"CHART-{number}" for number, _ in row],
            "parents": above,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for number, chart in row:
            found[f"CHART-{number}"] = {
                "type": "CHART",
                "id": f"CHART-{number}",
                "children": [],
                "parents": [*above, f"ROW-{place}"],
                "meta": {
                    "chartId": number,
                    "uuid": name_of("chart", chart.title),
                    "sliceName": chart.title,
                    "width": chart.width,
                    "height": chart.height,
                },
            }
    return found


def as_text(document: Mapping[str, Any]) -> str:
    """A document as its file has it."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)


def gold() -> dict[str, TableContract]:
    """Name → contract, of gold's tables and views."""
    return {each.table: each for each in described()}


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path, document in files(gold()).items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_text(document), encoding="utf-8")
