"""Typed conditions of a rule. Each is met, unmet or undecidable, and says on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from analyzers.annotation.units import UnknownUnit, UnlikeUnits, convert
from analyzers.borders import CUT, EXTENT
from analyzers.contract import Classification, Measurement, Reported, Volume

SUBJECT_UNITS = {"age_years": "a", "weight_kg": "kg", "height_m": "m"}
SERIES_FIELDS = ("modality", "body_part", "plane")


class Truth(Enum):
    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"
    """A fact that decides it is missing."""
    ABSENT = "absent"
    """No analyzer reported anything of the kind: there is nothing to decide."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a condition holds, and the value or the gap that decided it, in words."""

    truth: Truth
    because: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What conditions look at: the series, all reported findings, and the structure in question.

    structure: (analyzer, key); None: a rule about the whole study.
    """

    volume: Volume
    structure: tuple[str, str] | None = None

    def measurements(self, code: str) -> list[tuple[Reported, Measurement]]:
        found = ((one, one.finding) for one in self._in_question())
        return [
            (one, it) for one, it in found if isinstance(it, Measurement) and it.name.value == code
        ]

    def answers(self, question: str) -> list[tuple[Reported, Classification]]:
        found = ((one, one.finding) for one in self._in_question())
        return [
            (one, it)
            for one, it in found
            if isinstance(it, Classification) and it.question.value == question
        ]

    def structures(self, analyzer: str) -> list[tuple[str, str]]:
        """The structures an analyzer reported, in its order."""
        found = [(one.analyzer, one.structure) for one in self.volume.reported]
        return list(dict.fromkeys(one for one in found if one[0] == analyzer and one[1]))

    def _in_question(self) -> Sequence[Reported]:
        if self.structure is None:
            return self.volume.reported
        return [
            one for one in self.volume.reported if (one.analyzer, one.structure) == self.structure
        ]


@dataclass(frozen=True, slots=True)
class Bounds:
    """``at_least ≤ value < below`` in ``unit``, and ``above < value ≤ at_most``; None: open."""

    unit: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def hold(self, value: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def judge(self, name: str, value: float, unit: str) -> Judgement:
        try:
            converted = convert(value, unit, self.unit)
        except (UnknownUnit, UnlikeUnits) as error:
            return Judgement(Truth.UNKNOWN, f"{name}: {error}")
        truth = Truth.MET if self.hold(converted) else Truth.UNMET
        return Judgement(truth, f"{name} = {converted:.4g} {_spoken(self.unit)}")


class Condition(Protocol):
    def judge(self, scene: Scene) -> Judgement:
        """Whether the condition holds in a scene."""


@dataclass(frozen=True, slots=True)
class MeasurementIs:
    """A reported number lies within bounds; met when any of several does.

    code: value of the concept's code. analyzer: whose; empty: anybody's.
    """

    code: str
    bounds: Bounds
    analyzer: str = ""

    def judge(self, scene: Scene) -> Judgement:
        judgements = [
            self.bounds.judge(_named(one, it.name.meaning), it.value, it.unit.value)
            for one, it in scene.measurements(self.code)
            if not self.analyzer or one.analyzer == self.analyzer
        ]
        return _any(judgements, f"no measurement {self.code} is reported")


@dataclass(frozen=True, slots=True)
class AnswerIs:
    """A reported classification gave one of these answers (code values)."""

    question: str
    one_of: frozenset[str]
    least_probability: float = 0.0

    def judge(self, scene: Scene) -> Judgement:
        judgements = [self._of(one, it) for one, it in scene.answers(self.question)]
        return _any(judgements, f"no answer to {self.question} is reported")

    def _of(self, one: Reported, it: Classification) -> Judgement:
        sure = it.probability is None or it.probability >= self.least_probability
        truth = Truth.MET if it.answer.value in self.one_of and sure else Truth.UNMET
        probability = "" if it.probability is None else f" (probability {it.probability:.2f})"
        words = f"{_named(one, it.question.meaning)}: {it.answer.meaning}{probability}"
        return Judgement(truth, words)


@dataclass(frozen=True, slots=True)
class IsWhole:
    """The structure in question is shown whole: no border of the images cuts it."""

    def judge(self, scene: Scene) -> Judgement:
        cut = [one for one, it in scene.answers(EXTENT.value) if it.answer == CUT]
        if not cut:
            return Judgement(Truth.MET, "shown whole")
        return Judgement(Truth.UNKNOWN, f"a border of the images cuts the {_place(cut[0])}")


@dataclass(frozen=True, slots=True)
class SubjectIs:
    """Age, weight or height of the person lies within bounds."""

    field: str
    bounds: Bounds

    def judge(self, scene: Scene) -> Judgement:
        value = getattr(scene.volume.subject, self.field)
        name = self.field.split("_", maxsplit=1)[0]
        if value is None:
            return Judgement(Truth.UNKNOWN, f"{name} is not given")
        return self.bounds.judge(name, float(value), SUBJECT_UNITS[self.field])


@dataclass(frozen=True, slots=True)
class SexIs:
    one_of: frozenset[str]

    def judge(self, scene: Scene) -> Judgement:
        sex = scene.volume.subject.sex
        if sex is None:
            return Judgement(Truth.UNKNOWN, "sex is not given")
        return Judgement(Truth.MET if sex in self.one_of else Truth.UNMET, f"sex = {sex}")


@dataclass(frozen=True, slots=True)
class SeriesIs:
    """A header field of the series has one of these values; letter case does not count."""

    field: str
    one_of: frozenset[str]

    def judge(self, scene: Scene) -> Judgement:
        facts = scene.volume.facts
        value = str(getattr(facts, self.field, None) or "") if facts is not None else ""
        name = self.field.replace("_", " ")
        if not value:
            return Judgement(Truth.UNKNOWN, f"{name} is not given")
        met = value.upper() in {one.upper() for one in self.one_of}
        return Judgement(Truth.MET if met else Truth.UNMET, f"{name} = {value}")


@dataclass(frozen=True, slots=True)
class CountIs:
    """How many structures an analyzer reported."""

    analyzer: str
    bounds: Bounds

    def judge(self, scene: Scene) -> Judgement:
        count = len(scene.structures(self.analyzer))
        if count == 0:
            return Judgement(Truth.ABSENT, f"{self.analyzer} reported no structure")
        return self.bounds.judge(f"structures of {self.analyzer}", float(count), "1")


def _any(judgements: list[Judgement], missing: str) -> Judgement:
    """Met by one of several; the words of those that met it, else of all."""
    for truth in (Truth.MET, Truth.UNKNOWN, Truth.UNMET):
        found = [one.because for one in judgements if one.truth is truth]
        if found:
            return Judgement(truth, ", ".join(found))
    return Judgement(Truth.ABSENT, missing)


def _named(one: Reported, meaning: str) -> str:
    place = _place(one)
    return f"{meaning} ({place})" if place else meaning


def _place(one: Reported) -> str:
    """The structure and the series, as far as they are known."""
    series = f"series {one.series}" if one.series else ""
    return ", ".join(part for part in (one.structure.replace("_", " "), series) if part)


def _spoken(unit: str) -> str:
    return {"[hnsf'U]": "HU", "a": "years", "1": ""}.get(unit, unit)
