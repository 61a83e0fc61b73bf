"""Lines of the list as HTML, rendered when they change and not for each who looks.

A list is read anew by every open page whenever something comes; what is on most of its lines is as
it was. A piece is shown again only where all that it is made of is equal: the line, who looks as
far as a line can tell, and what is said of how long ago it was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Template
from markupsafe import Markup

from node.web import wording
from node.web.access.roles import Who
from node.web.pages.lines import StudyLine

KEPT = 1000
"""Pieces of some 2 kB."""


@dataclass(frozen=True, slots=True)
class Beholder:
    """What a line may know of who looks: his name and the token of his session are not in it."""

    sees_names: bool
    has_images: bool

    @classmethod
    def of(cls, person: Who) -> Beholder:
        return cls(person.sees_names, person.has_images)


@dataclass(frozen=True, slots=True)
class _Piece:
    line: StudyLine
    ago: str
    text: Markup


class Pieces:
    """``of`` may be called from any thread."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, Beholder], _Piece] = OrderedDict()

    def of(self, lines: Iterable[StudyLine], beholder: Beholder, now: datetime) -> list[Markup]:
        """Each line as this person sees it."""
        return [self._one(line, beholder, now) for line in lines]

    def _one(self, line: StudyLine, beholder: Beholder, now: datetime) -> Markup:
        key, ago = (line.study.id, beholder), wording.ago(line.study.last_received_at, now)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
        if known is not None and known.ago == ago and known.line == line:
            return known.text
        text = Markup(self._template.render(line=line, who=beholder, now=now))  # escaped in it
        with self._lock:
            self._kept[key] = _Piece(line, ago, text)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return text
