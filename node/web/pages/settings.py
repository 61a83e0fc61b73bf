"""The settings in force, table by table as the reference has them: value, default, meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from node.config import reference
from node.config.reference import TableOfKeys
from node.config.settings import Settings
from node.web.access.roles import Role, needs
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router

_SECRET = ("password", "passcode", "secret", "token")
"""In the names of keys whose values are not shown, unless they say where the value is."""
_PLACES = ("_file", "_env")


@dataclass(frozen=True, slots=True)
class Shown:
    """A key with its value in force."""

    name: str
    value: str
    default: str
    meaning: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table of the settings, or one entry of a list of tables."""

    title: str
    meaning: str
    keys: tuple[Shown, ...]


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/settings", dependencies=[needs(Role.ADMINISTRATOR)])
    def page(request: Request) -> HTMLResponse:
        settings = context.settings
        tables = [] if settings is None else list(shown(settings))
        return render(request, "settings.html", tables=tables)

    return router


@cache
def _reference() -> tuple[TableOfKeys, ...]:
    return tuple(reference.tables())


def shown(settings: Settings) -> Iterator[ShownTable]:
    """Every table that is in force, in the order of the file; parameters of analyzers last."""
    for table in _reference():
        for entry in _entries(settings, table):
            keys = tuple(_key(one, entry) for one in table.keys if hasattr(entry, one.name))
            name = getattr(entry, "name", "") if table.is_list else ""
            title = f"{table.header} {name}".strip()
            yield ShownTable(title, " ".join(table.meaning.split()), keys)
    for analyzer, values in settings.analyzers.items():
        keys = tuple(Shown(name, _text(value), "", "", False) for name, value in values.items())
        yield ShownTable(f"[analyzers.{analyzer}]", "Parameters of an analyzer.", keys)


def _entries(settings: Settings, table: TableOfKeys) -> list[Any]:
    """The tables of this kind that the settings hold; none where it is left out."""
    found: list[Any] = [settings]
    for part in table.path:
        inner = [getattr(one, part, None) for one in found]
        found = [
            entry
            for one in inner
            if one is not None
            for entry in (one if isinstance(one, tuple) else (one,))
        ]
    return [one for one in found if not table.kind or getattr(one, "kind", "") == table.kind]


def _key(key: reference.Key, entry: Any) -> Shown:
    value = getattr(entry, key.name)
    default = _text(key.schema.get("default"))
    said = "set, not shown" if _is_secret(key.name) and value else _text(value)
    return Shown(key.name, said, default, key.meaning, said == default or value in (None, "", ()))


def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRET) and not name.endswith(_PLACES)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return str(value)
