"""The list of studies: searched, sorted, in parts by place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from node.web.access.roles import Role, Who, needs, who
from node.web.context import WebContext
from node.web.forms import words as form
from node.web.frame.render import Render
from node.web.pages import asked_studies, lines
from node.web.pages.asked_studies import Search
from node.web.pages.pieces import Beholder, Pieces
from node.web.pages.searches import Searches
from node.web.routers import Router
from storage import events
from storage.reading_state import ReadingState
from storage.records import Counts
from storage.study_list import Asked
from storage.study_words import WordKind

Asking = Annotated[Search, Depends(asked_studies.read)]
Form = Annotated[dict[str, str], Depends(form)]
_EVERYTHING = (WordKind.NAME, WordKind.PATIENT_ID, WordKind.ACCESSION)
_FIELDS = ("from", "to", "modality", "finding", "state", "sort")


def routes(context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )
    searches = Searches()
    pieces = Pieces(render.template("line.html"))

    @router.get("/")
    def studies(request: Request, search: Asking) -> HTMLResponse:
        words = searches.words(search.key)
        person = who(request)
        asked = _asked(search, words or "", person)
        found = context.shared.get(asked, lambda: _read(context, asked))
        return render(
            request,
            "studies.html",
            found=found,
            pieces=pieces.of(found.lines, Beholder.of(person), datetime.now(UTC)),
            counts=context.shared.get("counts", lambda: _count(context)),
            search=search,
            typed=words or "",
            is_forgotten=words is None,
            states=tuple(ReadingState),
            port=context.dimse_port(),
            today=datetime.now(UTC).astimezone().date().isoformat(),
        )

    @router.post("/")
    def find(given: Form) -> RedirectResponse:
        """What was typed is kept here, and is in no address."""
        asked = {name: given.get(name, "") for name in _FIELDS}
        asked["search"] = searches.keep(given.get("words", ""))
        query = urlencode({name: value for name, value in asked.items() if value})
        return RedirectResponse(f"/?{query}" if query else "/", 303)

    return router


def _asked(search: Search, words: str, person: Who) -> Asked:
    kinds = _EVERYTHING if person.sees_names else (WordKind.ACCESSION,)
    return Asked(search.wanted(words), search.sort, search.before, search.after, kinds)


def _read(context: WebContext, asked: Asked) -> lines.Lines:
    with context.database.look() as tx:
        return lines.read(tx, asked)


def _count(context: WebContext) -> Counts:
    with context.database.look() as tx:
        return events.counts(tx)
