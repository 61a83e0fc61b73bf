"""Routes of pages and of the API are read when they are first asked."""

from __future__ import annotations

from fastapi.routing import APIRoute

from node.web.app import create_app
from node.web.routers import Route
from tests.node.web.sites import Site


def read(site: Site) -> set[str]:
    """The paths of what has been read."""
    routes = site.server._running.config.app.router.routes  # type: ignore[union-attr]
    return {one.path for one in routes if isinstance(one, Route) and "app" in vars(one)}


def test_a_route_is_read_when_it_is_first_asked(site: Site) -> None:
    assert read(site) == set()
    for _ in range(2):
        assert site.client.get("/health").status_code in (200, 503)
        assert read(site) == {"/health"}


def test_every_route_can_be_read(site: Site) -> None:
    routes = [one for one in create_app(site.context).routes if isinstance(one, APIRoute)]
    assert len(routes) > 80
    for one in routes:
        assert one.dependant.call is one.endpoint
        assert one.app is not None
