"""The answers that are not what was asked for, as the OpenAPI document lists them."""

from __future__ import annotations

from typing import Any

from node.web.shapes.answers import Refused

Answers = dict[int | str, dict[str, Any]]


def _because(words: str) -> dict[str, Any]:
    return {"model": Refused, "description": words}


ALWAYS: Answers = {
    400: _because("The Host header names no host that this node is asked by."),
    401: _because("Nobody has logged in, and this is not for everybody."),
    403: _because("The role of whoever asks is not enough, or he asks from a page elsewhere."),
    422: _because("A parameter is missing, or is not what it must be."),
    503: _because(
        "The database is away, or too many ask at once: Retry-After says when to ask again."
    ),
}
MISSING: Answers = {404: _because("There is no such row.")}
ACTING: Answers = {
    403: _because("The role is not enough, or the header X-Wetread: 1 or the token is missing."),
    **MISSING,
    409: _because("A condition is not met; the sentence names it. Nothing was changed."),
}
