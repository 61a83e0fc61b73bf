"""Structures of one run that would have the same colour are told apart, alike in every form.

What an analyzer takes from the table of structures (``analyzers.structures``) keeps its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analyzers import structures
from analyzers.contract import Findings, Segment, Segmentation
from analyzers.structures import Rgb

_PALETTE = tuple(map(structures.rgb_of, structures.PALETTE))


def told_apart(findings: Findings) -> Findings:
    """The same findings: no two structures have one colour, as long as there are enough."""
    owned = [one for one in _segments(findings) if one.structure]
    given = _Given([one.rgb for one in owned])
    items = tuple(
        replace(item, segments=tuple(given.to(one) for one in item.segments))
        if isinstance(item, Segmentation)
        else item
        for item in findings.items
    )
    return replace(findings, items=items)


def _segments(findings: Findings) -> list[Segment]:
    return [
        one for item in findings.items if isinstance(item, Segmentation) for one in item.segments
    ]


class _Given:
    """Colours that are taken; those of the table from the beginning."""

    def __init__(self, owned: Sequence[Rgb]) -> None:
        self._owned, self._used, self._turn = set(owned), set(owned), 0

    def to(self, segment: Segment) -> Segment:
        if segment.structure and segment.rgb in self._owned:
            self._owned.discard(segment.rgb)
            return segment
        free = (one for one in (segment.rgb, *_PALETTE) if one not in self._used)
        rgb = next(free, None) or _PALETTE[self._turn % len(_PALETTE)]
        self._used.add(rgb)
        self._turn += 1
        return replace(segment, rgb=rgb)
