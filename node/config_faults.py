"""What is wrong with the settings, in words: key, line, and the nearest known name.

A value of the wrong kind is not quoted: it may be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from node import config_environment

if TYPE_CHECKING:
    from node.config import Settings

Location = tuple[str | int, ...]


def cross_check(settings: Settings) -> list[tuple[Location, str]]:
    return [
        *_unknown_names(settings),
        *_doubled(settings),
        *_bad_parameters(settings),
        *_bad_store(settings),
        *_unbindable(settings),
        *_same_port(settings),
    ]


def _same_port(settings: Settings) -> list[tuple[Location, str]]:
    """Two listeners at one place: the second would not start."""
    dimse, http = settings.dimse, settings.http
    places: list[tuple[Location, str, int]] = [
        (("dimse", "port"), dimse.host, dimse.port),
        (("http", "port"), http.host, http.port),
    ]
    if dimse.tls is not None:
        places.append((("dimse", "tls", "port"), dimse.tls.host or dimse.host, dimse.tls.port))
    faults: list[tuple[Location, str]] = []
    for number, (location, host, port) in enumerate(places):
        for other, at_host, taken in places[:number]:
            everywhere = {host, at_host} & {"", "0.0.0.0", "::"}
            if port and port == taken and (host == at_host or everywhere):
                faults.append((location, f"{port} is {'.'.join(map(str, other))} too"))
    return faults


def _unbindable(settings: Settings) -> list[tuple[Location, str]]:
    if settings.dimse.tls is not None and settings.dimse.tls.ca is not None:
        return []
    message = "needs dimse.tls.ca: only then are certificates asked for"
    return [
        (("peers", index, "certificate"), message)
        for index, peer in enumerate(settings.peers)
        if peer.certificate
    ]


def _bad_store(settings: Settings) -> list[tuple[Location, str]]:
    from storage.database import is_url

    scheme, _, rest = settings.storage.database.partition("://")
    if scheme not in {"sqlite", "postgresql+psycopg"}:
        return [(("storage", "database"), 'use "sqlite:///…" or "postgresql+psycopg://…"')]
    if not is_url(settings.storage.database):
        return [(("storage", "database"), "is no URL of a database")]
    if ":" in rest.rpartition("@")[0]:
        message = "holds a password: name it in database_password_file or database_password_env"
        return [(("storage", "database"), message)]
    return []


def _unknown_names(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry

    faults: list[tuple[Location, str]] = []
    destinations = [destination.name for destination in settings.destinations]
    for index, rule in enumerate(settings.rules):
        for name in rule.analyzers:
            if name not in registry.names():
                message = f"no analyzer is called {name!r}{_nearest(name, registry.names())}"
                faults.append((("rules", index, "analyzers"), message))
        for name in rule.destinations:
            if name not in destinations:
                message = f"no destination is called {name!r}{_nearest(name, destinations)}"
                faults.append((("rules", index, "destinations"), message))
    return faults


def _doubled(settings: Settings) -> list[tuple[Location, str]]:
    faults: list[tuple[Location, str]] = []
    named: dict[str, list[str]] = {
        "rules": [rule.name for rule in settings.rules],
        "destinations": [destination.name for destination in settings.destinations],
    }
    for table, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                faults.append(((table, index, "name"), f"{name!r} stands there twice"))
    return faults


def _bad_parameters(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry
    from analyzers.contract import AnalyzerError

    faults: list[tuple[Location, str]] = []
    used = {name for rule in settings.rules for name in rule.analyzers}
    for name in sorted(used.intersection(registry.names()) | settings.analyzers.keys()):
        try:
            registry.parameters(name, settings.analyzers.get(name, {}))
        except AnalyzerError as error:
            message = str(error)
            if name not in registry.names():
                message += _nearest(name, registry.names())
            faults.append((("analyzers", name), message))
    return faults


def check_keyword(keyword: str) -> None:
    from pydicom._dicom_dict import DicomDictionary
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(keyword) is None:
        known = [entry[4] for entry in DicomDictionary.values()]
        raise ValueError(f"{keyword} is no DICOM keyword{_nearest(keyword, known)}")


_CONDITION_KEYS = ("min", "max", "matches", "exists")


def check_condition(keyword: str, condition: object) -> None:
    if not isinstance(condition, dict):
        return
    for key in condition:
        if key not in _CONDITION_KEYS:
            raise ValueError(
                f"{keyword}: unknown condition {key!r}{_nearest(key, _CONDITION_KEYS)}"
            )


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def explain(error: ValidationError, model: type[BaseModel], path: Path, text: str) -> str:
    """One line a fault. Values are left out: they may be secrets."""
    lines: dict[str, None] = {}
    for fault in error.errors(include_input=False, include_url=False):
        location = tuple(fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(str(location[-1]), _known_keys(model, location[:-1]))}"
        if fault["type"] == "missing" and config_environment.variable_of(location[:-1]):
            message = f"{location[-1]}: {message}"
            location = location[:-1]
        lines[at(path, text, _without_union_tags(location)) + message] = None
    return "\n".join(lines)


def _without_union_tags(location: Location) -> Location:
    """pydantic adds the tried type's name to the path of a union; a reader does not want it."""
    if len(location) > 4 and location[0] == "rules" and location[2] == "when":
        return location[:4]
    return location


def _known_keys(settings: type[BaseModel], table: Location) -> list[str]:
    model: Any = settings
    for part in table:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        inner = getattr(annotation, "__args__", ())
        model = inner[0] if inner else annotation
    return list(getattr(model, "model_fields", {}))


def explain_variable(message: str) -> str:
    """Of a variable that should hold a whole table or list: it is not JSON."""
    named = re.search(r'field "([^"]+)"', message)
    variable = config_environment.variable_for(named[1] if named else "")
    return (
        f"environment variable {variable}: is no JSON; one key of a table is set by"
        f" {config_environment.PREFIX}TABLE{config_environment.DELIMITER}KEY"
    )


def at(path: Path, text: str, location: Location) -> str:
    """What a fault begins with: the variable that gives the value, else the file, line and key."""
    variable = config_environment.variable_of(location)
    if variable is not None:
        key = _dotted(config_environment.key_within(variable, location))
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
