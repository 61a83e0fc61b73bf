"""Networks of minima and maxima that select the median of a window.

The window is sorted along one axis after the other, so that what neighbours share is sorted once:
k sorted lists, each shifted by one voxel, are merged by Batcher's odd-even merge (Knuth, The Art of
Computer Programming 3, 5.3.4), and of the last merge only the comparisons that lead to the median
are kept. Nothing but element-wise minimum and maximum is left, for whole arrays at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """``wire[target] = minimum or maximum of wire[first] and wire[second]``, then some are free."""

    largest: bool
    first: int
    second: int
    target: int
    free: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Steps over numbered wires. Inputs are wires 0 … n - 1; outputs in ascending order."""

    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


@cache
def merging(lists: int, length: int, *, median: bool) -> Network:
    """Sorts (or gives only the median of) ``lists`` ascending lists of ``length`` each.

    Input ``i * length + rank`` is the element of that rank in list i.
    """
    inputs = lists * length
    steps: list[tuple[bool, int, int, int]] = []
    queue = [list(range(i * length, (i + 1) * length)) for i in range(lists)]
    while len(queue) > 1:
        queue.append(_merge(queue.pop(0), queue.pop(0), inputs, steps))
        queue.sort(key=len)
    (ranks,) = queue
    outputs = (ranks[inputs // 2],) if median else tuple(ranks)
    return Network(inputs, _pruned(steps, outputs, inputs), outputs)


def _merge(
    one: list[int], other: list[int], inputs: int, steps: list[tuple[bool, int, int, int]]
) -> list[int]:
    if not one or not other:
        return one + other
    if len(one) == len(other) == 1:
        return _compare(one[0], other[0], inputs, steps)
    even = _merge(one[::2], other[::2], inputs, steps)
    odd = _merge(one[1::2], other[1::2], inputs, steps)
    merged = [even[0]]
    pairs = min(len(odd), len(even) - 1)
    for i in range(pairs):
        merged += _compare(odd[i], even[i + 1], inputs, steps)
    return merged + odd[pairs:] + even[pairs + 1 :]


def _compare(
    one: int, other: int, inputs: int, steps: list[tuple[bool, int, int, int]]
) -> list[int]:
    smaller = inputs + len(steps)
    steps.append((False, one, other, smaller))
    steps.append((True, one, other, smaller + 1))
    return [smaller, smaller + 1]


def _pruned(
    steps: list[tuple[bool, int, int, int]], outputs: tuple[int, ...], inputs: int
) -> tuple[Step, ...]:
    """Only the steps that an output needs; each says which computed wires it reads last."""
    needed = set(outputs)
    kept: list[Step] = []
    for largest, first, second, target in reversed(steps):
        if target not in needed:
            continue
        last = tuple(wire for wire in (first, second) if wire not in needed and wire >= inputs)
        needed.update((first, second))
        kept.append(Step(largest, first, second, target, last))
    return tuple(reversed(kept))


Binary = Callable[..., Any]


def run(
    network: Network,
    inputs: Sequence[Any],
    minimum: Binary,
    maximum: Binary,
    empty: Callable[[], Any],
) -> list[Any]:
    """The outputs for arrays of one shape; inputs are not written to, buffers are used again."""
    wires: dict[int, Any] = dict(enumerate(inputs))
    spare: list[Any] = []
    for step in network.steps:
        out = spare.pop() if spare else empty()
        (maximum if step.largest else minimum)(wires[step.first], wires[step.second], out=out)
        wires[step.target] = out
        spare += [wires.pop(wire) for wire in step.free]
    return [wires[wire] for wire in network.outputs]
