"""The metadata of studies, series and instances (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from node.retrieve.metadata import FORM, Address, MetadataWriter
from node.web.dicomweb import json_body
from node.web.dicomweb.accept import choose
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.dicomweb.room import Holding, Room, find, selection
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed


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
        holding = find(self._room, selection(request))
        media_type = chosen.offer.media_type
        tag = entity_tag(FORM, media_type, *(one.sha256 for one in holding))
        if (same := unchanged(request, tag)) is not None:
            return same
        head = {
            **headers(tag),
            "Content-Type": media_type,
            "Vary": "Accept, Accept-Encoding",
        }
        pieces = json_body.array(self._objects(holding))
        if json_body.takes_gzip(request):
            head["Content-Encoding"] = json_body.GZIP
            pieces = json_body.packed(pieces)
        return streamed(self._room, request, (one for one in pieces), head)

    def _objects(self, holding: Holding) -> Iterator[bytes]:
        writer = MetadataWriter()
        for one in holding:
            yield writer.write(
                self._room.context.archive.blob(one),
                one.transfer_syntax_uid,
                Address(one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid),
            )
