"""The JSON API and /health. What changes something wants the header ``X-Wetread: 1``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query
from fastapi.responses import JSONResponse, Response

from node.observe.metrics import CONTENT_TYPE
from node.web import alarms, places, views
from node.web.context import WebContext
from node.web.plain import delivery_json, job_json, plain, study_json
from storage import deletions, events, index, ledger, outbox, quarantine, retries
from storage.database import Transaction
from storage.deletions import NewDeletion, Scope
from storage.errors import Overloaded
from storage.quarantine import Quarantined
from storage.records import DeliveryState, JobState, Level, StudyPlace, Subject

CLICK_WAIT_S = 5.0
"""How long a click waits for another's."""
_LARGEST = 2**63 - 1
"""Of the databases' integers; larger numbers are refused here."""

RowId = Annotated[int, Path(ge=0, le=_LARGEST)]
SomeRowId = Annotated[int | None, Query(ge=0, le=_LARGEST)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Reason = Annotated[str, Query(min_length=1, max_length=1000)]
Offset = Annotated[int, Query(ge=0, le=_LARGEST)]


PlaceText = Annotated[str | None, Query(max_length=40)]


def place_of(name: str, text: str | None) -> StudyPlace | None:
    """The place that a query names.

    Raises
    ------
    HTTPException
    """
    try:
        return None if text is None else places.read(text)
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: {error}") from error


def same_origin(x_wetread: Annotated[str | None, Header()] = None) -> None:
    """A page elsewhere cannot add this header to a request without being asked first."""
    if x_wetread != "1":
        raise HTTPException(403, "the header X-Wetread: 1 is needed")


def routes(context: WebContext) -> APIRouter:
    router = APIRouter()
    _add_health(router, context)
    _add_metrics(router, context)
    _add_studies_and_jobs(router, context)
    _add_history(router, context)
    _add_acting(router, context)
    return router


def _add_health(router: APIRouter, context: WebContext) -> None:
    @router.get("/health")
    async def health() -> JSONResponse:  # async: answers when all threads wait for a database
        report = context.health.report()
        body = {
            **plain(report),
            "survives_power_cut": context.is_synced,
            "notes": list(context.cautions),
        }
        return JSONResponse(body, status_code=200 if report.ok else 503)


def _add_metrics(router: APIRouter, context: WebContext) -> None:
    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(context.metrics(), media_type=CONTENT_TYPE)


def _add_studies_and_jobs(router: APIRouter, context: WebContext) -> None:
    look = context.database.look

    @router.get("/api/studies", response_model=list[dict[str, Any]])
    def studies(limit: Limit = 50, offset: Offset = 0, before: PlaceText = None) -> Response:
        """Studies, the one that received last first. The header Link leads to the next."""
        place = place_of("before", before)

        def compute() -> _Page:
            with look() as tx:
                rows = index.list_studies(tx, limit, offset, place)
                found = views.study_views(tx, rows, context.indexing, objects=True)
            text = _json([study_json(view) for view in found])
            return _Page(text, rows[-1].place if len(rows) == limit else None)

        page = context.shared.get(("studies", limit, offset, place), compute)
        return _json_answer(page.text, _next_studies(limit, page.last))

    @router.get("/api/studies/{study_id}")
    def study(study_id: RowId) -> dict[str, Any]:
        with look() as tx:
            found = index.get_study(tx, study_id)
            (view,) = views.study_views(tx, [found], context.indexing, objects=True)
        return study_json(view)

    @router.get("/api/jobs", response_model=list[dict[str, Any]])
    def jobs(
        state: JobState | None = None,
        study: SomeRowId = None,
        limit: Limit = 100,
        offset: Offset = 0,
        before: SomeRowId = None,
    ) -> Response:
        """Jobs, newest first; ``before`` a job's number gives those entered before it."""
        with look() as tx:
            rows = ledger.list_jobs(tx, study, state, limit, offset, before)
            found = views.job_views(tx, rows, objects=True)
        return _json_answer(_json([job_json(view) for view in found]))

    @router.get("/api/jobs/{job_id}")
    def job(job_id: RowId) -> dict[str, Any]:
        with look() as tx:
            (view,) = views.job_views(tx, [ledger.get(tx, job_id)], objects=True)
            history = events.list_events(tx, Subject.JOB, job_id)
        return {**job_json(view), "events": plain(history)}


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of a list as it is sent, and the place where the next part begins."""

    text: bytes
    last: StudyPlace | None


def _next_studies(limit: int, last: StudyPlace | None) -> dict[str, str]:
    if last is None:
        return {}
    address = f"/api/studies?limit={limit}&before={places.written(last)}"
    return {"Link": f'<{address}>; rel="next"'}


def _json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, allow_nan=False, separators=(",", ":")).encode()


def _json_answer(text: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, media_type="application/json", headers=headers)


def _add_history(router: APIRouter, context: WebContext) -> None:
    look = context.database.look

    @router.get("/api/deliveries")
    def deliveries(
        state: DeliveryState | None = None, job: SomeRowId = None, limit: Limit = 200
    ) -> list[dict[str, Any]]:
        with look() as tx:
            rows = outbox.list_deliveries(tx, job_id=job, state=state, limit=limit)
        return [delivery_json(row) for row in rows]

    @router.get("/api/events")
    def all_events(level: Level | None = None, limit: Limit = 100) -> list[dict[str, Any]]:
        with look() as tx:
            return [plain(one) for one in events.list_events(tx, level=level, limit=limit)]

    @router.get("/api/quarantine")
    def refused(limit: Limit = 100) -> list[dict[str, Any]]:
        with look() as tx:
            return [_refused_json(one) for one in quarantine.newest(tx, limit)]

    @router.get("/api/deletions")
    def all_deletions(limit: Limit = 100) -> list[dict[str, Any]]:
        with look() as tx:
            return [plain(one) for one in deletions.newest(tx, limit)]

    @router.get("/api/alarms")
    def open_alarms(limit: Limit = 100) -> list[dict[str, Any]]:
        with look() as tx:
            return [plain(one) for one in events.open_alarms(tx, limit)]


def _refused_json(one: Quarantined) -> dict[str, Any]:
    """Without the image's UIDs; the file's name holds a digest."""
    return {
        "id": one.id,
        "file": one.refused.key,
        "kind": one.refused.kind,
        "reason": one.refused.reason,
        "from": one.refused.calling_ae,
        "count": one.count,
        "first_seen_at": one.first_seen_at.isoformat(),
        "last_seen_at": one.last_seen_at.isoformat(),
        "accepted_at": one.accepted_at.isoformat() if one.accepted_at else None,
    }


def _add_acting(router: APIRouter, context: WebContext) -> None:
    guarded = [Depends(same_origin)]
    one_at_a_time = threading.Lock()

    @contextmanager
    def changing() -> Iterator[Transaction]:
        """Clicks wait here for one another, not on connections that receiving needs."""
        if not one_at_a_time.acquire(timeout=CLICK_WAIT_S):
            raise Overloaded("others change something at this moment: try again")
        try:
            with context.database.write() as tx:
                yield tx
        finally:
            one_at_a_time.release()
            context.shared.forget()

    @router.post("/api/jobs/{job_id}/retry", dependencies=guarded)
    def retry(job_id: RowId) -> dict[str, str]:
        """Send again what was refused, or else run the job again."""
        with changing() as tx:
            done = retries.retry(tx, job_id, datetime.now(UTC)).in_words()
        context.wake()
        return {"done": done}

    @router.post("/api/studies/{study_id}/delete", dependencies=guarded)
    def delete(study_id: RowId, reason: Reason, undelivered: bool = False) -> dict[str, str]:
        """Have a study deleted; 409 with the condition that is not met."""
        with changing() as tx:
            holds = deletions.holds(tx, study_id, undelivered)
            if holds:
                raise HTTPException(409, f"it stays: {'; '.join(holds)}")
            wanted = NewDeletion(study_id, Scope.STUDY, reason, "the API", undelivered)
            deletions.ask(tx, wanted, datetime.now(UTC))
        return {"done": "the study is to be deleted"}

    @router.post("/api/quarantine/{quarantined_id}/accept", dependencies=guarded)
    def accept(quarantined_id: RowId, study: bool = False) -> dict[str, Any]:
        """Let refused bytes take the place of what is stored; with ``study`` all of its study."""
        with changing() as tx:
            try:
                number = quarantine.accept(tx, quarantined_id, datetime.now(UTC), study)
            except quarantine.NoCorrection as error:
                raise HTTPException(409, str(error)) from error
        return {"done": "accepted", "number": number}

    @router.post("/api/alarms/{event_id}/acknowledge", dependencies=guarded)
    def acknowledge(event_id: RowId, alike: bool = False) -> dict[str, Any]:
        with changing() as tx:
            number = alarms.acknowledge(tx, event_id, alike)
        return {"done": "acknowledged", "number": number}
