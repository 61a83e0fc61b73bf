"""Loads ahead what an analyzer's functions import when they run.

An analyzer's module declares it and imports its algorithm where that is used: a process that only
asks for the declaration stays small. A worker loads all of it before the first job, so that it
is no job's time or memory.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.util import resolve_name
from types import CodeType
from typing import Any


def preload(module: str) -> None:
    """Import what a module, and those of its package that it imports, import anywhere.

    What does not import says so to the function that needs it.
    """
    package = module.partition(".")[0]
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] != package:
            continue
        seen.add(name)
        for written, parts in _imports(_code(name)):
            with suppress(Exception, SystemExit):  # a plugin's import may raise anything
                imported = resolve_name(written, _home(name))
                waiting += [imported, *(f"{imported}.{part}" for part in parts)]
                __import__(imported, fromlist=parts)


def _home(module: str) -> str | None:
    """The package from which a module's relative imports count."""
    spec: ModuleSpec | None = getattr(sys.modules.get(module), "__spec__", None)
    return spec.parent if spec is not None else None


def _code(module: str) -> CodeType | None:
    """None where the name is no module, or one that is not written in Python."""
    spec: ModuleSpec | None = getattr(sys.modules.get(module), "__spec__", None)
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    return get_code(module) if get_code is not None else None


def _imports(code: CodeType | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(module, names taken from it) of every import statement in a module, wherever it stands.

    The module as it is written: a relative one begins with dots.
    """
    if code is None:
        return
    before: list[Any] = [0, None]
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level, parts = before
            yield "." * level + step.argval, parts or ()
        if step.opname != "EXTENDED_ARG":  # a part of the instruction behind it
            before = [before[1], step.argval]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imports(inner)
