"""Every route asked as everybody: who may and who may not, from the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from node.ohif.installed import Viewer
from node.receive.uploads import Uploads
from node.web.access import roles
from node.web.access.roles import PUBLIC, Need, Role, Who
from node.web.access.routes import NamedRoute, named
from node.web.app import create_app
from node.web.server import WebServer
from tests.node.web.access.houses import House
from tests.node.web.sites import Site

VIEWERS_OWN = {
    "/",
    "/studies/{study_id}/read",
    "/studies/{study_id}/unread",
    "/studies/{study_id}/notes",
    "/studies/{study_id}/notes/{note_id}/strike",
    "/api/studies/{study_id}/notes",
    "/api/studies/{study_id}/notes/{note_id}/strike",
    "/logout",
    "/password",
    "/sessions/{session_id}/end",
    "/app-passwords",
    "/app-passwords/{app_password_id}/end",
}
"""What a viewer may send: a search, that he has read a study, a note on it, and what is his own."""
ASKING = (None, *Role)


class ByHeader:
    """Believes whoever says what his role is."""

    async def identify(self, request: object) -> Who:
        role = request.headers.get("as", "")  # type: ignore[attr-defined]
        return Who(f"a {role}", Role(role), token="t") if role else roles.NOBODY


@pytest.fixture
def client(site: Site, house: House, tmp_path: Path) -> Iterator[httpx.Client]:
    assert site.context is not None
    uploads = Uploads(None, None, 0)  # type: ignore[arg-type]  # nothing is brought
    context = replace(
        site.context,
        access=ByHeader(),
        logins=house.logins,
        uploads=uploads,
        viewer=Viewer(tmp_path),
    )
    app = create_app(context)
    server = WebServer(lambda: app, "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as made:
        made.routes = named(app)  # type: ignore[attr-defined]
        made.document = app.openapi()  # type: ignore[attr-defined]
        yield made
    server.stop()


def test_every_route_is_refused_to_whom_its_role_does_not_admit_and_to_nobody_else(
    client: httpx.Client,
) -> None:
    routes: list[NamedRoute] = client.routes  # type: ignore[attr-defined]
    assert len(routes) > 60
    wrong = []
    for route in routes:
        for role in ASKING:
            if route.path == "/login":
                continue  # 401 is a wrong password there
            status = asked(client, route, role)
            refused = status == (401 if role is None else 403)
            if refused is may(role, route.need):
                wrong.append((route, role, status))
            if status >= 500 and status != 503:
                wrong.append((route, role, status))
    assert wrong == []


def test_what_changes_something_is_no_viewer_s_but_for_what_is_his_own(
    client: httpx.Client,
) -> None:
    routes: list[NamedRoute] = client.routes  # type: ignore[attr-defined]
    changing = {one for one in routes if one.method not in ("GET", "HEAD", "OPTIONS", "*")}
    lenient = {one.path for one in changing if one.need in (PUBLIC, Role.VIEWER)}
    assert lenient == {*VIEWERS_OWN, "/login", "/login/first"}
    administrators = {one.path for one in routes if one.need is Role.ADMINISTRATOR}
    assert {"/users", "/audit", "/settings"} <= administrators


def test_every_operation_of_the_openapi_document_is_among_the_routes(
    client: httpx.Client,
) -> None:
    routes: list[NamedRoute] = client.routes  # type: ignore[attr-defined]
    known = {(one.method, re.sub(r":\w+}", "}", one.path)) for one in routes}
    told = {
        (method.upper(), path)
        for path, methods in client.document["paths"].items()  # type: ignore[attr-defined]
        for method in methods
    }
    assert told - known == set()


def may(role: Role | None, need: Need) -> bool:
    return Who("x", role).may(need)


def asked(client: httpx.Client, route: NamedRoute, role: Role | None) -> int:
    """The status that somebody gets; what changes something has a right token and nothing else."""
    path = re.sub(r"\{[^}]+\}", "1", route.path)
    headers = {"As": role or "", "X-Wetread": "1", "X-Wetread-Token": "t"}
    if "html" not in path:
        headers["Accept"] = "*/*"
    method = "GET" if route.method == "*" else route.method
    with client.stream(method, path, headers=headers) as answer:
        return answer.status_code
