"""What is to be done with a study: the rules' decisions as rows of the ledger.

Reads the index and enters the plan; decides nothing that ``routing`` has not decided.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analyzers import registry
from analyzers.contract import AnalyzerInfo, ParameterValues
from node.config.rules import RuleSettings
from node.intake.companions import companions, in_order, same_patient
from node.intake.descriptions import Descriptions
from node.intake.routing import Decision, SeriesVerdict, is_foreign, mixed_patients, route
from node.intake.rules import unmet
from node.series.parts import divided, part_in
from storage import events, index, ledger, outbox
from storage.database import Transaction
from storage.records import Level, NewJob, Priority, StoredSeries, StudyState, Topic

ROWS_AT_ONCE = 5_000
"""So many instances may the jobs of a study name that are entered in one transaction."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be entered for a study, as it was when it was read."""

    study_id: int
    at: datetime
    instances: int
    jobs: tuple[NewJob, ...]
    note: str
    alarms: tuple[str, ...] = ()

    def to_prepare(self) -> tuple[NewJob, ...]:
        """The jobs that are too large to be entered all in one transaction, in their order."""
        rows = sum(_rows_of(job) for job in self.jobs)
        return self.jobs if rows > ROWS_AT_ONCE else ()

    def enter(self, tx: Transaction) -> int:
        """Enter the jobs; gives how many are new."""
        index.note(tx, self.study_id, self.note)
        for text in self.alarms:
            state = StudyState.COMPLETE
            events.record(tx, self.at, Level.ALARM, Topic.STUDY, self.study_id, state, state, text)
        return len(ledger.enqueue_all(tx, self.jobs, self.at))


def _rows_of(job: NewJob) -> int:
    return len(job.instance_ids) + sum(len(ids) for ids in job.companions.values())


class Planner:
    """Turns a complete study into ledger rows."""

    def __init__(
        self, rules: tuple[RuleSettings, ...], parameters: Mapping[str, ParameterValues]
    ) -> None:
        names = {name for rule in rules for name in rule.analyzers}
        self._rules = rules
        self._installed: dict[str, AnalyzerInfo] = {name: registry.info(name) for name in names}
        self._given = [
            {name: _values(name, rule.parameters_of(name, parameters)) for name in rule.analyzers}
            for rule in rules
        ]

    def plan(
        self,
        tx: Transaction,
        study_id: int,
        at: datetime,
        missing: str = "",
        only_series: int | None = None,
    ) -> Plan:
        """What is to be done with a study, read and thought over; ``Plan.enter`` enters it.

        missing: what the study lacks, as ``NewJob`` has it. only_series: no other is analyzed.
        """
        series, known = divided(index.series_of(tx, study_id)), Descriptions()
        asked = [one for one in series if only_series in (None, one.id)]
        decisions = route(asked, self._rules, self._installed, known)
        fired = [decision for decision in decisions if decision.fired]
        return Plan(
            study_id,
            at,
            sum(len(one.instances) for one in series),
            tuple(self._jobs(study_id, series, fired, known, missing)),
            "" if fired else _why_nothing(decisions),
            tuple(dict.fromkeys(map(_alarm, filter(_is_mixed, series)))),
        )

    def urgencies(self, tx: Transaction, study_ids: Sequence[int]) -> dict[int, int]:
        """How urgent studies look, 0 first: by the rules whose conditions a first image meets."""
        ranks = {rule.name: outbox.urgency(rule.priority) for rule in self._rules}
        lowest = max(ranks.values(), default=0)
        found = dict.fromkeys(study_ids, lowest)
        if min(ranks.values(), default=0) == lowest:
            return found  # nothing is more urgent than anything else
        for one in index.glances(tx, study_ids):
            met = (ranks[rule.name] for rule in self._rules if not unmet(rule.when, one.header))
            found[one.study_id] = min((found[one.study_id], *met))
        return found

    def _jobs(
        self,
        study_id: int,
        series: Sequence[StoredSeries],
        fired: Sequence[Decision],
        known: Descriptions,
        missing: str,
    ) -> list[NewJob]:
        """The jobs, each behind those whose findings its analyzer wants."""
        jobs: list[NewJob] = []
        together = Counter(name for name, _ in {(one.rule.name, one.analyzer) for one in fired})
        names = list(dict.fromkeys(decision.analyzer for decision in fired))
        for name in in_order(names, self._installed):
            after = self._installed[name].after
            earlier = tuple(job for job in jobs if job.analyzer in after)
            jobs += merged(
                dataclasses.replace(
                    _of_incomplete(self._job(study_id, decision, series, earlier, known), missing),
                    notices=decision.rule.tells_failed(together[decision.rule.name]),
                )
                for decision in fired
                if decision.analyzer == name
            )
        return jobs

    def _job(
        self,
        study_id: int,
        decision: Decision,
        study: Sequence[StoredSeries],
        earlier: tuple[NewJob, ...],
        known: Descriptions,
    ) -> NewJob:
        info = self._installed[decision.analyzer]
        series, refusals = _inputs(decision)
        beside = {} if refusals else companions(study, series, info, known)
        waits_for = () if refusals else _heard(earlier, decision.rule, series, study)
        parameters = self._parameters_of(decision)
        return NewJob(
            inputs_digest=ledger.joined_digest(
                known.digest(series),
                {role: known.digest(one) for role, one in beside.items()},
                waits_for,
            ),
            analyzer=info.name,
            analyzer_version=info.version,
            parameters_digest=ledger.parameters_digest(parameters),
            parameters=parameters,
            study_id=study_id,
            series_id=series.id,
            instance_ids=tuple(instance.id for instance in series.instances),
            rule=decision.rule.name,
            priority=decision.rule.priority,
            destinations=decision.rule.destinations,
            refusals=refusals,
            companions={
                role: tuple(instance.id for instance in one.instances)
                for role, one in beside.items()
            },
            waits_for=waits_for,
            weights=info.weights,
            variant=self._variant(decision) + series.part,
            every_series=decision.rule.series == "all",
        )

    def _parameters_of(self, decision: Decision) -> ParameterValues:
        return self._given[self._place(decision.rule)][decision.analyzer]

    def _place(self, rule: RuleSettings) -> int:
        return next(place for place, one in enumerate(self._rules) if one is rule)

    def _variant(self, decision: Decision) -> str:
        """The rule's name, where an earlier rule runs the analyzer with other parameters."""
        name = decision.analyzer
        first = next(given[name] for given in self._given if name in given)
        return "" if self._parameters_of(decision) == first else decision.rule.name


