"""What is wrong with the settings, in words: key, line, and the nearest known name.

A value of the wrong kind is not quoted: it may be a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from node.config import environment
from node.config.destinations import settings_of
from node.config.environment import Location
from node.config.nearest import nearest

_GONE: dict[Location, str] = {
    ("http", "without_login"): (
        "is gone: people log in now; leave it out, and beyond this machine give [http.tls] or"
        " http.trusted_proxy (docs/access.md)"
    ),
}
"""Keys that a file of an earlier version may have, with what to do."""


def explain(error: ValidationError, model: type[BaseModel], path: Path, text: str) -> str:
    """One line a fault. Values are left out: they may be secrets."""
    lines: dict[str, None] = {}
    for fault in error.errors(include_input=False, include_url=False):
        found = tuple(fault["loc"])
        location = _without_union_tags(found)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            likely = nearest(str(location[-1]), _known_keys(model, found[:-1]))
            message = _GONE.get(location, f"unknown key{likely}")
        if fault["type"] == "missing" and environment.variable_of(location[:-1]):
            message = f"{location[-1]}: {message}"
            location = location[:-1]
        lines[at(path, text, location) + message] = None
    return "\n".join(lines)


def _without_union_tags(location: Location) -> Location:
    """pydantic adds the tried type's name to the path of a union; a reader does not want it."""
    if len(location) > 4 and location[0] == "rules" and location[2] == "when":
        return location[:4]
    if len(location) > 2 and location[0] == "destinations" and settings_of(location[2]):
        return (*location[:2], *location[3:])
    return location


def _known_keys(settings: type[BaseModel], table: Location) -> list[str]:
    model: Any = settings
    for part in table:
        if isinstance(part, int):
            continue
        if table[0] == "destinations" and (of_kind := settings_of(part)):
            model = of_kind
            continue
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        inner = getattr(annotation, "__args__", ())
        model = inner[0] if inner else annotation
    return list(getattr(model, "model_fields", {}))


def explain_variable(message: str) -> str:
    """Of a variable that should hold a whole table or list: it is not JSON."""
    named = re.search(r'field "([^"]+)"', message)
    variable = environment.variable_for(named[1] if named else "")
    return (
        f"environment variable {variable}: is no JSON; one key of a table is set by"
        f" {environment.PREFIX}TABLE{environment.DELIMITER}KEY"
    )


def at(path: Path, text: str, location: Location) -> str:
    """What a fault begins with: the variable that gives the value, else the file, line and key."""
    variable = environment.variable_of(location)
    if variable is not None:
        key = _dotted(environment.key_within(variable, location))
        where = f"environment variable {variable}: "
    else:
        key = _dotted(location)
        line = line_of(text, location)
        where = f"{path}:{line}: " if line else f"{path}: "
    return f"{where}{key}: " if key else where


def _dotted(location: Location) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    ).lstrip(".")


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, location: Location) -> int | None:
    """The line (from 1) where the file has a key, or its table; None where it has neither."""
    wanted = list(location)
    best: int | None = None
    table: list[str | int] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header:
            table = list(header[2].split("."))
            if header[1] == "[[":
                index = counts.get(header[2], -1) + 1
                counts[header[2]] = index
                table.append(index)
            if table == wanted[: len(table)]:
                best = number
            continue
        key = _KEY.match(line)
        if key:
            full = [*table, *key[1].replace('"', "").split(".")]
            if full == wanted[: len(full)]:
                return number
    return best
