"""The metadata of studies, series and instances (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.metadata import FORM
from node.retrieve.series_metadata import array
from node.web.dicomweb import json_body
from node.web.dicomweb.accept import choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.room import Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed
from storage.holdings import Held


def services(room: Room) -> list[Service]:
    metadata = _Metadata(room)
    series = "/studies/{study}/series/{series}"
    return [
        Service("GET", path, f"Retrieve {name} Metadata", metadata.answer)
        for path, name in (
            ("/studies/{study}/metadata", "Study"),
            (f"{series}/metadata", "Series"),
            (f"{series}/instances/{{instance}}/metadata", "Instance"),
        )
    ]


class _Metadata:
    def __init__(self, room: Room) -> None:
        self._room = room

    def answer(self, request: Request) -> Response:
        """The metadata of all instances of what the URL names."""
        chosen = choose(request, json_body.OFFERS)
        held = list(find(self._room, selection(request)))
        media_type = chosen.offer.media_type
        packs = json_body.takes_gzip(request)
        form = f"{FORM} {media_type} {packs}"
        tag = entity_tag(form, *(one.sha256 for one in held))
        if (same := unchanged(request, tag)) is not None:
            return same
        head = {**headers(tag), "Content-Type": media_type, "Vary": "Accept, Accept-Encoding"}
        if packs:
            head["Content-Encoding"] = json_body.GZIP
        is_instance = "instance" in request.path_params
        pieces = self._objects(held, packs) if is_instance else self._series(held, packs)
        return streamed(self._room, request, (one for one in pieces), head)

    def _objects(self, held: Sequence[Held], packs: bool) -> Iterator[bytes]:
        pieces = array(self._room.metadata.objects(held))
        return json_body.packed(pieces) if packs else pieces

    def _series(self, held: Sequence[Held], packs: bool) -> Iterator[bytes]:
        """As they lie on the shelf where it is one series; several are joined."""
        by_series: dict[str, list[Held]] = {}
        for one in held:
            by_series.setdefault(one.series_instance_uid, []).append(one)
        all_packed = [self._room.metadata.packed(one) for one in by_series.values()]
        if packs and len(all_packed) == 1:
            return all_packed[0]
        arrays = map(json_body.unpacked, all_packed)
        pieces = json_body.joined(arrays) if len(all_packed) > 1 else next(arrays)
        return json_body.packed(pieces) if packs else pieces
