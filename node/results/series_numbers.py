"""The numbers of the series that a run makes: far from those of scanners, and no two alike.

Every run has a block of a hundred numbers, above all that scanners use, and every kind of finding
its place in it; what no longer fits there is numbered on in a range of its own. Where a run's block
lies derives from its key, as its UIDs do: the same run has the same numbers, on every node and
after the index was lost, and another run – of another analyzer or rule, or the same job with other
results – has others. That two of a study share one of 11 million blocks is less likely than one in
a million for a dozen runs; UIDs tell even those apart.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

_SIZE = 100


@dataclass(frozen=True, slots=True)
class Span:
    """A range of blocks, all within what an IS holds (2³¹ - 1)."""

    first: int
    blocks: int

    def start(self, key: str) -> int:
        """The first number of the block of a run."""
        return self.first + _SIZE * (_digest(key) % self.blocks)


ABOVE = Span(500_000_000, 1_000_000)
"""What stands above the runs of a study: lists show it before them."""
RUNS = Span(1_000_000_000, 11_474_836)
_BEYOND = Span(600_000_000, 3_900_000)
"""For what a block has no room for; the numbers go on beyond the hundred."""


@dataclass(frozen=True, slots=True)
class Block:
    """The numbers of a kind in the block of a run: ``first`` and the ``size - 1`` after it."""

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
    """Gives out the numbers of one run, named by its key (``node.results.identity``)."""

    def __init__(self, key: str, span: Span = RUNS) -> None:
        self._start = span.start(key)
        self._given: Counter[Block] = Counter()
        self._beyond = _BEYOND.start(key)

    def next(self, block: Block) -> SeriesPlace:
        """The place of one more result of the kind that has this block."""
        index = self._given[block]
        self._given[block] += 1
        return SeriesPlace(index, self._number(block, index))

    def _number(self, block: Block, index: int) -> int:
        """It depends on nothing but the block and the index: not on what else the run makes."""
        if block.is_one_series:
            return self._start + block.first
        if index < block.size:
            return self._start + block.first + index
        return self._beyond + block.first + _SIZE * (index - block.size)


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"series\0{key}".encode()).digest()[:8], "big")
