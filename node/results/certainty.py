"""How sure a finding is of what it says: certainty belongs to the answer that is given.

What lies below the operating point that was evaluated is possible, and is called so everywhere.
"""

from __future__ import annotations

from analyzers.contract import Classification, Code, Detection, Segment
from node.results.words import numbers

POSSIBLE = Code("371930009", "SCT", "Possible")
_NEGATIVE = {("SCT", value) for value in ("272519000", "2667000", "373067005", "260385009")}
"""Absent, no, negative."""


def percent_of(item: Classification) -> float | None:
    """How sure the answer is, in per cent; None where the analyzer does not say.

    With an operating point the probability is that of presence, whatever the answer is.
    """
    if item.probability is None:
        return None
    point = item.operating_point
    if point is None:
        return numbers.certainty_percent(item.probability)
    percent = numbers.certainty_percent(item.probability, point.threshold)
    if _is_below(item) and is_negative(item.answer):
        return min(numbers.kept(100 - percent), numbers.MOST_CERTAIN_PERCENT)
    return percent


def percent_of_box(detection: Detection) -> float | None:
    """How sure a box is, in per cent; None where the analyzer does not say."""
    if detection.score is None:
        return None
    return numbers.certainty_percent(detection.score, detection.threshold)


def is_negative(answer: Code) -> bool:
    """Whether the answer is that something is not there."""
    return (answer.scheme, answer.value) in _NEGATIVE


def is_possible(finding: Segment | Detection | Classification) -> bool:
    """Whether a finding is no more than possible: by its own word, or below the operating point."""
    if isinstance(finding, Classification):
        said = (finding.answer.scheme, finding.answer.value) == (POSSIBLE.scheme, POSSIBLE.value)
        return said or (_is_below(finding) and not is_negative(finding.answer))
    if isinstance(finding, Detection) and _is_box_below(finding):
        return True
    return any(is_possible(one) for one in finding.classifications)


def _is_box_below(box: Detection) -> bool:
    return box.score is not None and box.threshold is not None and box.score < box.threshold


def _is_below(item: Classification) -> bool:
    point = item.operating_point
    return point is not None and item.probability is not None and item.probability < point.threshold
