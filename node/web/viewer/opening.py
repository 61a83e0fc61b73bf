"""``/open``: from a page, or from the context menu of a PACS, to the viewer with the finding shown.

A PACS knows a study by UID or accession number. What is not here is said, with what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.web.access.roles import IMAGES, Role, needs, who
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router
from node.web.viewer import links
from storage import showing
from storage.database import Transaction
from storage.showing import Known, Shown

Uid = Annotated[str, Query(max_length=64, pattern=r"^[0-9.]*$")]
Accession = Annotated[str, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a link names a study; the UID counts before the accession number."""

    study: str
    accession: str

    def among(self, tx: Transaction) -> list[Known]:
        """Those of the node's studies that it names."""
        if self.study:
            return showing.by_uid(tx, self.study)
        return showing.by_accession(tx, self.accession)


def routes(context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER), IMAGES],
    )

    @router.get("/open")
    def by_name(request: Request, study: Uid = "", accession: Accession = "") -> Response:
        asked = Asked(study, accession.strip())
        with context.database.look() as tx:
            found = asked.among(tx)
            if len(found) == 1:
                return _first(context, tx, showing.of_study(tx, found[0].id))
        if found:
            rows = [(links.of_study(one.id), one) for one in found]
            return render(request, "choice.html", 300, rows=rows)
        sources = context.sources if who(request).may(Role.OPERATOR) else ()
        return render(
            request,
            "not_here.html",
            404,
            study=asked.study,
            accession=asked.accession,
            sources=sources,
        )

    @router.get("/open/studies/{study_id}")
    def study(study_id: RowId) -> Response:
        with context.database.look() as tx:
            return _first(context, tx, showing.of_study(tx, study_id))

    @router.get("/open/jobs/{job_id}")
    def job(job_id: RowId) -> Response:
        with context.database.look() as tx:
            return _first(context, tx, showing.of_job(tx, job_id))

    @router.get("/open/jobs/{job_id}/objects/{number}")
    def one(job_id: RowId, number: RowId) -> Response:
        with context.database.look() as tx:
            return _sent_on(context, showing.of_object(tx, job_id, number))

    @router.get("/open/jobs/{job_id}/objects/{number}/file")
    def file(job_id: RowId, number: RowId) -> Response:
        with context.database.look() as tx:
            shown = showing.of_object(tx, job_id, number)
        return RedirectResponse(links.on_wado_uri(shown), 303)

    return router


def _first(context: WebContext, tx: Transaction, shown: Shown) -> Response:
    """A segmentation that OHIF would open slowly is preceded by its report.

    That outlines each structure on the slice where it is largest; the segmentation is opened from
    there.
    """
    if context.has_ohif and links.is_heavy(shown):
        return _sent_on(context, showing.report_beside(tx, shown))
    return _sent_on(context, shown)


def _sent_on(context: WebContext, shown: Shown) -> Response:
    is_in_ohif = context.has_ohif and links.is_shown_by_ohif(shown)
    return RedirectResponse(links.in_ohif(shown) if is_in_ohif else links.own_view(shown), 303)
