"""What was refused and kept aside: images, by study and reason, and results of the output gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from node.web.access.roles import Role, needs
from node.web.api.acts import Acts, person
from node.web.api.changing import Changes
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.routers import Router
from storage import index, quarantine
from storage.database import Transaction
from storage.quarantine import Quarantined, RefusalKind

READ_AT_MOST = 1000
"""Refused images that are grouped: those seen last."""
SHOWN = 100
"""Groups of them."""
_OPERATOR = [needs(Role.OPERATOR)]


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one study that were refused for one kind of reason. ``id`` is of the last seen."""

    id: int
    reason: str
    senders: tuple[str, ...]
    study_id: int | None
    """None where the study is not here, or not known."""
    images: int
    times: int
    last_seen_at: datetime
    is_correction: bool
    """Whether they may take the place of what is stored."""
    accepted: int


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    acts = Acts(context, changes)

    @router.get("/quarantine", dependencies=_OPERATOR)
    def page(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            groups = _groups(tx, quarantine.newest(tx, READ_AT_MOST))
        results = context.actions.refused_results()
        return render(request, "quarantined.html", groups=groups, results=results)

    @router.post("/quarantine/{quarantined_id}/accept", dependencies=_OPERATOR)
    def accept(quarantined_id: RowId) -> RedirectResponse:
        acts.accept(quarantined_id, whole_study=True)
        return RedirectResponse("/quarantine", 303)

    @router.post("/quarantine/results/{name}/release", dependencies=_OPERATOR)
    def release(
        request: Request, name: str, given: Annotated[dict[str, str], Depends(words)]
    ) -> RedirectResponse:
        acts.release(name, person(request), given.get("reason", "")[:400])
        return RedirectResponse("/quarantine", 303)

    return router


def _groups(tx: Transaction, found: Sequence[Quarantined]) -> list[Group]:
    """The one with the image that was seen last first; ``SHOWN`` at most."""
    ordered = sorted(found, key=_kind)
    alike = [list(members) for _, members in groupby(ordered, _kind)]
    alike.sort(key=lambda members: max(one.last_seen_at for one in members), reverse=True)
    return [_group(tx, members) for members in alike[:SHOWN]]


def _kind(one: Quarantined) -> tuple[str, str, str]:
    """What names no study is told apart by who sent it."""
    refused = one.refused
    sender = "" if refused.study_instance_uid else refused.calling_ae
    return refused.study_instance_uid, refused.kind, sender


def _group(tx: Transaction, members: Sequence[Quarantined]) -> Group:
    last = max(members, key=lambda one: (one.last_seen_at, one.id))
    uid = last.refused.study_instance_uid
    study = index.find_study(tx, uid) if uid else None
    is_conflict = last.refused.kind is RefusalKind.CONFLICT
    accepted = sum(one.accepted_at is not None for one in members)
    return Group(
        id=last.id,
        reason=last.refused.reason,
        senders=tuple(sorted({one.refused.calling_ae or "unknown" for one in members})),
        study_id=study.id if study else None,
        images=len(members),
        times=sum(one.count for one in members),
        last_seen_at=last.last_seen_at,
        is_correction=is_conflict and accepted < len(members),
        accepted=accepted,
    )