def _values(name: str, given: ParameterValues) -> dict[str, Any]:
    return dataclasses.asdict(registry.parameters(name, given))


def _of_incomplete(job: NewJob, missing: str) -> NewJob:
    """The job, where its results say what was missing: they are others than those that do not."""
    if not missing:
        return job
    digest = ledger.joined_digest(job.inputs_digest, {"missing": missing}, ())
    return dataclasses.replace(job, inputs_digest=digest, missing=missing)


def _is_mixed(series: StoredSeries) -> bool:
    return bool(series.disagreements) and is_foreign(series)


def _alarm(series: StoredSeries) -> str:
    return f"{SeriesVerdict(series, (mixed_patients(series),)).sentence()}: it is not analyzed"


def tells_not_applicable(rules: Sequence[RuleSettings], named: str) -> bool:
    """Whether a job's rule wants a report of what did not apply."""
    return any(rule.tells_not_applicable and rule.has_set(named) for rule in rules)


def _heard(
    earlier: Sequence[NewJob],
    rule: RuleSettings,
    series: StoredSeries,
    study: Sequence[StoredSeries],
) -> tuple[str, ...]:
    """The keys of the jobs whose findings are wanted, one of each analyzer.

    That on the series itself where there is one; else on another of the patient's, of the same
    modality rather than another. Of several the rule's own, then that of the most images. Findings
    of two series in one heap would be one another's: the left lung would have two volumes.
    """
    known = {one.id: one for one in study if one.id == series.id or same_patient(one, series)}
    modality = series.header.get("Modality")
    own = tuple(instance.id for instance in series.instances)

    def nearness(job: NewJob) -> tuple[bool | int, ...]:
        return (
            not job.refusals,
            job.series_id == series.id,
            part_in(job.variant) == series.part,
            job.instance_ids == own,
            known[job.series_id].header.get("Modality") == modality,
            job.rule == rule.name,
            len(job.instance_ids),
        )

    nearest: dict[str, NewJob] = {}
    for job in earlier:
        if job.series_id in known:
            best = nearest.setdefault(job.analyzer, job)
            nearest[job.analyzer] = max(best, job, key=nearness)
    return tuple(ledger.key_of(job) for job in nearest.values())


def merged(jobs: Iterable[NewJob]) -> list[NewJob]:
    """Jobs that rules share become one: all their destinations, the higher priority."""
    found: dict[str, NewJob] = {}
    for job in jobs:
        key = ledger.key_of(job)
        other = found.get(key)
        found[key] = job if other is None else _both(other, job)
    return list(found.values())


def _both(one: NewJob, other: NewJob) -> NewJob:
    ranks = list(Priority)
    return dataclasses.replace(
        one,
        rule=f"{one.rule}, {other.rule}",
        priority=min(one.priority, other.priority, key=ranks.index),
        destinations=tuple(dict.fromkeys((*one.destinations, *other.destinations))),
        notices=one.notices or other.notices,
    )


def _inputs(decision: Decision) -> tuple[StoredSeries, tuple[str, ...]]:
    if decision.chosen is not None:
        return decision.chosen, ()
    largest = max(decision.refused, key=lambda verdict: len(verdict.series.instances))
    said = (verdict.sentence() for verdict in decision.refused)
    return largest.series, tuple(dict.fromkeys(said))


def _why_nothing(decisions: tuple[Decision, ...]) -> str:
    if not decisions:
        return "no rule is configured"
    reasons = {
        f"rule {decision.rule.name!r}: {verdict.sentence()}": None
        for decision in decisions
        for verdict in decision.unmatched[:3]
    }
    return " · ".join(list(reasons)[:6]) or "the study has no series from outside"
