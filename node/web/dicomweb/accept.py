"""Chooses what to answer with from what a client accepts (PS3.18 8.3.3.1, 8.7; RFC 9110 12.5.1).

The ``accept`` query parameter comes first where the header allows what it names. Type parameters
may stand with quotes or without: clients do both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request

from node.web.dicomweb.refusing import not_acceptable

MULTIPART = "multipart/related"
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
    def _precision(self) -> int:
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
    named = request.query_params.getlist("accept")
    header = ", ".join(request.headers.getlist("accept")).strip() or ANY
    try:
        by_header = _ranked(header)
        if named:
            allowed = [one for one in offers if _best(by_header, [one], any_syntax=True)]
            chosen = _best(_ranked(",".join(named)), allowed)
        else:
            chosen = _best(by_header, offers)
    except ValueError:
        chosen = None
    if chosen is None:
        raise not_acceptable(map(str, offers), _syntaxes(offers))
    return chosen


def _syntaxes(offers: Iterable[Offer]) -> Iterator[str]:
    yield from dict.fromkeys(syntax for offer in offers for syntax in offer.syntaxes)


def _best(
    wishes: Sequence[Wish], offers: Sequence[Offer], any_syntax: bool = False
) -> Chosen | None:
    refused = [wish for wish in wishes if not wish.quality]
    for wish in wishes:
        for offer in offers if wish.quality else ():
            if any(_meets(other, offer) for other in refused):
                continue
            asked = replace(wish, transfer_syntax="") if any_syntax else wish
            if _meets(asked, offer) and (syntax := _syntax(asked, offer)) is not None:
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
_LONGEST = 4096


def _ranked(text: str) -> list[Wish]:
    """The wishes, most wanted first; of equal ones the more precise. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError("too long")
    wishes = [_wish(part) for part in _APART[","].split(text) if part.strip()]
    return sorted(wishes, key=lambda one: (-one.quality, -one._precision))


def _wish(text: str) -> Wish:
    media_type, *rest = (part.strip() for part in _APART[";"].split(text))
    parameters = dict(_parameter(part) for part in rest if part)
    kind = media_type.lower() if media_type != "*" else ANY
    multipart = None if kind == ANY else kind == MULTIPART
    if multipart:
        kind = parameters.get("type", ANY).lower()
    if not _MEDIA_RANGE.fullmatch(kind):
        raise ValueError("not a media range")
    quality = min(1.0, max(0.0, float(parameters.get("q", "1") or 1)))
    return Wish(kind, multipart, parameters.get("transfer-syntax", ""), quality)


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"').strip()
