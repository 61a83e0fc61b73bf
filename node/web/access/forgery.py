"""Keeps pages elsewhere from having something done in the name of whoever looks at them (CSRF).

Three things have to be right: where a browser says that a request comes from, the cookie's
SameSite, and a token that only the node's own pages know.
"""

from __future__ import annotations

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.web.forms import TOKEN, fields
from node.web.hosts import is_cross_site

HEADER = "X-Wetread-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM = "application/x-www-form-urlencoded"
_FILES = "multipart/form-data"
_SENT_BY_FORMS = frozenset({_FORM, _FILES, "text/plain"})
"""A page elsewhere may send these without asking (Fetch 2.2.2)."""


def from_here(request: Request) -> None:
    """Refuse what changes something and comes from a page elsewhere, by what the browser says.

    Raises
    ------
    HTTPException
    """
    if request.method not in SAFE and is_cross_site(request.headers):
        raise HTTPException(403, "a page elsewhere cannot have something done here")


async def check(request: Request, token: str, always: bool) -> None:
    """Refuse what changes something without the token of whoever asks.

    The token may be a header's, or the field of a form; of one with files, the query's: it is
    looked for before the files are read. Without ``always`` only what a form can send needs one.

    Raises
    ------
    HTTPException
    """
    if request.method in SAFE:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not always and kind not in _SENT_BY_FORMS:
        return
    given = request.headers.get(HEADER) or await _in_form(request, kind)
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(
            403, f"the token is missing or old: load the page again ({HEADER}, or the field token)"
        )


async def _in_form(request: Request, kind: str) -> str:
    if kind == _FILES:
        return request.query_params.get(TOKEN, "")
    if kind != _FORM:
        return ""
    return " ".join((await fields(request)).get(TOKEN, ()))
