"""What the routes of pages and of the API are put together with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from node.web import forms


class Route(APIRoute):
    """What its endpoint takes and gives is read when it is first asked, or described: a node has a
    hundred routes, and reading them all is most of what its application takes to be there.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Sequence[str] | None = None,
        name: str | None = None,
        dependencies: Sequence[Depends] | None = None,
        include_in_schema: bool = True,
        **named: Any,
    ) -> None:
        self.path = path
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.endpoint = endpoint
        self.methods = {method.upper() for method in methods or ("GET",)}
        self.name = name or endpoint.__name__
        self.dependencies = list(dependencies or ())
        self.include_in_schema = include_in_schema
        self._named = named
        self._reading = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there yet."""
        if name.startswith("__"):
            raise AttributeError(name)
        with self._reading:
            if "app" not in self.__dict__:
                super().__init__(
                    self.path,
                    self.endpoint,
                    methods=self.methods,
                    name=self.name,
                    dependencies=self.dependencies,
                    include_in_schema=self.include_in_schema,
                    **self._named,
                )
        return object.__getattribute__(self, name)


class Router(APIRouter):
    """Takes no longer body than a form, where a route does not say otherwise."""

    def __init__(self, **named: Any) -> None:
        super().__init__(max_body_size=forms.MAX_BYTES, route_class=Route, **named)

    def take(self, other: Router) -> None:
        """The routes of another as they are: FastAPI's ``include_router`` builds each once more."""
        self.routes.extend(other.routes)
