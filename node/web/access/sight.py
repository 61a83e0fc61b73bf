"""Which studies are there for the request that is being answered.

Whoever is let in brings it with him; every transaction of the web application asks for it. What is
read without anybody having been let in is a fault of the program: it is raised, and nothing shown.
"""

from __future__ import annotations

from contextvars import ContextVar

from storage.restriction import Restriction

_SEEN: ContextVar[Restriction] = ContextVar("wetread_restriction")


def restrict(restriction: Restriction) -> None:
    """What is read from now on, in this request, is read for somebody who sees this."""
    _SEEN.set(restriction)


def current() -> Restriction:
    """What the request that is being answered may see.

    Raises
    ------
    LookupError
        Nobody was let in.
    """
    return _SEEN.get()
