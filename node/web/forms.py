"""What a form of the page sends, as it comes without scripts."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_BYTES = 64 * 1024
"""The application takes no longer body for what it does not store."""
TOKEN = "token"
"""The field that the guard has looked at."""
_MOST_FIELDS = 100


async def fields(request: Request) -> dict[str, list[str]]:
    """The values of every field that is not empty; may be asked again.

    Raises
    ------
    HTTPException
    """
    body = await request.body()
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(422, "the form is not this page's") from error


async def as_typed(request: Request, *names: str) -> list[str]:
    """Fields as they were typed, spaces and all: a password's are part of it."""
    given = await fields(request)
    return ["".join(given.get(name, ())) for name in names]


async def words(request: Request) -> dict[str, str]:
    """The same without the token, values of one name in one text with spaces between."""
    given = await fields(request)
    return {name: " ".join(all_of).strip() for name, all_of in given.items() if name != TOKEN}
