"""The page that somebody wanted before he was asked to log in."""

from __future__ import annotations

HOME = "/"
LONGEST = 1000


def local_place(text: str) -> str:
    """A page of this node; whatever could lead elsewhere, or to the login, is the first page."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\", "/login", "/logout"))
    is_plain = all(" " < one < "\x7f" and one != "\\" for one in text) and len(text) <= LONGEST
    return text if is_local and is_plain else HOME
