"""The installed analyzers: what each reads, gives and is known of, its parameters and its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, HTMLResponse
from markupsafe import Markup

from analyzers import registry, repeatability
from analyzers.contract import AnalyzerError, AnalyzerInfo
from node.web import card, parameters
from node.web.access.roles import Role, needs
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router
from storage.errors import NotFound

FIGURE_S = 3600
"""How long a browser keeps a figure of a card."""
_VIEWER = [needs(Role.VIEWER)]


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list; ``fault`` where it is broken."""

    name: str
    info: AnalyzerInfo | None
    fault: str = ""


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/analyzers", dependencies=_VIEWER)
    def all_of_them(request: Request) -> HTMLResponse:
        found = [_listed(name) for name in registry.names()]
        return render(request, "analyzers.html", analyzers=found)

    @router.get("/analyzers/{name}", dependencies=_VIEWER)
    def one(request: Request, name: str) -> HTMLResponse:
        listed = _listed(_known(name))
        path = _card(name) if listed.info else ""
        is_elsewhere = "://" in path
        return render(
            request,
            "analyzer.html",
            one=listed,
            package=registry.package(name),
            fields=parameters.fields_of(name),
            card=Markup("") if is_elsewhere or not path else _shown(name, path),
            address=path if is_elsewhere else "",
            rules=_rules(context, name),
            repeated=repeatability.in_words(name, listed.info.version) if listed.info else "",
        )

    @router.get("/analyzers/{name}/figures/{figure}", dependencies=_VIEWER)
    def figure(name: str, figure: str) -> FileResponse:
        path = _card(_known(name))
        if not path or "://" in path or not card.FIGURE.fullmatch(figure):
            raise NotFound("there is no such figure")
        file = Path(path).parent / figure
        if not file.is_file():
            raise NotFound("there is no such figure")
        headers = {"Cache-Control": f"private, max-age={FIGURE_S}"}
        return FileResponse(file, headers=headers)

    return router


def _known(name: str) -> str:
    if name not in registry.names():
        raise NotFound("there is no such analyzer")
    return name


def _listed(name: str) -> Listed:
    try:
        return Listed(name, registry.info(name))
    except AnalyzerError as error:
        return Listed(name, None, str(error))


def _card(name: str) -> str:
    try:
        return registry.card(name)
    except AnalyzerError:
        return ""


def _shown(name: str, path: str) -> Markup:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Markup("")
    return card.shown(text, f"/analyzers/{name}/figures")


def _rules(context: WebContext, name: str) -> list[str]:
    rules = context.settings.rules if context.settings else ()
    return [one.name for one in rules if name in one.analyzers]
