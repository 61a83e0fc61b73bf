"""What the web application is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.observe.health import Health
from storage.database import Database
from storage.results import ResultStore


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
    allowed_hosts: tuple[str, ...] = ("*",)
    """Names by which a browser may ask for this node; others are refused (DNS rebinding)."""
