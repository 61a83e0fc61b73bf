"""The status page, the fragment it refreshes itself with, and the previews.

Rendered on the server; names and descriptions come from images and are escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from node.config.values import is_local
from node.web import alarms, badges, views, wording
from node.web.access.roles import Role, Who, needs, who
from node.web.asked import PlaceText, RowId, SomeRowId, place_of
from node.web.context import WebContext
from node.web.views import Selection, StatusView
from storage import gaps, overview
from storage.errors import DatabaseUnavailable

HERE = Path(__file__).parent
PREVIEW_S = 60
"""How long a browser keeps a preview: a job that runs again writes new ones."""

Offset = Annotated[int, Query(ge=0, le=10**9)]


def select(
    offset: Offset = 0,
    study: SomeRowId = None,
    problems: bool = False,
    before: PlaceText = None,
    after: PlaceText = None,
) -> Selection:
    """The selection that a URL asks for."""
    return Selection(offset, study, problems, place_of("before", before), place_of("after", after))


Selected = Annotated[Selection, Depends(select)]


def routes(context: WebContext) -> APIRouter:
    router = APIRouter(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )
    render = _Renderer(context)

    @router.get("/")
    def page(request: Request, selection: Selected) -> HTMLResponse:
        return render.page(selection, who(request))

    @router.get("/fragment")
    def fragment(selection: Selected) -> HTMLResponse:
        return render.fragment(selection)

    @router.get("/previews/{job_id}/{number}.png")
    def preview(job_id: RowId, number: int) -> Response:
        with context.database.look() as tx:
            keys = overview.previews_of(tx, job_id)
        if not 0 <= number < len(keys):
            raise HTTPException(404, "there is no such preview")
        try:
            with context.results.blobs.open(keys[number]) as file:
                picture = file.read()
        except FileNotFoundError as error:
            raise HTTPException(404, "there is no such preview") from error
        headers = {"Cache-Control": f"private, max-age={PREVIEW_S}"}
        return Response(picture, media_type="image/png", headers=headers)

    return router


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A fragment as it is sent, to all who show the same selection."""

    text: str
    status: int


class _Renderer:
    """Renders a template with what the database and the health say at this moment."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        host = context.dimse_host
        self._templates.globals.update(
            node=context,
            words=wording,
            badges=badges,
            gap_words=gaps.WORDS,
            alarms_shown=alarms.SHOWN,
            host=wording.reachable_host(host),
            only_local=is_local(host),
        )

    def page(self, selection: Selection, asking: Who) -> HTMLResponse:
        """The whole page: the fragment in its frame."""
        drawn = self._drawn(selection)
        frame = self._templates.get_template("page.html")
        text = frame.render(who=asking, selection=selection, fragment=Markup(drawn.text))
        return HTMLResponse(text, drawn.status)

    def fragment(self, selection: Selection) -> HTMLResponse:
        """What the page replaces itself with."""
        drawn = self._drawn(selection)
        return HTMLResponse(drawn.text, drawn.status)

    def _drawn(self, selection: Selection) -> _Drawn:
        return self._context.shared.get(selection, lambda: self._draw(selection))

    def _draw(self, selection: Selection) -> _Drawn:
        view, fault = self._read(selection)
        text = self._templates.get_template("fragment.html").render(
            view=view,
            fault=fault,
            away=self._context.away(),
            health=self._context.health.report(),
            selection=selection,
            port=self._context.dimse_port(),
            now=datetime.now(UTC),
        )
        return _Drawn(wording.readable(text), 503 if fault else 200)

    def _read(self, selection: Selection) -> tuple[StatusView | None, str]:
        """Without its database the page still says what is wrong."""
        try:
            with self._context.database.look() as tx:
                shown = self._context
                view = views.status(
                    tx, selection, shown.destinations, shown.indexing, shown.expected
                )
                return view, ""
        except DatabaseUnavailable as error:
            return None, str(error)
