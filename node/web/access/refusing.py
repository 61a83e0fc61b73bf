"""What is answered to whoever may not."""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

LOGIN = "/login"


def too_little(request: Request, name: str, role: str | None, need: object) -> HTTPException:
    """Of somebody whose role is not enough; nobody is led to the login."""
    if role is not None:
        return HTTPException(403, f"this needs the role {need}; {name} has the role {role}")
    if "text/html" in request.headers.get("accept", ""):
        wanted = f"?next={_place(request)}" if request.method == "GET" else ""
        return HTTPException(303, "log in first", {"Location": f"{LOGIN}{wanted}"})
    return HTTPException(401, "log in first", {"WWW-Authenticate": _challenge(request)})


def no_images(role: str) -> HTTPException:
    """Of a role that is not shown who patients are, as images are."""
    return HTTPException(
        403, f"the role {role} is not shown patients' names here, and has no images therefore"
    )


def _place(request: Request) -> str:
    """Where to go after the login. A study's UID stays in the address for no longer than that."""
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(f"{request.url.path}{query}", safe="/")


def _challenge(request: Request) -> str:
    """RFC 9110 11.6.1 wants one. Browsers would ask for a password by a window of their own."""
    is_browser = "sec-fetch-mode" in request.headers
    return 'Login realm="Wetread"' if is_browser else 'Basic realm="Wetread", charset="UTF-8"'
