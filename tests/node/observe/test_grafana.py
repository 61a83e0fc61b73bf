"""The board of Grafana in the docs: what it asks for is what /metrics says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.observe.durations import Timings
from node.observe.health import Health
from node.observe.metrics import IndexQueue, Metrics, ReceptionCounts
from node.observe.passages import Passage, Stage
from storage import audit
from storage.database import Database
from tests.storage.samples import NOON

ROOT = Path(__file__).parents[3]
BOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana" / "wetread.json").read_text())
PANELS = [one for one in BOARD["panels"] if one["type"] != "row"]
WORDS = {
    *("sum", "min", "max", "by", "rate", "time", "topk", "histogram_quantile"),
    *("le", "stage", "answer", "state", "operation", "route", "repository", "instance"),
    "__rate_interval",
}


def exposed(database: Database) -> set[str]:
    """The names of all samples, of a node in which everything has happened once."""
    timings = Timings()
    timings.passed(Passage(Stage.INDEXED, NOON, NOON, "1.2.3"))
    timings.retrieves.observe("C-GET", 1)
    timings.answers.observe("/", 0.1)
    with database.write() as tx:
        audit.note_position(tx, "repository", 0)
    health = Health(lambda: NOON)
    health.part("database")
    made = Metrics(
        database,
        health,
        lambda: ReceptionCounts(0, 0, 0),
        lambda: IndexQueue(0, 0, 0),
        lambda: {"node.pem": 1.8e9},
        lambda: {"free_bytes": 1.0},
        timings=timings,
    )
    families = text_string_to_metric_families(made.text().decode())
    return {sample.name for family in families for sample in family.samples}


def test_every_metric_of_the_board_is_there(database: Database) -> None:
    there = exposed(database)
    for panel in PANELS:
        for target in panel["targets"]:
            bare = re.sub(r'"[^"]*"', "", target["expr"])
            asked = set(re.findall(r"[a-z_][a-z0-9_]*", bare)) - WORDS
            assert asked and asked <= there, (panel["title"], asked - there)


def test_every_panel_has_a_place_and_a_number_of_its_own_and_says_what_it_means() -> None:
    assert len({one["id"] for one in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken
        taken |= cells
    page = (ROOT / "docs" / "audit.md").read_text() + (ROOT / "docs" / "metrics.md").read_text()
    for panel in PANELS:
        assert panel["description"]
        assert panel["title"] in page, panel["title"]


def test_grafanas_own_models_accept_the_board() -> None:
    dashboard = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="grafana-foundation-sdk is not installed"
    )
    read = dashboard.Dashboard.from_json(BOARD)
    assert len(read.panels) == len(BOARD["panels"])
