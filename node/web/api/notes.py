"""Notes that people write on studies."""

from __future__ import annotations

from fastapi import Depends, Request

from node.web.access.roles import Role, needs, who
from node.web.api.acts import Acts, person
from node.web.api.changing import Changes, same_origin
from node.web.api.refusing import ACTING, MISSING
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.notes import NewNote, Note
from storage import index
from storage.people import notes

_WRITING = [needs(Role.VIEWER), Depends(same_origin)]


def add(router: Router, context: WebContext, changes: Changes) -> None:
    acts = Acts(context, changes)

    @router.get("/api/studies/{study_id}/notes", responses=MISSING)
    def of_study(request: Request, study_id: RowId) -> list[Note]:
        """What people have written on a study, the oldest first, with what was struck out; without
        their texts for whoever is not shown names."""
        with context.database.look() as tx:
            index.get_study(tx, study_id)
            written = notes.of_study(tx, study_id)
        return [Note.to(who(request), one) for one in written]

    @router.post("/api/studies/{study_id}/notes", dependencies=_WRITING, responses=ACTING)
    def write(request: Request, study_id: RowId, given: NewNote) -> Note:
        """Write a note; it cannot be changed any more."""
        return Note.to(who(request), acts.note(study_id, given.text, person(request)))

    @router.post(
        "/api/studies/{study_id}/notes/{note_id}/strike", dependencies=_WRITING, responses=ACTING
    )
    def strike(request: Request, study_id: RowId, note_id: RowId) -> Note:
        """Strike out a note of one's own; an administrator, any."""
        return Note.to(who(request), acts.strike(study_id, note_id, who(request)))
