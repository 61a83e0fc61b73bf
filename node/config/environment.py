"""The environment variables that override the settings, and which of them said what.

A fault that comes from a variable names the variable, not a line of the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

PREFIX = "WETREAD_"
DELIMITER = "__"
_OWN = {"WETREAD_CONFIG"}

Location = tuple[str | int, ...]


def variable_of(location: Location) -> str | None:
    """The variable that gives the value at a place of the settings; None where none does."""
    wanted = [str(part).lower() for part in location]
    for length in range(len(wanted), 0, -1):
        for name in _names():
            if _path(name) == wanted[:length] and _holds(os.environ[name], wanted[length:]):
                return name
    return None


def key_within(variable: str, location: Location) -> Location:
    """Where in a variable, which may be a whole table, a place of the settings is."""
    return location[len(_path(variable)) :]


def variable_for(key: str) -> str:
    """The name that a person would use for a key of the settings, or for a table."""
    return next((name for name in _names() if _path(name)[0] == key.lower()), PREFIX + key.upper())


def misspelt(tables: Iterable[str]) -> list[str]:
    """Faults of variables that look like settings and would be passed over in silence."""
    known = set(tables)
    faults = []
    for name in _names():
        table = _path(name)[0]
        if table in known:
            continue
        nearest = next((one for one in known if table.startswith(one + "_")), None)
        if nearest is not None:
            right = PREFIX + nearest.upper() + DELIMITER + table[len(nearest) + 1 :].upper()
            faults.append(f"environment variable {name}: is none; did you mean {right}?")
        elif len(_path(name)) > 1:
            faults.append(f"environment variable {name}: there is no table {table!r}")
    return faults


def _names() -> list[str]:
    return [
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in _OWN
    ]


def _path(name: str) -> list[str]:
    return name[len(PREFIX) :].lower().split(DELIMITER)


def _holds(text: str, inside: list[str]) -> bool:
    """Whether a variable, which may be a whole table as JSON, has a value at a place in it."""
    if not inside:
        return True
    try:
        value: Any = json.loads(text)
    except ValueError:
        return False
    for part in inside:
        if isinstance(value, Mapping):
            value = {key.lower(): one for key, one in value.items()}.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
        if value is None:
            return False
    return True
