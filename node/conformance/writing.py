"""How the statement is written: tables, names of UIDs, numbered headings and the list of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pydicom.uid import UID

from node.statuses import StatusRow

_HEADING = re.compile(r"^(#{2,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(#([^)]+)\)")
LISTED = 3
"""Headings down to this level stand in the table of contents."""


def table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [" | ".join(map(str, row)) for row in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {line} |\n" for line in lines)


def statuses(rows: Sequence[StatusRow]) -> str:
    """A service's table of what it answers."""
    return table(
        ("Status", "Meaning", "When", "Source"),
        [(f"0x{row.code:04X}", row.meaning, row.when, row.source) for row in rows],
    )


def name_of(uid: str) -> str:
    return UID(uid).name or "(retired, without a name)"


def in_order(uids: Iterable[str]) -> list[str]:
    return sorted(uids, key=lambda uid: [int(part) for part in uid.split(".")])


def status_range(first: int, last: int) -> str:
    return f"0x{first:04X}" if first == last else f"0x{first:04X}–0x{last:04X}"


def numbered(text: str, contents: str) -> str:
    """The text with its headings numbered as PS3.2 numbers them, links to them with it, and the
    table of contents in the place of ``contents``."""
    counts = [0] * 7
    anchors: dict[str, str] = {}
    listed: list[str] = []

    def number(found: re.Match[str]) -> str:
        level, title = len(found[1]), found[2]
        counts[level] += 1
        counts[level + 1 :] = [0] * (6 - level)
        dotted = ".".join(map(str, counts[2 : level + 1]))
        anchors.setdefault(_anchor(title), _anchor(f"{dotted} {title}"))
        if level <= LISTED:
            indent = "  " * (level - 2)
            listed.append(f"{indent}- [{dotted} {title}](#{_anchor(f'{dotted} {title}')})")
        return f"{found[1]} {dotted} {title}"

    made = _HEADING.sub(number, text)
    made = _LINK.sub(lambda found: f"](#{anchors.get(found[1], found[1])})", made)
    return made.replace(contents, "\n".join(listed))


def _anchor(title: str) -> str:
    """As Markdown is shown with anchors: lower case, hyphens for blanks, other signs dropped."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
