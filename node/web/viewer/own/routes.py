"""The node's own viewer: a page for any browser, its pictures, and the numbers behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response

from node.look import pictures
from node.look.looker import Looker
from node.web.access.roles import IMAGES, Role, needs
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router
from node.web.viewer.own import desk as desks
from node.web.viewer.own import served
from node.web.viewer.own import view as views
from node.web.viewer.own.asked import Asked, QueryOf
from node.web.viewer.own.drawing import Drawing
from node.web.viewer.own.in_small import StudiesInSmall
from storage import index

MOST_PX = 2048
Number = Annotated[int, Path(ge=1, le=10**9, description="The slice, counted from 1.")]
Longest = Annotated[int, Query(ge=16, le=MOST_PX, description="Pixels of the longer side.")]
Form = Annotated[str, Path(pattern="^(jpg|png|webp)$")]
_SERIES = "/studies/{study_id}/look/{series_id}"


def routes(context: WebContext, render: Render) -> Router:
    router = Router(include_in_schema=False, dependencies=[needs(Role.VIEWER), IMAGES])
    looker = Looker(context.database, context.archive)
    drawing = Drawing()
    _add_of_studies(router, looker, drawing, context, render)
    _add_of_series(router, looker, drawing, context.version)
    return router


def _add_of_studies(
    router: Router, looker: Looker, drawing: Drawing, context: WebContext, render: Render
) -> None:
    """The page, and what is drawn of a study without naming a series."""
    drawing_for_lists = Drawing(1)
    studies = StudiesInSmall(looker, context.is_rushed)

    @router.get("/studies/{study_id}/look")
    async def page(request: Request, study_id: RowId, asked: QueryOf) -> Response:
        def work() -> Response:
            desk = desks.desk(looker, study_id, asked)
            with context.database.look() as tx:
                study = index.get_study(tx, study_id)
            return render(request, "look.html", look=views.built(looker, desk), study=study)

        return await drawing.answered(request, work)

    @router.get("/studies/{study_id}/thumbnail.webp")
    async def in_small(request: Request, study_id: RowId) -> Response:
        known = served.Known(request, context.version)
        return await drawing_for_lists.answered(request, lambda: studies.answer(study_id, known))

    @router.get("/studies/{study_id}/look/first.webp")
    async def first(request: Request, study_id: RowId, asked: QueryOf) -> Response:
        return await drawing.answered(
            request,
            lambda: served.picture(looker, study_id, asked, pictures.WEBP, served.PICTURE_PX),
        )

    @router.get("/studies/{study_id}/look/scale.png")
    async def scale(study_id: RowId) -> Response:
        return served.scale()


def _add_of_series(router: Router, looker: Looker, drawing: Drawing, version: str) -> None:
    """What the page's script asks for."""

    @router.get(f"{_SERIES}/stack")
    async def stack(
        request: Request, study_id: RowId, series_id: RowId, asked: QueryOf
    ) -> Response:
        of_series = replace(asked, series=series_id)
        return await drawing.answered(request, lambda: served.stack(looker, study_id, of_series))

    @router.get(f"{_SERIES}/thumbnail.webp")
    async def thumbnail(request: Request, study_id: RowId, series_id: RowId) -> Response:
        known = served.Known(request, version)
        asked = Asked(series=series_id)
        return await drawing.answered(
            request, lambda: served.thumbnail(looker, study_id, asked, known)
        )

    @router.get(f"{_SERIES}/{{number}}/values")
    async def values(
        request: Request, study_id: RowId, series_id: RowId, number: Number, asked: QueryOf
    ) -> Response:
        one = replace(asked, series=series_id, slice=number)
        return await drawing.answered(request, lambda: served.values(looker, study_id, one))

    @router.get(f"{_SERIES}/{{number}}/over.png")
    async def over(
        request: Request, study_id: RowId, series_id: RowId, number: Number, asked: QueryOf
    ) -> Response:
        one = replace(asked, series=series_id, slice=number)
        return await drawing.answered(request, lambda: served.over(looker, study_id, one))

    @router.get(f"{_SERIES}/{{number}}/picture.{{form}}")
    async def picture(
        request: Request, study_id: RowId, series_id: RowId, number: Number, form: Form,
        asked: QueryOf, longest: Longest = served.PICTURE_PX,
    ) -> Response:  # fmt: skip
        one = replace(asked, series=series_id, slice=number)
        return await drawing.answered(
            request, lambda: served.picture(looker, study_id, one, form, longest)
        )
