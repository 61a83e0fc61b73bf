"""Which role every route of an application needs: one that names none is a fault of the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Mount

from node.web.access.roles import Guarded, Need, Needed, Open


class NamesNoRole(TypeError):
    """A route can be reached by everybody, and nobody wanted that."""


@dataclass(frozen=True, slots=True)
class NamedRoute:
    """One method of one path."""

    method: str
    path: str
    need: Need


def named(app: FastAPI) -> list[NamedRoute]:
    """Every route with its role; those that are mounted as a whole have the method ``*``.

    Raises
    ------
    NamesNoRole
    """
    if getattr(app.router, "_low_priority_routes", ()):
        raise NamesNoRole("a frontend of FastAPI names no role: mount it as Guarded")
    return list(_of(app.router.routes, ""))


def _of(routes: list[BaseRoute], above: str) -> Iterator[NamedRoute]:
    for one in iter_route_contexts(routes):
        path = f"{above}{one.path}"
        if isinstance(one.original_route, Mount) and one.original_route.routes:
            yield from _of(one.original_route.routes, path)
        else:
            yield from _methods(one, path)


def _methods(route: RouteContext, path: str) -> Iterator[NamedRoute]:
    of_fastapi = isinstance(route.original_route, APIRoute)
    app = None if of_fastapi else getattr(route.original_route, "app", route.original_route)
    if isinstance(app, Guarded):
        needed: Mapping[str, Need] = dict.fromkeys(route.methods or ("*",), app.need)
    elif isinstance(found := getattr(app, "needs", None), Mapping):
        needed = found
    else:
        needed = dict.fromkeys(route.methods or (), _strictest(route, path))
    if not needed:
        raise NamesNoRole(f"{path} names no role")
    yield from (NamedRoute(method, path, need) for method, need in sorted(needed.items()))


def _strictest(route: RouteContext, path: str) -> Need:
    """Of what the router, and the route itself, name: each is asked."""
    found = [
        one.dependency.need
        for one in getattr(route, "dependencies", ())
        if isinstance(one.dependency, Needed)
    ]
    roles = [one for one in found if not isinstance(one, Open)]
    if not found:
        raise NamesNoRole(f"{path} names no role: give it dependencies=[needs(…)]")
    return max(roles, key=lambda role: sum(map(role.includes, roles))) if roles else found[0]
