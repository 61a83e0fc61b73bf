"""Studies in small, in the list, wait while images come fast, and are there soon afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from node.look.looker import Looker
from node.web.app import create_app
from node.web.server import WebServer
from node.web.viewer.own import served
from storage import events, schema
from storage.records import Level, Topic
from tests.node.look.studies import Chest, chest, hold_found
from tests.node.web import browser
from tests.node.web.sites import START, Site
from tests.waiting import until


@pytest.fixture
def one(site: Site, tmp_path: Path) -> Chest:
    made = chest(site, tmp_path / "ct")
    hold_found(site, tmp_path)
    with site.database.write() as tx:
        tx.execute(sa.update(schema.studies).values(reading="finding"))
    return made


class Rushed:
    """The same node, while images come fast until the test says otherwise."""

    def __init__(self) -> None:
        self.is_on = True
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.is_on

    @contextmanager
    def serving(self, site: Site) -> Iterator[Site]:
        assert site.context is not None
        context = replace(site.context, is_rushed=self)
        server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
        server.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            yield replace(site, client=client, server=server, context=context)
        server.stop()


def test_a_picture_of_the_list_is_not_drawn_while_images_come_fast_and_is_afterwards(
    site: Site, one: Chest, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    as_ever = served.drawn

    def noted(looker: Looker, study_id: int, *rest: Any) -> bytes:
        drawn.append(study_id)
        return as_ever(looker, study_id, *rest)

    monkeypatch.setattr(served, "drawn", noted)
    rushed = Rushed()
    with rushed.serving(site) as busy:
        refused = busy.client.get("/studies/1/thumbnail.webp")
        assert (refused.status_code, drawn) == (503, [])
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["cache-control"] == "no-store"
        assert busy.client.get("/studies/99/thumbnail.webp").status_code == 404
        rushed.is_on = False
        first = busy.client.get("/studies/1/thumbnail.webp")
        assert (first.status_code, drawn) == (200, [1])
        rushed.is_on = True  # what is drawn is shown
        assert busy.client.get("/studies/1/thumbnail.webp").content == first.content
        assert drawn == [1]


@pytest.mark.interop
def test_an_open_list_shows_the_picture_soon_after_images_have_come(
    site: Site, one: Chest, tmp_path: Path
) -> None:
    rushed = Rushed()
    with rushed.serving(site) as busy, browser.opened(tmp_path / "profile") as page:
        page.open(f"http://127.0.0.1:{busy.server.port}/")
        until(lambda: rushed.asked)
        page.wait("document.querySelector('.c-look img')?.complete")
        assert page.run("document.querySelector('.c-look img').naturalWidth") == 0
        rushed.is_on = False
        with site.database.write() as tx:
            events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "anything changes")
        page.wait("document.querySelector('.c-look img').naturalWidth > 0")
