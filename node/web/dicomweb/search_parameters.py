"""What a search asks, from its URL (PS3.18 8.3.4 and 10.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom.tag import Tag
from starlette.requests import Request

from node.query.asked import Key, Level, Options, Query, UnknownAttribute, named_key
from node.web.dicomweb.refusing import bad_request
from node.web.dicomweb.room import selection

_LARGEST = 2**31 - 1
_SAID = 60
"""So much of a name that nobody knows is repeated in the refusal."""
MAX_KEYS = 200
_LAST_CREATOR = 0xFF
_OTHERS = frozenset(
    (
        *("accept", "limit", "offset", "fuzzymatching", "includefield"),
        *("emptyvaluematching", "multiplevaluematching"),
    )
)
"""Parameters that are no attributes."""

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName"),
    *_PATIENT,
    *("StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries"),
    "NumberOfStudyRelatedInstances",
)
_SERIES = (
    *("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"),
    "NumberOfSeriesRelatedInstances",
)
_IMAGE = (
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated"),
    "NumberOfFrames",
)
_ALWAYS = {
    Level.STUDY: ("StudyInstanceUID",),
    Level.SERIES: ("StudyInstanceUID", "SeriesInstanceUID"),
    Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}
"""By which an answer says where it is retrieved."""
OF_LEVEL = {Level.STUDY: _STUDY, Level.SERIES: _SERIES, Level.IMAGE: _IMAGE}
"""PS3.18 Tables 10.6.3-3 to 10.6.3-5; what only files tell comes where ``includefield`` asks."""
_ABOVE = {Level.STUDY: (), Level.SERIES: (Level.STUDY,), Level.IMAGE: (Level.STUDY, Level.SERIES)}
_NAMED = {"study": Level.STUDY, "series": Level.SERIES}


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it was asked. ``limit``: None where the client sets none."""

    query: Query
    limit: int | None
    offset: int
    is_fuzzy: bool


def read(request: Request, level: Level) -> Search:
    """What a request asks of a level.

    Raises
    ------
    HTTPException
        400: an attribute that does not exist, or a parameter that is not what it has to be; by
        its name.
    """
    matched = [*_of_path(request), *_matched(request)]
    included, has_all = _included(request)
    asked = [*matched, *included]
    keys = _joined([*asked, *_creators(asked), *map(named_key, _default(request, level))])
    if len(keys) > MAX_KEYS:
        raise bad_request(f"more than {MAX_KEYS} attributes are asked for")
    options = Options(
        empty_value=_flag(request, "emptyvaluematching"),
        multiple_value=_flag(request, "multiplevaluematching"),
    )
    return Search(
        Query(level, keys, options=options, include_all=has_all),
        _number(request, "limit", None),
        _number(request, "offset", 0) or 0,
        _flag(request, "fuzzymatching"),
    )


def _of_path(request: Request) -> Iterator[Key]:
    selected = selection(request)
    for keyword, uids in (
        ("StudyInstanceUID", selected.study_uids),
        ("SeriesInstanceUID", selected.series_uids),
    ):
        if uids:
            yield named_key(keyword, uids[0])


def _matched(request: Request) -> Iterator[Key]:
    """Several parameters of one name are several values."""
    parameters = request.query_params
    for name in parameters:
        if name.lower() not in _OTHERS:
            yield _key(name, "\\".join(parameters.getlist(name)))


def _included(request: Request) -> tuple[list[Key], bool]:
    """The attributes that are asked for by name, and whether all of the level are."""
    names = [
        name.strip() for value in _values(request, "includefield") for name in value.split(",")
    ]
    named = [_key(name) for name in names if name and name.lower() != "all"]
    return named, any(name.lower() == "all" for name in names)


def _default(request: Request, level: Level) -> Iterator[str]:
    """The attributes of the level, and of those above it that the path does not name."""
    yield from _ALWAYS[level]
    yield from OF_LEVEL[level]
    named = {_NAMED[name] for name in request.path_params if name in _NAMED}
    for above in _ABOVE[level]:
        if above not in named:
            yield from OF_LEVEL[above]


def _joined(keys: Sequence[Key]) -> tuple[Key, ...]:
    """One key for an attribute: the first that has values."""
    found: dict[tuple[int, ...], Key] = {}
    for key in keys:
        known = found.setdefault(key.path, key)
        if not known.values and key.values:
            found[key.path] = key
    return tuple(found.values())


def _creators(keys: Sequence[Key]) -> Iterator[Key]:
    """Who has reserved the blocks of private elements is told beside them. PS3.18 10.6.3.3.1."""
    for key in keys:
        tag = Tag(key.tag)
        if tag.is_private and tag.element > _LAST_CREATOR:
            yield named_key(f"{Tag(tag.group, tag.element >> 8):08X}")


def _key(name: str, text: str = "") -> Key:
    """What no dictionary knows is matched as text."""
    try:
        key = named_key(name, text)
        return replace(key, vr="LO") if key.vr == "UN" and key.values else key
    except UnknownAttribute as error:
        raise bad_request(
            f"{name[:_SAID]!r} in the query names no attribute ({error}): a keyword or a tag of 8"
            " hexadecimal digits is needed, with full stops between those of sequences"
        ) from error


def _values(request: Request, name: str) -> list[str]:
    """Of a parameter that is no attribute; its name is in any case."""
    return [value for key, value in request.query_params.multi_items() if key.lower() == name]


def _number(request: Request, name: str, otherwise: int | None) -> int | None:
    given = _values(request, name)
    if not given or given == [""]:
        return otherwise
    if len(given) > 1 or not given[0].isascii() or not given[0].isdigit():
        raise bad_request(f"{name} is not a whole number from 0")
    return min(int(given[0][:12]), _LARGEST)


def _flag(request: Request, name: str) -> bool:
    given = [value.lower() for value in _values(request, name)]
    if not set(given) <= {"", "true", "false"}:
        raise bad_request(f"{name} is neither true nor false")
    return "true" in given
