"""Person names as they are looked for (PS3.4 C.2.2.2.1, PS3.5 6.2.1)."""

from __future__ import annotations

import unicodedata

from storage.schema import IndexedText


def component_groups(name: str) -> tuple[str, ...]:
    """The groups of a name (alphabetic, ideographic, phonetic) that hold anything, each once.

    As ``normalised`` has them, and not longer than an index takes.
    """
    groups = (normalised(group)[: IndexedText.MOST] for group in name.split("="))
    return tuple(dict.fromkeys(group for group in groups if group))


def normalised(group: str) -> str:
    """One component group without what does not count: case, how letters are composed, blanks
    round its components, and the delimiters at its end."""
    folded = unicodedata.normalize("NFC", group.casefold())
    return "^".join(part.strip(" \0") for part in folded.rstrip("^= \0").split("^"))
