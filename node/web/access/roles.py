"""Every route names the role it needs; ``who`` tells who asks.

A FastAPI route names it by ``dependencies=[needs(Role.OPERATOR)]``, its own or its router's; a
service of DICOMweb by its field ``role``; whatever else is mounted by ``Guarded``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from node.web.access import forgery, refusing, sight
from storage.people.users import Role as Role
from storage.restriction import EVERYTHING, NOTHING, Restriction


class Open(Enum):
    """The need of what everybody may ask for."""

    PUBLIC = "public"


PUBLIC: Final = Open.PUBLIC
Need = Role | Open


@dataclass(frozen=True, slots=True)
class Who:
    """Whoever asks."""

    name: str
    """Empty: nobody has logged in."""
    role: Role | None
    sees_names: bool = False
    """Whether pages show patients' names and IDs to him."""
    token: str = ""
    """What his forms carry in the field ``token``, scripts in the header ``X-Wetread-Token``."""
    lent_by: Role | None = None
    """The role of the owner, where he asks by an app password; None: he asks himself."""
    is_known_by_cookie: bool = False
    """A browser adds it to whatever a page elsewhere sends: what changes something needs the
    token, whatever its content type."""
    restriction: Restriction = EVERYTHING
    """Which studies he may see; the others are not there for him."""
    has_images: bool = True
    """Whether he has pictures and DICOMweb, which say of patients whatever images do."""

    def may(self, need: Need) -> bool:
        """Whether his role is enough."""
        if isinstance(need, Open):
            return True
        return self.role is not None and self.role.includes(need)


NOBODY: Final = Who("", None, restriction=NOTHING)


class Access(Protocol):
    """Tells who asks."""

    async def identify(self, request: Request) -> Who:
        """Whoever a request's cookie or credentials name; NOBODY without."""


def who(request: Request) -> Who:
    """Whoever asks; NOBODY where that was not looked for."""
    found = request.scope.get(_KEY)
    return found if isinstance(found, Who) else NOBODY


async def admit(request: Request, need: Need) -> None:
    """Let in whoever has the role, and no request that a page elsewhere has forged.

    Raises
    ------
    HTTPException
        To the login, 401 or 403.
    """
    asking = request.scope.get(_KEY) or await request.app.state.access.identify(request)
    request.scope[_KEY] = asking
    sight.restrict(asking.restriction)
    if not asking.may(need):
        raise refusing.too_little(request, asking.name, asking.role, need)
    forgery.from_here(request)
    if need is not PUBLIC:  # who is nobody has no token: the login form
        await forgery.check(request, asking.token, asking.is_known_by_cookie)


class Needed:
    """What FastAPI asks before a route answers."""

    def __init__(self, need: Need) -> None:
        self.need = need

    async def __call__(self, request: Request) -> None:
        await admit(request, self.need)


def needs(need: Need) -> Any:  # as FastAPI's Depends itself
    """A dependency by which a route, or all routes of a router, names its role."""
    return Depends(Needed(need))


def admit_to_images(request: Request) -> None:
    """Refuse whoever is not shown names, after his role was asked: pictures may have them in it.

    Raises
    ------
    HTTPException
        403
    """
    asking = who(request)
    if not asking.has_images:
        raise refusing.no_images(str(asking.role))


async def _asked_for_images(request: Request) -> None:
    admit_to_images(request)


IMAGES: Final[Any] = Depends(_asked_for_images)
"""A dependency beside ``needs``, of a route that shows images."""


class Guarded:
    """An application that is mounted, for a role."""

    def __init__(self, app: ASGIApp, need: Need) -> None:
        self.need = need
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.need is not PUBLIC:
            await admit(Request(scope, receive), self.need)
        await self._app(scope, receive, send)


_KEY = "wetread.who"
