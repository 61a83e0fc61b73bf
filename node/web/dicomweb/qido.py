"""QIDO-RS: searches for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from starlette.requests import Request
from starlette.responses import Response

from node.query.asked import Level
from node.query.search import Answer, search
from node.retrieve.dicom_json.answers import Member, answer_object, uid_of, url
from node.retrieve.metadata import ROOT
from node.retrieve.series_metadata import array, packed
from node.web.access.roles import Role
from node.web.dicomweb import json_body, search_parameters
from node.web.dicomweb.accept import choose
from node.web.dicomweb.room import Room
from node.web.dicomweb.search_parameters import Search
from node.web.dicomweb.services import Service
from node.web.dicomweb.single import streamed

_NOT_FUZZY = (
    "The fuzzymatching parameter is not supported. Only literal matching has been performed."
)
_MORE = (
    "The number of results exceeded the maximum supported by the server."
    " Additional results can be requested."
)
_UNMATCHED = "Some attributes of the query are not supported. They have not been matched."
AT_ONCE = 5000
"""So many answers are kept to know beforehand whether there are more."""
_RETRIEVE_URL = 0x00081190
_PLACES = (
    (Level.STUDY, "studies", 0x0020000D),
    (Level.SERIES, "series", 0x0020000E),
    (Level.IMAGE, "instances", 0x00080018),
)


def services(room: Room) -> list[Service]:
    qido = _Qido(room)
    return [
        Service("GET", "/studies", "Search for Studies", qido.studies, role=Role.VIEWER),
        Service("GET", "/series", "Search for Series", qido.series, role=Role.VIEWER),
        Service("GET", "/instances", "Search for Instances", qido.instances, role=Role.VIEWER),
        Service(
            "GET",
            "/studies/{study}/series",
            "Search for a Study's Series",
            qido.series,
            role=Role.VIEWER,
        ),
        Service(
            "GET",
            "/studies/{study}/instances",
            "Search for a Study's Instances",
            qido.instances,
            role=Role.VIEWER,
        ),
        Service(
            "GET",
            "/studies/{study}/series/{series}/instances",
            "Search for a Series' Instances",
            qido.instances,
            role=Role.VIEWER,
        ),
    ]


class _Qido:
    def __init__(self, room: Room) -> None:
        self._room = room

    def studies(self, request: Request) -> Response:
        return self._answer(request, Level.STUDY)

    def series(self, request: Request) -> Response:
        return self._answer(request, Level.SERIES)

    def instances(self, request: Request) -> Response:
        return self._answer(request, Level.IMAGE)

    def _answer(self, request: Request, level: Level) -> Response:
        chosen = choose(request, json_body.OFFERS)
        asked = search_parameters.read(request, level)
        found, has_more = self._found(asked)
        first = next(found, None)
        root = f"{json_body.origin(request)}{ROOT}"
        answers = chain([first], found) if first is not None else iter(())
        pieces = array(_objects(answers, level, root))
        head = {
            "Content-Type": chosen.offer.media_type,
            "Vary": "Accept, Accept-Encoding",
            **_warnings(asked, first, has_more),
        }
        if json_body.takes_gzip(request):
            head["Content-Encoding"] = json_body.GZIP
            pieces = packed(pieces)
        return streamed(self._room, request, (one for one in pieces), head)

    def _found(self, asked: Search) -> tuple[Iterator[Answer], bool]:
        """The answers, and whether the node has more than it gives at once."""
        most = self._room.context.max_answers
        is_cut = bool(most) and (asked.limit is None or asked.limit > most)
        limit = most if is_cut else asked.limit
        found = search(
            self._room.context.database,
            self._room.context.archive,
            asked.query,
            self._room.context.title,
            skip=asked.offset,
            limit=limit if limit is None or not is_cut else limit + 1,
            limits=self._room.context.search_limits,
        )
        if limit is None or limit > AT_ONCE:
            return islice(found, limit), False
        kept = list(found)
        return islice(kept, limit), len(kept) > limit


def _objects(answers: Iterable[Answer], level: Level, root: str) -> Iterator[bytes]:
    for one in answers:
        place = root
        for at, name, tag in _PLACES:
            place += f"/{name}/{uid_of(one.elements, tag)}"
            if at is level:
                break
        yield answer_object(one.elements, [Member(_RETRIEVE_URL, url(place))])


def _warnings(asked: Search, first: Answer | None, has_more: bool) -> dict[str, str]:
    said = [_NOT_FUZZY] if asked.is_fuzzy else []
    if has_more:
        said.append(_MORE)
    if first is not None and any(key.is_matched for key in first.unsupported):
        said.append(_UNMATCHED)
    return {"Warning": ", ".join(f'299 wetread "{one}"' for one in said)} if said else {}
