"""The metadata of studies, series and instances (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.metadata import FORM
from node.retrieve.series_metadata import array, packed, unpacked
from node.web.access.roles import Role
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
        Service("GET", path, f"Retrieve {name} Metadata", metadata.answer, role=Role.VIEWER)
        for path, name in (
            ("/studies/{study}/metadata", "Study"),
            (f"{series}/metadata", "Series"),
            (f"{series}/instances/{{instance}}/metadata", "Instance"),
        )
    ]


@dataclass(frozen=True, slots=True)
class _Form:
    """What makes the same metadata other bytes."""

    origin: str
    is_packed: bool


class _Metadata:
    def __init__(self, room: Room) -> None:
        self._room = room

    def answer(self, request: Request) -> Response:
        """The metadata of all instances of what the URL names."""
        chosen = choose(request, json_body.OFFERS)
        held = list(find(self._room, selection(request)))
        media_type = chosen.offer.media_type
        form = _Form(json_body.origin(request), json_body.takes_gzip(request))
        tag = entity_tag(f"{FORM} {media_type} {form}", *(one.sha256 for one in held))
        if (same := unchanged(request, tag)) is not None:
            return same
        head = {**headers(tag), "Content-Type": media_type}
        if form.is_packed:
            head["Content-Encoding"] = json_body.GZIP
        is_instance = "instance" in request.path_params
        pieces = self._objects(held, form) if is_instance else self._series(held, form)
        return streamed(self._room, request, (one for one in pieces), head)

    def _objects(self, held: Sequence[Held], form: _Form) -> Iterator[bytes]:
        pieces = array(self._room.metadata.objects(held, form.origin))
        return packed(pieces) if form.is_packed else pieces

    def _series(self, held: Sequence[Held], form: _Form) -> Iterator[bytes]:
        """As they lie on the shelf where it is one series; several are joined."""
        by_series: dict[str, list[Held]] = {}
        for one in held:
            by_series.setdefault(one.series_instance_uid, []).append(one)
        metadata = self._room.metadata
        all_packed = [metadata.packed(one, form.origin) for one in by_series.values()]
        if form.is_packed and len(all_packed) == 1:
            return all_packed[0]
        arrays = map(unpacked, all_packed)
        pieces = json_body.joined(arrays) if len(all_packed) > 1 else next(arrays)
        return packed(pieces) if form.is_packed else pieces
