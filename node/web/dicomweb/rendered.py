"""WADO-RS: pictures of a study, a series, an instance or its frames, and a small one for each
(PS3.18 10.4.1.1.4, 10.4.1.1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.frames import NoPixels
from node.retrieve.rendered import GIF, JPEG, PNG, View, encoded, picture
from node.web.access.roles import Role
from node.web.dicomweb.accept import Chosen, Offer, choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.frame_list import frame_numbers
from node.web.dicomweb.multipart import Multipart, Part, boundary_of
from node.web.dicomweb.room import Holding, Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed
from node.web.dicomweb.viewing import view_of, warnings
from storage.holdings import Held

_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_FRAMES = _INSTANCE + "/frames/{frames}"
_PLACES = {
    "/studies/{study}": "Study",
    _SERIES: "Series",
    _INSTANCE: "Instance",
    _FRAMES: "Frames",
}
TRIES = 32
"""Instances that are looked at for a thumbnail: others than images have no pixels."""


def services(room: Room) -> list[Service]:
    pictures = _Pictures(room)
    return [
        service
        for path, name in _PLACES.items()
        for service in (
            Service(
                "GET",
                f"{path}/rendered",
                f"Retrieve Rendered {name}",
                pictures.rendered,
                True,
                role=Role.VIEWER,
            ),
            Service(
                "GET",
                f"{path}/thumbnail",
                f"Retrieve {name} Thumbnail",
                pictures.thumbnail,
                True,
                role=Role.VIEWER,
            ),
        )
    ]


class _Pictures:
    def __init__(self, room: Room) -> None:
        self._room = replace(room, slots=room.drawing)

    def rendered(self, request: Request) -> Response:
        """Every frame of what the URL names."""
        view = view_of(request)
        holding = find(self._room, selection(request))
        numbers = frame_numbers(request)
        count = self._count(holding, numbers)
        chosen = choose(request, _offers(count))
        tag = _tag(request, chosen, holding)
        if (same := unchanged(request, tag)) is not None:
            return same
        pictures = self._pictures(holding, numbers, view, chosen.offer.media_type)
        return self._answer(request, chosen, tag, pictures)

    def thumbnail(self, request: Request) -> Response:
        """One small picture, of the middle of what the URL names."""
        view = view_of(request, thumbnail=True)
        holding = find(self._room, selection(request))
        chosen = choose(request, _offers(1))
        tag = _tag(request, chosen, holding)
        if (same := unchanged(request, tag)) is not None:
            return same
        numbers = frame_numbers(request)
        pictures = self._of_the_middle(holding, numbers, view, chosen.offer.media_type)
        return self._answer(request, chosen, tag, pictures)

    def _answer(
        self, request: Request, chosen: Chosen, tag: str, pictures: Iterable[bytes]
    ) -> Response:
        media_type = chosen.offer.media_type
        pieces, content_type = pictures, media_type
        if chosen.offer.multipart:
            parts = (Part(media_type, (one,)) for one in pictures)
            body = Multipart(media_type, parts, boundary_of(tag))
            pieces, content_type = body.pieces(), body.content_type
        head = {**headers(tag), **warnings(request), "Content-Type": content_type}
        return streamed(self._room, request, pieces, head)

    def _count(self, holding: Holding, numbers: list[int]) -> int:
        """How many pictures there will be; 2 for several."""
        if numbers:
            return min(2, len(numbers))
        if holding.only is None:
            return 2
        with self._room.frames(holding.only) as opened:
            return min(2, opened.frames.form.frames)

    def _pictures(
        self, holding: Holding, numbers: list[int], view: View, media_type: str
    ) -> Iterator[bytes]:
        """Of several instances those without pixels are left out: reports among images."""
        drawn = 0
        for held in holding:
            try:
                for one in self._of_instance(held, numbers, view, media_type):
                    yield one
                    drawn += 1
            except NoPixels:
                if holding.only is not None:
                    raise
        if not drawn:
            raise NoPixels("none of these instances holds pixel data")

    def _of_instance(
        self, held: Held, numbers: list[int], view: View, media_type: str
    ) -> Iterator[bytes]:
        with self._room.frames(held) as opened:
            for number in numbers or range(1, opened.frames.form.frames + 1):
                yield encoded(picture(opened, number, view), media_type, view.quality)

    def _of_the_middle(
        self, holding: Holding, numbers: list[int], view: View, media_type: str
    ) -> Iterator[bytes]:
        for held in _from_the_middle(holding):
            try:
                with self._room.frames(held) as opened:
                    number = numbers[0] if numbers else (opened.frames.form.frames + 1) // 2
                    yield encoded(picture(opened, number, view), media_type, view.quality)
                    return
            except NoPixels:
                continue
        raise NoPixels("none of these instances holds pixel data")


def _from_the_middle(holding: Holding) -> list[Held]:
    """Some instances, the middle one of what was received first."""
    shown = [one for one in holding.first if not one.own] or list(holding.first)
    middle = len(shown) // 2
    return [*shown[middle:], *shown[:middle]][:TRIES]


def _offers(count: int) -> list[Offer]:
    parts = [Offer(JPEG, multipart=True), Offer(PNG, multipart=True), Offer(GIF, multipart=True)]
    alone = [Offer(JPEG), Offer(PNG), Offer(GIF)]
    return [*alone, *parts] if count == 1 else parts


def _tag(request: Request, chosen: Chosen, holding: Holding) -> str:
    if not holding.is_whole:
        return ""
    numbers = request.path_params.get("frames", "")
    asked = (str(chosen), request.url.path.rpartition("/")[2], str(request.url.query), numbers)
    return entity_tag(*asked, *(one.sha256 for one in holding.first))
