"""Which marks are sure enough for the rules of a set, and what would follow if all of them were.

A detector marks more than there is. A set that says how certain a mark must be is applied twice:
to the marks that are, and, where that would lead elsewhere, to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Classification, Code, Reported, Statement, Volume


@dataclass(frozen=True, slots=True)
class Counted:
    """A mark of ``analyzer`` counts when its answer to ``question`` has this certainty or more.

    A mark that states no certainty counts: nobody doubted it.
    """

    analyzer: str
    question: str
    least_certainty: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Marks of a study that a rule set does not count, by structure, with their certainty."""

    counted: Counted
    marks: tuple[tuple[str, float], ...]
    of: int

    ELSE: ClassVar[Code] = Code(
        "IF-UNCERTAIN-TOO", PRIVATE_SCHEME, "Other recommendation if the marks left out are nodules"
    )

    def without(self, volume: Volume) -> Volume:
        """What is reported of the study, but for these marks."""
        names = {name for name, _ in self.marks}
        kept = tuple(
            one
            for one in volume.reported
            if one.analyzer != self.counted.analyzer or one.structure not in names
        )
        return replace(volume, reported=kept)

    def words(self, title: str) -> str:
        return (
            f"{title}: {len(self.marks)} of {self.of} marks are not counted, their certainty is"
            f" below {100 * self.counted.least_certainty:.0f} %: {self.named()}."
        )

    def named(self) -> str:
        return ", ".join(
            f"{name.replace('_', ' ')} ({100 * sure:.0f} %)" for name, sure in self.marks
        )

    def otherwise(self, statement: Statement) -> Statement:
        """The same conclusion, said to hold only if these marks are nodules too."""
        return replace(
            statement,
            conclusion=self.ELSE,
            text=f"If the marks left out are nodules too: {statement.conclusion.meaning}."
            f" {statement.text}",
            because=(*statement.because, f"left out: {self.named()}"),
        )


def left_out(counted: Counted, volume: Volume) -> LeftOut:
    """The marks of a study that are not certain enough, in the order they were reported."""
    own = [one for one in volume.reported if one.analyzer == counted.analyzer and one.structure]
    found = {one.structure: sure for one in own if (sure := _certainty(counted, one)) is not None}
    unsure = [(name, sure) for name, sure in found.items() if sure < counted.least_certainty]
    return LeftOut(counted, tuple(unsure), len({one.structure for one in own}))


def _certainty(counted: Counted, one: Reported) -> float | None:
    it = one.finding
    asked = isinstance(it, Classification) and it.question.value == counted.question
    return it.probability if asked and isinstance(it, Classification) else None


def differing(sure: list[Statement], every: list[Statement]) -> list[Statement]:
    """Conclusions that only all marks together lead to, each once."""
    known = {one.conclusion.value for one in sure}
    found: list[Statement] = []
    for one in every:
        if one.conclusion.value not in known:
            known.add(one.conclusion.value)
            found.append(one)
    return found
