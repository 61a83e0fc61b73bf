"""Queries of a DICOMweb service (QIDO-RS, PS3.18 10.6): all matches, whatever its pages are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydicom.datadict import tag_for_keyword

from node.errors import NodeError

PAGE = 500
"""Matches that are asked for at once."""
MOST_PAGE_BYTES = 32_000_000
"""Of an answer: some 10 kB a match are many."""
_AT_ONCE = 65_536
_UID = re.compile(r"[0-9.]{1,64}")


class NoMatches(NodeError):
    """A query was not answered with matches; the message says how, without what was asked."""


def is_uid(value: str) -> bool:
    """Whether it has the form of a UID, and may stand in a path."""
    return _UID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Asking:
    """``ends``: asked between pages; where it is true, no more are asked for."""

    service: str
    client: httpx.Client
    ends: Callable[[], bool]

    def matches(self, path: str, unique: str, keys: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """All matches, page by page, each once; their values by keyword.

        Raises
        ------
        NoMatches
        """
        seen: set[str] = set()
        asked = [(key, value) for key, value in keys.items() if value]
        fields = [("includefield", key) for key, value in keys.items() if not value]
        while not self.ends():
            place = [("limit", str(PAGE)), ("offset", str(len(seen)))]
            page = [
                _values(one, (unique, *keys)) for one in self._page(path, (*asked, *fields, *place))
            ]
            fresh = [one for one in page if is_uid(one[unique]) and one[unique] not in seen]
            if not fresh:
                return
            seen.update(one[unique] for one in fresh)
            yield from fresh

    def _read(self, answer: httpx.Response) -> bytes:
        """Its body, decompressed; not more of it than a page of matches has."""
        told = bytearray()
        for part in answer.iter_bytes(_AT_ONCE):
            told += part
            if len(told) > MOST_PAGE_BYTES:
                megabytes = MOST_PAGE_BYTES // 10**6
                raise NoMatches(
                    f"{self.service} answers a query for {PAGE} matches with more than"
                    f" {megabytes} MB: no more is read"
                )
        return bytes(told)

    def _page(self, path: str, parameters: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
        accepted = {"Accept": "application/dicom+json"}
        asked = httpx.QueryParams(parameters)
        with self.client.stream("GET", path, params=asked, headers=accepted) as answer:
            status = answer.status_code
            told = self._read(answer) if status == httpx.codes.OK else b""
        if status == httpx.codes.NO_CONTENT:
            return []  # as editions before 2020 have it
        if status != httpx.codes.OK:
            raise NoMatches(f"{self.service} answered a query (QIDO-RS) with {status}")
        try:
            found = json.loads(told)
        except ValueError as error:
            raise NoMatches(f"{self.service} does not answer a query with JSON") from error
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _values(match: Mapping[str, Any], keywords: tuple[str, ...]) -> dict[str, str]:
    """PS3.18 F.2: the first value of each attribute, empty where there is none."""
    found = {}
    for keyword in keywords:
        element = match.get(f"{tag_for_keyword(keyword) or 0:08X}")
        values = element.get("Value") if isinstance(element, dict) else None
        found[keyword] = str(values[0]) if isinstance(values, list) and values else ""
    return found
