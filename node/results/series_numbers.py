"""The numbers of the series that one run makes: no two are the same, however many there are.

Results stand behind the series they were made from: series 4 → 401, 410 … Every kind has a block of
the hundred numbers there; what no longer fits into its block is numbered on beyond all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count

from node.series.source import Source
from storage import values

BEYOND = 1_000_000_000
"""Added to what its block has no room for: below the largest number that an IS holds (2³¹ - 1)."""
_LARGEST = 10_000_000
"""From here on the number of the source is left out of account."""


@dataclass(frozen=True, slots=True)
class Block:
    """The numbers of a kind, behind that of the source: ``first`` and the ``size - 1`` after it."""

    first: int
    size: int = 1
    is_one_series: bool = False
    """Whether all objects of the kind stand in one series."""

    @property
    def offsets(self) -> range:
        return range(self.first, self.first + self.size)


@dataclass(frozen=True, slots=True)
class SeriesPlace:
    """Where a result stands."""

    index: int
    """Among those of its kind in this run, from 0."""
    series_number: int


class SeriesNumbers:
    """Gives out the numbers of one run."""

    def __init__(self, source: Source) -> None:
        number = values.known(values.whole(source.headers[0], "SeriesNumber")) or 0
        self._source = (number if 0 < number < _LARGEST else 0) * 100
        self._given: Counter[Block] = Counter()
        self._beyond = count(BEYOND)

    def next(self, block: Block) -> SeriesPlace:
        """The place of one more result of the kind that has this block."""
        index = self._given[block]
        self._given[block] += 1
        return SeriesPlace(index, self._source + self._offset(block, index))

    def _offset(self, block: Block, index: int) -> int:
        if block.is_one_series:
            return block.first
        return block.first + index if index < block.size else next(self._beyond)
