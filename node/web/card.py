"""A model card as a page shows it: the few forms of Markdown that cards are written in.

All text is escaped first; a picture is one of the card's own folder, by its plain name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

FIGURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,80}\.(?:png|jpg)")
"""The name of a picture beside a card."""
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`([^`]+)`")
_RULE = re.compile(r"[-:| ]+")
_DEEPEST = 4


def shown(text: str, figures: str) -> Markup:
    """A card as HTML. figures: the path below which its pictures are."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return Markup("\n").join(piece for block in blocks for piece in _block(block, figures))


def _block(block: str, figures: str) -> Iterator[Markup]:
    lines = block.strip("\n").splitlines()
    first = lines[0].strip() if lines else ""
    if first.startswith("#"):
        depth = min(len(first) - len(first.lstrip("#")) + 1, _DEEPEST)
        yield _wrapped(f"h{depth}", _inline(first.lstrip("# "), figures))
        if lines[1:]:
            yield from _block("\n".join(lines[1:]), figures)
    elif first.startswith("|"):
        yield _table(lines, figures)
    elif first.startswith(("- ", "* ")):
        yield _listed(lines, figures)
    elif first:
        yield _wrapped("p", _inline(" ".join(line.strip() for line in lines), figures))


def _wrapped(tag: str, inside: Markup) -> Markup:
    return Markup(f"<{tag}>{{}}</{tag}>").format(inside)


def _listed(lines: list[str], figures: str) -> Markup:
    """A line that begins no item goes on with the last."""
    items: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith(("- ", "* ")) or not items:
            items.append(text[2:])
        else:
            items[-1] += f" {text}"
    return _wrapped("ul", Markup("").join(_wrapped("li", _inline(one, figures)) for one in items))


def _table(lines: list[str], figures: str) -> Markup:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if not _RULE.fullmatch(line.strip())
    ]
    head = _row(rows[0], "th", figures)
    body = Markup("").join(_row(one, "td", figures) for one in rows[1:])
    table = _wrapped("thead", head) + _wrapped("tbody", body)
    return Markup('<div class="wide">{}</div>').format(_wrapped("table", table))


def _row(cells: list[str], tag: str, figures: str) -> Markup:
    return _wrapped("tr", Markup("").join(_wrapped(tag, _inline(one, figures)) for one in cells))


def _inline(text: str, figures: str) -> Markup:
    """Escaped, then with what is bold, code or a picture."""

    def picture(found: re.Match[str]) -> str:
        if not FIGURE.fullmatch(found[2]):
            return found[1]
        source = f"{escape(figures)}/{found[2]}"
        return f'<img class="figure" loading="lazy" src="{source}" alt="{found[1]}">'

    said = _IMAGE.sub(picture, str(escape(text)))
    said = _BOLD.sub(r"<strong>\1</strong>", said)
    return Markup(_CODE.sub(r"<code>\1</code>", said))
