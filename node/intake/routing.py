"""Which analyzers run on a complete study, on which of its series, and why not on the others.

Pure: (series, rules, installed analyzers) → decisions. Reads no file and no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analyzers.contract import AnalyzerInfo
from node.config.rules import RuleSettings
from node.intake.descriptions import Descriptions
from node.intake.rules import unmet
from node.series.parts import divided, is_volume
from storage.records import StoredSeries


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """What became of one series under one rule, and why; no reason means it is accepted."""

    series: StoredSeries
    reasons: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The verdict in words that name the series by number, never by UID or patient."""
        return f"{in_words(self.series)}: {'; '.join(self.reasons) or 'accepted'}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule says of one analyzer for a study.

    chosen: the series to run on, or None. Of a rule that runs on every series that fits there is a
        decision for each.
    fitting: series that it could have run on too, that suit the analyzer less.
    unmatched: series for which the rule's conditions do not hold.
    refused: series for which they hold, that the analyzer's input contract refuses.
    """

    rule: RuleSettings
    analyzer: str
    chosen: StoredSeries | None
    unmatched: tuple[SeriesVerdict, ...]
    refused: tuple[SeriesVerdict, ...]
    fitting: tuple[StoredSeries, ...] = ()

    @property
    def fired(self) -> bool:
        return self.chosen is not None or bool(self.refused)


def route(
    series: Sequence[StoredSeries],
    rules: Sequence[RuleSettings],
    installed: Mapping[str, AnalyzerInfo],
    described: Descriptions | None = None,
) -> tuple[Decision, ...]:
    """One decision for each rule and each of its analyzers, in the order of the rules; of a rule
    that wants all series one for each that fits, and of several radiographs in a series one each.
    Of several volumes in one place only such a rule has more than one analyzed.

    Series that the node made itself are never routed: a PACS that sends everything back would
    close a loop.
    """
    foreign = [one for one in divided(series) if is_foreign(one)]
    known = described or Descriptions()
    return tuple(
        decision
        for rule in rules
        for name in rule.analyzers
        for decision in _decide(foreign, rule, installed[name], known)
    )


def in_words(series: StoredSeries) -> str:
    """A series, or a part of it, by its number, never by UID or description."""
    number = series.header.get("SeriesNumber", "without number")
    count = len(series.instances)
    images = series.part_name or f"{count} image{'' if count == 1 else 's'}"
    return f"series {number} ({images})"


def is_foreign(series: StoredSeries) -> bool:
    """Whether no node like this one made the series; this one's own are not among a study's."""
    kinds = list(series.header.get("ImageType") or [])
    derived = kinds[:1] == ["DERIVED"]
    return not (derived and series.header.get("Manufacturer") == "Wetread")


def _refusals(series: StoredSeries, info: AnalyzerInfo, known: Descriptions) -> tuple[str, ...]:
    mixed = (mixed_patients(series),) if series.disagreements else ()
    return (*mixed, *info.inputs.refusals(known.of(series)))


def mixed_patients(series: StoredSeries) -> str:
    """That the images are not all of one patient, by the attributes that tell, without values."""
    return f"its images do not agree on whom they show ({', '.join(series.disagreements)})"


def _decide(
    series: Sequence[StoredSeries], rule: RuleSettings, info: AnalyzerInfo, known: Descriptions
) -> tuple[Decision, ...]:
    by_rule = [SeriesVerdict(one, unmet(rule.when, one.header)) for one in series]
    matched = [verdict.series for verdict in by_rule if not verdict.reasons]
    by_contract = [SeriesVerdict(one, _refusals(one, info, known)) for one in matched]
    accepted = sorted(
        (verdict.series for verdict in by_contract if not verdict.reasons),
        key=lambda one: (info.inputs.preference(known.of(one)), one.series_instance_uid),
    )
    first = Decision(
        rule=rule,
        analyzer=info.name,
        chosen=accepted[0] if accepted else None,
        unmatched=tuple(verdict for verdict in by_rule if verdict.reasons),
        refused=tuple(verdict for verdict in by_contract if verdict.reasons),
    )
    taken = accepted if rule.series == "all" else _of_the_same(accepted)
    others = (replace(first, chosen=one, unmatched=(), refused=()) for one in taken[1:])
    fitting = tuple(one for one in accepted if one not in taken)
    return (replace(first, fitting=fitting), *others)


def _of_the_same(accepted: Sequence[StoredSeries]) -> list[StoredSeries]:
    """The first and, where it is one radiograph of a series, the others of that."""
    if any(map(is_volume, accepted[:1])):
        return list(accepted[:1])
    return [one for one in accepted if one.series_instance_uid == accepted[0].series_instance_uid]
