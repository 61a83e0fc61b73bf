"""The cookies by which a browser is known: its session, and that somebody logged in by it before.

Over TLS both have the prefix ``__Host-``: no other host of the domain can set them, and they never
go over the network in the clear (RFC 6265bis 4.1.3).
"""

from __future__ import annotations

import hashlib
import secrets

from starlette.requests import Request
from starlette.responses import Response

SESSION = "wetread-session"
KNOWN = "wetread-known"
KNOWN_S = 180 * 86400


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def digest(token: str, purpose: str = "") -> str:
    """What is kept of a token: 64 hexadecimal digits that do not lead back to it."""
    return hashlib.sha256(f"{purpose}:{token}".encode()).hexdigest()


def read(request: Request, name: str) -> str:
    """Empty where there is none."""
    return request.cookies.get(_full(request, name), "")


def give(request: Request, response: Response, name: str, token: str, max_age_s: int) -> None:
    """Links from elsewhere, as of a PACS, open with it; nothing that changes something does."""
    response.set_cookie(
        _full(request, name),
        token,
        max_age=max_age_s,
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


def take(request: Request, response: Response, name: str) -> None:
    """The browser forgets it."""
    response.delete_cookie(
        _full(request, name), secure=_is_secure(request), httponly=True, samesite="lax"
    )


def _full(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
