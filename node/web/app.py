"""The status page, its API and /health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from node.observe.health import Health
from node.web import views
from storage import events, index, ledger, outbox
from storage.database import Database
from storage.errors import DatabaseUnavailable, NotFound, StorageError
from storage.records import DeliveryState, JobState, Subject
from storage.results import ResultStore

HERE = Path(__file__).parent
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the application shows and may touch. ``wake`` is called when something is due again."""

    database: Database
    results: ResultStore
    health: Health
    title: str
    version: str
    dimse_host: str
    dimse_port: Callable[[], int]
    destinations: tuple[str, ...]
    wake: Callable[[], None]


def create_app(context: WebContext) -> FastAPI:
    """The application; it keeps no state of its own."""
    app = FastAPI(title=context.title, version=context.version, docs_url=None, redoc_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _add_safety(app)
    _add_page(app, context)
    _add_reading(app, context)
    _add_acting(app, context)
    return app


def _add_safety(app: FastAPI) -> None:
    @app.middleware("http")
    async def harden(request: Request, proceed: Any) -> Response:
        answer: Response = await proceed(request)
        answer.headers.update(SECURITY)
        if not request.url.path.startswith(("/static/", "/previews/")):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.exception_handler(DatabaseUnavailable)
    async def unavailable(request: Request, error: DatabaseUnavailable) -> Response:
        message = {"error": f"the database is not available: {error}"}
        return JSONResponse(message, status_code=503)

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: NotFound) -> Response:
        return JSONResponse({"error": str(error)}, status_code=404)

    @app.exception_handler(StorageError)
    async def refused(request: Request, error: StorageError) -> Response:
        return JSONResponse({"error": str(error)}, status_code=409)


def _add_page(app: FastAPI, context: WebContext) -> None:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    templates.globals.update(node=context, number=views.number, ago=views.ago, until=views.until)

    def render(name: str, offset: int) -> HTMLResponse:
        with context.database.read() as tx:
            view = views.status(tx, offset)
        health = context.health.report()
        text = templates.get_template(name).render(
            view=view, health=health, port=context.dimse_port(), page=views.PAGE
        )
        return HTMLResponse(text)

    @app.get("/", response_class=HTMLResponse)
    def page(offset: int = 0) -> HTMLResponse:
        return render("page.html", max(0, offset))

    @app.get("/fragment", response_class=HTMLResponse)
    def fragment(offset: int = 0) -> HTMLResponse:
        return render("fragment.html", max(0, offset))

    @app.get("/previews/{job_id}/{number}.png")
    def preview(job_id: int, number: int) -> FileResponse:
        with context.database.read() as tx:
            keys = ledger.results_of(tx, job_id).previews
        if not 0 <= number < len(keys) or not context.results.path(keys[number]).is_file():
            raise HTTPException(404, "there is no such preview")
        headers = {"Cache-Control": "private, max-age=60"}
        return FileResponse(
            context.results.path(keys[number]), media_type="image/png", headers=headers
        )


def _add_reading(app: FastAPI, context: WebContext) -> None:
    read = context.database.read

    @app.get("/health")
    def health() -> JSONResponse:
        report = context.health.report()
        return JSONResponse(views.plain(report), status_code=200 if report.ok else 503)

    @app.get("/api/studies")
    def studies(limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
        with read() as tx:
            rows = index.list_studies(tx, limit=_clipped(limit), offset=max(0, offset))
            return [views.study_json(views.study_view(tx, row)) for row in rows]

    @app.get("/api/studies/{study_id}")
    def study(study_id: int) -> dict[str, Any]:
        with read() as tx:
            return views.study_json(views.study_view(tx, index.get_study(tx, study_id)))

    @app.get("/api/jobs")
    def jobs(
        state: JobState | None = None, study: int | None = None, limit: int = 100, offset: int = 0
    ) -> list[dict[str, Any]]:
        with read() as tx:
            rows = ledger.list_jobs(tx, study, state, _clipped(limit), max(0, offset))
            return [views.job_json(views.job_view(tx, row)) for row in rows]

    @app.get("/api/jobs/{job_id}")
    def job(job_id: int) -> dict[str, Any]:
        with read() as tx:
            found = views.job_json(views.job_view(tx, ledger.get(tx, job_id)))
            history = events.list_events(tx, Subject.JOB, job_id)
        return {**found, "events": views.plain(history)}

    @app.get("/api/deliveries")
    def deliveries(
        state: DeliveryState | None = None, job: int | None = None, limit: int = 200
    ) -> list[dict[str, Any]]:
        with read() as tx:
            rows = outbox.list_deliveries(tx, job_id=job, state=state, limit=_clipped(limit))
        return [
            {
                **views.plain(row),
                "object": {"kind": row.object.kind, "bytes": row.object.size_bytes},
            }
            for row in rows
        ]

    @app.get("/api/events")
    def all_events(limit: int = 100) -> Any:
        with read() as tx:
            return views.plain(events.list_events(tx, limit=_clipped(limit)))

    @app.get("/api/alarms")
    def alarms() -> Any:
        with read() as tx:
            return views.plain(events.open_alarms(tx))


def _clipped(limit: int) -> int:
    return min(max(1, limit), 1000)


def _add_acting(app: FastAPI, context: WebContext) -> None:
    def same_origin(marker: str | None) -> None:
        """A page elsewhere cannot add this header to a request without being asked first."""
        if marker != "1":
            raise HTTPException(403, "the header X-Wetread: 1 is needed")

    @app.post("/api/jobs/{job_id}/retry")
    def retry(job_id: int, x_wetread: str | None = Header(None)) -> dict[str, str]:
        same_origin(x_wetread)
        now = datetime.now(UTC)
        with context.database.write() as tx:
            job = ledger.get(tx, job_id)
            if job.state is JobState.DONE and outbox.restart_job(tx, job_id, now):
                done = "its failed deliveries are due again"
            else:
                ledger.restart(tx, job_id, now)
                done = "the job is due again"
        context.wake()
        return {"done": done}

    @app.post("/api/alarms/{event_id}/acknowledge")
    def acknowledge(event_id: int, x_wetread: str | None = Header(None)) -> dict[str, str]:
        same_origin(x_wetread)
        with context.database.write() as tx:
            events.acknowledge(tx, event_id)
        return {"done": "acknowledged"}
