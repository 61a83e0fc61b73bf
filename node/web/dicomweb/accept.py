"""Chooses what to answer with from what a client accepts (PS3.18 8.3.3.1, 8.7; RFC 9110 12.5.1).

The ``accept`` query parameter comes first where the header allows what it names. Type parameters
may stand with quotes or without: clients do both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from node.web.dicomweb.media_types import MULTIPART
from node.web.dicomweb.refusing import not_acceptable

ANY = "*/*"
AS_STORED = "*"
"""The transfer syntax of whoever takes what is there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One media range. ``multipart``: None where any form will do."""

    media_type: str
    multipart: bool | None
    transfer_syntax: str = ""
    quality: float = 1.0

    @property
    def precision(self) -> int:
        """The more, the fewer media types it means."""
        kinds = {"*": 0, "/*": 1}
        return kinds.get("*" if self.media_type == ANY else self.media_type[-2:], 2)


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be answered with.

    syntaxes: transfer syntaxes that can be had; the first is given to whoever names none. Empty
    where there are no such things: a picture, JSON. stored: what ``*`` gives, a UID or ``*``.
    """

    media_type: str
    multipart: bool = False
    syntaxes: tuple[str, ...] = ()
    stored: str = AS_STORED

    def __str__(self) -> str:
        return f'{MULTIPART}; type="{self.media_type}"' if self.multipart else self.media_type


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer's form. ``transfer_syntax``: a UID, ``*`` for what is stored, or empty."""

    offer: Offer
    transfer_syntax: str = ""


def choose(request: Request, offers: Sequence[Offer]) -> Chosen:
    """The best of the offers, listed best first.

    Raises
    ------
    HTTPException
        406: none of them is accepted.
    """
    named = ",".join(request.query_params.getlist("accept"))
    header = ",".join(request.headers.getlist("accept")).strip() or ANY
    if not named:
        return choose_of(header, offers)
    wishes = _ranked(header)
    allowed = [one for one in offers if any(_meets(wish, one) for wish in wishes if wish.quality)]
    return choose_of(named, allowed or offers)


def choose_of(text: str, offers: Sequence[Offer]) -> Chosen:
    """The same by a list of media types alone. Raises HTTPException: 406."""
    chosen = _best(_ranked(text), offers)
    if chosen is None:
        raise not_acceptable(map(str, offers), _syntaxes(offers))
    return chosen


def _syntaxes(offers: Iterable[Offer]) -> Iterator[str]:
    yield from dict.fromkeys(syntax for offer in offers for syntax in offer.syntaxes)


def _best(wishes: Sequence[Wish], offers: Sequence[Offer]) -> Chosen | None:
    refused = [wish for wish in wishes if not wish.quality]
    for wish in wishes:
        for offer in offers if wish.quality else ():
            if any(_meets(other, offer) for other in refused):
                continue
            if _meets(wish, offer) and (syntax := _syntax(wish, offer)) is not None:
                return Chosen(offer, syntax)
    return None


def _meets(wish: Wish, offer: Offer) -> bool:
    if wish.multipart is not None and wish.multipart is not offer.multipart:
        return False
    if wish.media_type.endswith("/*"):
        return wish.media_type == ANY or offer.media_type.startswith(wish.media_type[:-1])
    return wish.media_type == offer.media_type


def _syntax(wish: Wish, offer: Offer) -> str | None:
    if not offer.syntaxes:
        return ""
    if wish.transfer_syntax == AS_STORED:
        return offer.stored
    if wish.transfer_syntax in ("", *offer.syntaxes):
        return wish.transfer_syntax or offer.syntaxes[0]
    return None


# --- reading the header ---------------------------------------------------------------------------

_APART = {mark: re.compile(rf'{mark}(?=(?:[^"]*"[^"]*")*[^"]*$)') for mark in ",;"}
"""Marks outside of quotes."""
_MEDIA_RANGE = re.compile(r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+")
_QUALITY = re.compile(r"\d(\.\d{0,9})?")
_LONGEST = 4096


def _ranked(text: str) -> list[Wish]:
    """The wishes, most wanted first; of equal ones the more precise. What is no media range is
    passed over: clients send odd ones beside good ones."""
    parts = _APART[","].split(text[:_LONGEST])
    wishes = [wish for part in parts if (wish := _wish(part)) is not None]
    return sorted(wishes, key=lambda one: (-one.quality, -one.precision))


def _wish(text: str) -> Wish | None:
    media_type, *rest = (part.strip() for part in _APART[";"].split(text))
    parameters = dict(_parameter(part) for part in rest if part)
    kind = ANY if media_type == "*" else media_type.lower()
    multipart = None if kind == ANY else kind == MULTIPART
    if multipart:
        kind = parameters.get("type", ANY).lower()
    if not _MEDIA_RANGE.fullmatch(kind):
        return None
    quality = _quality(parameters.get("q", ""))
    return Wish(kind, multipart, parameters.get("transfer-syntax", ""), quality)


def _quality(text: str) -> float:
    return min(1.0, float(text)) if _QUALITY.fullmatch(text) else 1.0


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"').strip()
