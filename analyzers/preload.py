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
from types import CodeType


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
        for imported, parts in _imports(_code(name)):
            with suppress(Exception):  # a plugin's import may raise anything
                __import__(imported, fromlist=parts)
            waiting += [imported, *(f"{imported}.{part}" for part in parts)]


def _code(module: str) -> CodeType | None:
    """None where the name is no module, or one that is not written in Python."""
    spec: ModuleSpec | None = getattr(sys.modules.get(module), "__spec__", None)
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    return get_code(module) if get_code is not None else None


def _imports(code: CodeType | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(module, names taken from it) of every import statement in a module, wherever it stands."""
    if code is None:
        return
    parts: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_CONST" and (step.argval is None or isinstance(step.argval, tuple)):
            parts = step.argval or ()
        elif step.opname == "IMPORT_NAME":
            yield step.argval, parts
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imports(inner)
