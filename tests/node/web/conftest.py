"""The web application, served on a free port over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from node.delivery.profile import AUTO
from node.delivery.prospects import prospects
from node.observe.health import Health
from node.web.app import WebContext, create_app
from node.web.server import WebServer
from storage.database import open_database
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.files.results import ResultStore
from tests.node.web.sites import PARTS, START, Site
from tests.trails import KeptTrail


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with served(tmp_path) as made:
        yield made


@contextmanager
def served(tmp_path: Path) -> Iterator[Site]:
    """The application over a database in a folder."""
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    results = ResultStore(tmp_path / "results")
    woken: list[str] = []
    made: list[Site] = []
    health = Health(lambda: made[0].now if made else START)
    parts = {name: health.part(name) for name in PARTS}
    context = WebContext(
        database=database,
        results=results,
        archive=Archive(Files(tmp_path / "instances"), results.blobs),
        health=health,
        title="WETREAD",
        version="0.1.0",
        dimse_host="127.0.0.1",
        dimse_port=lambda: 11112,
        destinations=("pacs",),
        wake=lambda: woken.append("woken"),
        expected=lambda able: prospects(able, AUTO),
        audit=KeptTrail(),
    )
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        made.append(Site(client, server, database, results, context.archive, health, parts, woken))
        made[0].context = context
        yield made[0]
    server.stop()
    database.close()
