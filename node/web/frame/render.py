"""Pages: a template in the frame of all pages, with what every page says of the node.

Rendered on the server; names and descriptions come from images and are escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from node.config.values import is_local
from node.web import badges, wording
from node.web.access.roles import Role, Who, who
from node.web.context import WebContext
from node.web.frame import navigation
from node.web.frame.navigation import Entry
from node.web.named import Named
from storage import events, gaps, suspension
from storage.errors import StorageError

ROOM = Path(__file__).parent.parent
STATIC = ROOM / "static"


def templates() -> Environment:
    """Those of all pages, without what they ask of a node."""
    return Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


class Render:
    """Renders templates. ``render(request, "jobs.html", jobs=…)`` is the whole page."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._entries: dict[Role | None, tuple[Entry, ...]] = {}
        self._templates = templates()
        self._templates.globals.update(
            node=context,
            words=wording,
            named=Named(context.settings),
            operator=Role.OPERATOR,
            administrator=Role.ADMINISTRATOR,
            badges=badges,
            gap_words=gaps.WORDS,
            host=wording.reachable_host(context.dimse_host),
            only_local=is_local(context.dimse_host),
        )

    def __call__(
        self, request: Request, name: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A template with these values, and ``who``, ``now``, ``pages``, ``alarms``, ``health``."""
        text = self._templates.get_template(name).render(**self._given(request), **values)
        return HTMLResponse(wording.readable(text), status)

    def template(self, name: str) -> Template:
        """A template that is rendered by itself, as a part of a page."""
        return self._templates.get_template(name)

    def _given(self, request: Request) -> dict[str, Any]:
        person = who(request)
        return {
            "who": person,
            "path": request.url.path,
            "pages": self._pages(person, request),
            "alarm_count": self._alarms() if person.role else 0,
            "suspended": self._suspended() if person.role else "",
            "health": self._context.health.report(),
            "now": datetime.now(UTC),
        }

    def _pages(self, person: Who, request: Request) -> tuple[Entry, ...]:
        """Looked up once for each role: every read of a page asks."""
        if person.role not in self._entries:
            self._entries[person.role] = navigation.shown(person, request.app.state.routes)
        return self._entries[person.role]

    def _alarms(self) -> int:
        """How many nobody has acknowledged; none are told of while that cannot be asked."""
        try:
            return self._context.shared.get("alarms", self._count_alarms)
        except StorageError:
            return 0

    def _suspended(self) -> str:
        """By whom and why no job is started, in words; empty where they are."""
        try:
            return self._context.shared.get("suspension", self._read_suspension)
        except StorageError:
            return ""

    def _read_suspension(self) -> str:
        with self._context.database.look() as tx:
            found = suspension.current(tx)
        return found.in_words() if found else ""

    def _count_alarms(self) -> int:
        with self._context.database.look() as tx:
            return events.count_open_alarms(tx)
