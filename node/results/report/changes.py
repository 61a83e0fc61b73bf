"""How numbers differ from those of the report that this one supersedes.

A late image re-opens a study: whoever has read the first report is told what is new in the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from analyzers.contract import Detection, Findings, Measurement, Reported, Segment, Segmentation
from node.results.report import statements
from node.results.words import numbers, sentences
from storage.records import FindingRow


@dataclass(frozen=True, slots=True)
class Change:
    """A number that people see differ. structure: in words, empty for the whole series."""

    structure: str
    before: Measurement
    now: Measurement

    def in_words(self, language: str) -> str:
        """ "Right lung, Volume: 1.2 L, before 1.1 L (+9%)."."""
        name = self._name(language)
        return sentences.CHANGED(
            language,
            name=f"{self.structure}, {name}" if self.structure else name,
            now=numbers.in_words(self.now, language),
            before=self._before(language),
        )

    def row(self, language: str) -> FindingRow:
        name = sentences.ROW_BEFORE(language, name=self._name(language))
        return FindingRow(self.structure, name, None, "", self._before(language))

    def _name(self, language: str) -> str:
        return statements.measured_name(self.now, language)

    def _before(self, language: str) -> str:
        value = numbers.in_words(self.before, language)
        if not self.before.value:
            return value
        percent = 100 * (self.now.value - self.before.value) / abs(self.before.value)
        sign = numbers.spelled(
            f"{percent:+.0f}" if abs(percent) >= 10 else f"{percent:+.2g}", language
        )
        return sentences.BEFORE(language, value=value, percent=sign)


def since(earlier: Sequence[Reported], findings: Findings, language: str) -> list[Change]:
    """The changes of all that was measured then and now, in the order of the findings."""
    then = {
        _key(one.structure, one.finding): one.finding
        for one in earlier
        if isinstance(one.finding, Measurement)
    }
    return [
        Change(structure, before, now)
        for key, structure, now in _measured(findings, language)
        if (before := then.get(_key(key, now))) is not None and _differ(before, now)
    ]


def _key(structure: str, item: object) -> tuple[str, ...]:
    if not isinstance(item, Measurement):
        return ()
    derivation = item.derivation.value if item.derivation else ""
    return (structure, item.name.scheme, item.name.value, item.unit.value, derivation)


def _differ(before: Measurement, now: Measurement) -> bool:
    if not (math.isfinite(before.value) and math.isfinite(now.value)):
        return False
    return numbers.shown(before.value) != numbers.shown(now.value)


def _measured(findings: Findings, language: str) -> Iterator[tuple[str, str, Measurement]]:
    """Every number with the key and the name of what it belongs to."""
    for item in findings.items:
        if isinstance(item, Measurement):
            yield "", "", item
        elif isinstance(item, Detection):
            yield from _of(item, statements.detection_name(item, language))
        elif isinstance(item, Segmentation):
            for segment in item.segments:
                yield from _of(segment, segment.label)


def _of(found: Segment | Detection, name: str) -> Iterable[tuple[str, str, Measurement]]:
    return ((found.key, name, one) for one in found.measurements)
