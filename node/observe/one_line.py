"""Keeps what others sent – a title, an exception that quotes it – from looking like another line.

A break within a text would begin a line that nobody logged; control characters (ECMA-48) would
colour, move or delete what a terminal shows, and marks that turn the direction (Unicode UAX 9)
would reorder it.
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping
from typing import Any

UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
"""For a class of characters: C0 and C1, line separators, marks of direction."""
_UNSEEN = re.compile(f"[{UNSEEN}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WITHIN = "    "
"""Before the lines of a traceback: a line of the log begins with its time."""


def in_words(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor before the console's renderer, which writes values as Python does."""
    if "event" in event:
        event["event"] = escaped(str(event["event"]))
    for key in ("exception", "stack"):
        if key in event:
            lines = str(event[key]).split("\n")
            event[key] = "\n".join(f"{_WITHIN}{escaped(one)}" for one in lines)
    return event


def as_json(event: MutableMapping[str, Any], **options: Any) -> str:
    """JSON on one line for whoever splits lines, other than that readable."""
    return _UNSEEN.sub(_code, json.dumps(event, ensure_ascii=False, **options))


def escaped(text: str) -> str:
    """With every such character as Python writes it."""
    return _UNSEEN.sub(lambda found: _SHORT.get(found[0]) or _code(found), text)


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
