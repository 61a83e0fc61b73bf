"""Every route names its role; what a page elsewhere sends is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from node.ohif.installed import Viewer
from node.web.access.roles import PUBLIC, Guarded, Role, Who, needs
from node.web.access.routes import NamesNoRole, named
from node.web.app import create_app
from node.web.server import WebServer
from tests.node.web.sites import Site


def test_each_role_may_what_those_before_it_may() -> None:
    may = {role: [need for need in (PUBLIC, *Role) if Who("x", role).may(need)] for role in Role}
    assert may[Role.VIEWER] == [PUBLIC, Role.VIEWER]
    assert may[Role.OPERATOR] == [PUBLIC, Role.VIEWER, Role.OPERATOR]
    assert may[Role.ADMINISTRATOR] == [PUBLIC, *Role]
    assert [need for need in (PUBLIC, *Role) if Who("", None).may(need)] == [PUBLIC]


def test_every_route_of_the_node_names_its_role(site: Site, tmp_path: Path) -> None:
    assert site.context is not None
    with_viewer = replace(site.context, viewer=Viewer(tmp_path))
    found = {(one.method, one.path): one.need for one in named(create_app(with_viewer))}
    assert found["GET", "/"] is Role.VIEWER
    assert found["GET", "/health"] is PUBLIC
    assert found["POST", "/api/jobs/{job_id}/retry"] is Role.OPERATOR
    assert found["POST", "/api/studies/{study_id}/delete"] is Role.ADMINISTRATOR
    assert found["GET", "/dicom-web/studies"] is Role.VIEWER
    assert found["GET", "/viewer"] is Role.VIEWER
    assert found["*", "/static"] is PUBLIC


@pytest.mark.parametrize(
    "route",
    [
        Route("/open", lambda request: None),
        Mount("/all", Starlette()),
        Mount("/within", routes=[Route("/open", lambda request: None)]),
    ],
    ids=lambda route: cast(Any, route).path,
)
def test_a_route_without_a_role_is_not_served(route: BaseRoute) -> None:
    app = FastAPI(openapi_url=None)
    app.router.routes.append(route)
    with pytest.raises(NamesNoRole, match=cast(Any, route).path):
        named(app)


def test_a_route_of_the_api_without_a_role_is_not_served() -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter()
    router.get("/open")(lambda: None)
    app.include_router(router)
    with pytest.raises(NamesNoRole, match="/open"):
        named(app)


def test_a_router_s_role_is_its_routes_and_the_stricter_counts() -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter(dependencies=[needs(Role.VIEWER)])
    router.get("/read")(lambda: None)
    router.post("/act", dependencies=[needs(Role.OPERATOR)])(lambda: None)
    app.include_router(router)
    app.mount("/files", Guarded(Starlette(), PUBLIC))
    assert {one.path: one.need for one in named(app)} == {
        "/read": Role.VIEWER,
        "/act": Role.OPERATOR,
        "/files": PUBLIC,
    }


class _Always:
    """An access that knows one person."""

    def __init__(self, asking: Who) -> None:
        self._asking = asking

    async def identify(self, request: object) -> Who:
        return self._asking


def _served(site: Site, asking: Who) -> WebServer:
    assert site.context is not None
    server = WebServer(
        lambda: create_app(replace(site.context, access=_Always(asking))), "127.0.0.1", 0
    )
    server.start()
    return server


def test_nobody_is_led_to_the_login_and_a_program_gets_401(site: Site) -> None:
    server = _served(site, Who("", None))
    base = f"http://127.0.0.1:{server.port}"
    page = site.client.get(f"{base}/?problems=true", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/%3Fproblems%3Dtrue")
    program = site.client.get(f"{base}/dicom-web/studies")
    assert program.status_code == 401
    assert program.headers["www-authenticate"].startswith("Basic ")
    script = site.client.get(f"{base}/api/studies", headers={"Sec-Fetch-Mode": "cors"})
    assert script.headers["www-authenticate"].startswith("Login ")
    assert site.client.get(f"{base}/static/wetread.css").status_code == 200
    server.stop()


def test_a_viewer_reads_and_is_told_what_he_may_not(site: Site) -> None:
    server = _served(site, Who("ann", Role.VIEWER))
    base = f"http://127.0.0.1:{server.port}"
    assert site.client.get(f"{base}/").status_code == 200
    refused = site.client.post(f"{base}/api/jobs/1/retry", headers={"X-Wetread": "1"})
    assert refused.status_code == 403
    assert refused.json()["error"] == "this needs the role operator; ann has the role viewer"
    server.stop()


def test_who_is_known_by_a_cookie_changes_nothing_without_the_token(site: Site) -> None:
    server = _served(site, Who("bob", Role.OPERATOR, token="right", is_known_by_cookie=True))
    path = f"http://127.0.0.1:{server.port}/api/jobs/1/retry"
    marked = {"X-Wetread": "1"}
    right = {**marked, "X-Wetread-Token": "right"}
    assert site.client.post(path, headers=marked).status_code == 403
    assert site.client.post(path, headers={**marked, "X-Wetread-Token": "x"}).status_code == 403
    assert site.client.post(path, headers=right).status_code == 404, "there is no such job"
    elsewhere = site.client.post(path, headers={**right, "Origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    server.stop()


def test_without_login_the_page_still_gives_a_token_that_forms_need(site: Site) -> None:
    (token,) = re.findall('<meta name="token" content="([^"]+)">', site.client.get("/").text)
    assert site.client.post("/fetch", data={"source": "x"}).status_code == 403
    sent = site.client.post("/fetch", data={"source": "x", "token": token})
    assert sent.status_code == 409, "nothing can be fetched from x"
