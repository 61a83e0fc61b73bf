"""Who looked at what: the audit trail, for the administrator. That it is looked at is told in it.

Addresses carry row numbers alone: lines like another are asked for by its number, and what names a
patient is sent by a form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse

from node.audit import codes
from node.audit.events import TrailRead
from node.web.access.roles import Role, needs
from node.web.asked import SomeRowId
from node.web.audited import actor
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.routers import Router
from storage import audit
from storage.audit import ShownRow, Wanted
from storage.database import Transaction

AT_ONCE = 100
By = Literal["person", "patient", "study"]
EVENTS = tuple(
    code.meaning
    for code in (
        codes.APPLICATION_ACTIVITY,
        codes.AUDIT_LOG_USED,
        codes.INSTANCES_ACCESSED,
        codes.TRANSFER_BEGUN,
        codes.INSTANCES_TRANSFERRED,
        codes.STUDY_DELETED,
        codes.EXPORT,
        codes.IMPORT,
        codes.QUERY,
        codes.SECURITY_ALERT,
        codes.USER_AUTHENTICATION,
    )
)
_FIELDS = frozenset({"person", "patient_id", "accession_number", "event", "since", "until"})


@dataclass(frozen=True, slots=True)
class AuditView:
    """What the page shows."""

    rows: tuple[ShownRow, ...]
    studies: dict[str, int]
    """Numbers of the studies that are still here, by UID."""
    older: int | None
    """The number before which the next page begins."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Lines like another: by the same person, of the same patient, of the same study."""

    like: int | None = None
    by: By = "person"
    before: int | None = None


def alike(like: SomeRowId = None, by: By = "person", before: SomeRowId = None) -> Alike:
    """What a URL asks for."""
    return Alike(like, by, before)


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/audit", dependencies=[needs(Role.ADMINISTRATOR)])
    def page(request: Request, asked: Annotated[Alike, Depends(alike)]) -> HTMLResponse:
        _tell(request)
        with context.database.look() as tx:
            view = _read(tx, _like(tx, asked), asked.before)
        return render(request, "audit.html", view=view, events=EVENTS, asked=asked, form={})

    @router.post("/audit", dependencies=[needs(Role.ADMINISTRATOR)])
    def search(request: Request, given: Annotated[dict[str, str], Depends(words)]) -> HTMLResponse:
        _tell(request)
        before = _number(given.pop("before", ""))
        form = {name: given.get(name, "") for name in _FIELDS}
        with context.database.look() as tx:
            view = _read(tx, _wanted(tx, form), before)
        return render(request, "audit.html", view=view, events=EVENTS, asked=Alike(), form=form)

    def _tell(request: Request) -> None:
        if (by := actor(request)) is not None:
            context.audit.record(TrailRead(by))

    return router


def _read(tx: Transaction, wanted: Wanted, before: int | None) -> AuditView:
    found = audit.search(tx, wanted, before, AT_ONCE + 1)
    rows = tuple(found[:AT_ONCE])
    older = rows[-1].id if len(found) > AT_ONCE else None
    uids = {one.row.study_instance_uid for one in rows}
    return AuditView(rows, audit.numbers_of(tx, uids - {""}), older)


def _like(tx: Transaction, asked: Alike) -> Wanted:
    """
    Raises
    ------
    HTTPException
        There is no such line.
    """
    if asked.like is None:
        return Wanted()
    found = audit.search(tx, Wanted(), asked.like + 1, 1)
    if not found or found[0].id != asked.like:
        raise HTTPException(404, "there is no such line in the audit trail")
    row = found[0].row
    if asked.by == "patient":
        return Wanted(patient_id=row.patient_id)
    if asked.by == "study":
        return Wanted(study_instance_uid=row.study_instance_uid)
    return Wanted(person=row.person)


def _wanted(tx: Transaction, form: dict[str, str]) -> Wanted:
    """What a form asks for.

    Raises
    ------
    HTTPException
    """
    until = _day(form["until"])
    found = Wanted(
        person=form["person"],
        patient_id=form["patient_id"],
        event=form["event"],
        since=_day(form["since"]),
        until=until + timedelta(days=1) if until else None,
    )
    if not form["accession_number"]:
        return found
    uid = audit.study_of_accession(tx, form["accession_number"])
    return replace(found, study_instance_uid=uid or "none")


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError as error:
        raise HTTPException(422, "a day is written as 2026-03-01") from error


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None
