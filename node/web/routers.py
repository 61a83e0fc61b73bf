"""What the routes of pages and of the API are put together with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from node.web import forms


class Router(APIRouter):
    """Takes no longer body than a form, where a route does not say otherwise."""

    def __init__(self, **named: Any) -> None:
        super().__init__(max_body_size=forms.MAX_BYTES, **named)

    def take(self, other: Router) -> None:
        """The routes of another as they are: FastAPI's ``include_router`` builds each once more."""
        self.routes.extend(other.routes)
