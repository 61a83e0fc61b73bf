"""Findings in numbers and words: measurements, coded answers, conclusions."""

from __future__ import annotations

from dataclasses import dataclass

from analyzers.contract.code import Code


@dataclass(frozen=True, slots=True)
class Reference:
    """Between which values a number is usual, in its unit; None where it has no such limit.

    ``source`` says for whom and by whom, in words: "adults, Hogg et al. 2012".
    """

    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with a unit. ``name`` and ``unit`` are coded (UCUM for units).

    ``derivation`` says how the number was made from many (mean, maximum …). A ``value`` of nan is
    reported as "could not be measured"; infinity is none. With a ``reference`` the report says
    whether the number is usual.
    """

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The probability from which an answer is given, and what it reached on held-out patients."""

    threshold: float
    sensitivity: float
    specificity: float
    evaluated_on: str
    """The set and its size, in words."""


@dataclass(frozen=True, slots=True)
class Classification:
    """A coded answer to a coded question, with the analyzer's probability for it (0–1).

    With an ``operating_point`` the probability is that of presence, also where the answer is
    "absent": the report then gives what is left to 1 as the certainty. An answer other than
    "absent" below the operating point is reported as possible.

    ``reasons`` name what weighed most, in words, the heaviest first.
    """

    question: Code
    answer: Code
    probability: float | None = None
    operating_point: OperatingPoint | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A conclusion that a rule drew: what, from which rule, which values fired, on whose word."""

    conclusion: Code
    text: str
    rule: str
    because: tuple[str, ...]
    source: str
