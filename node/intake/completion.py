"""Decides that a study is complete, and enters its jobs in the same transaction.

Evidence: every announced instance is there (see ``announced``); or else every association that
brought the study has ended, and nothing came for the quiet period. A late image re-opens the study
(see ``storage.index.add``); it is completed again with new jobs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta

import structlog

from analyzers import registry
from analyzers.contract import AnalyzerInfo, ParameterValues
from node.clock import Clock
from node.config import CompletionSettings, RuleSettings
from node.intake.announced import EVIDENCE, Announced
from node.intake.companions import companions, in_order
from node.intake.routing import Decision, route
from node.observe.logs import study_digest
from storage import events, index, ledger
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable
from storage.records import (
    Level,
    NewJob,
    Priority,
    StoredSeries,
    StudyRow,
    StudyState,
    Subject,
)

log = structlog.get_logger(__name__)

QUIET = "associations ended, quiet period over"


class Completion:
    """Completes due studies.

    open_studies: UIDs of the studies that live associations or the index queue are bringing.
    indexing: UIDs of those that the index queue is bringing.
    """

    def __init__(
        self,
        database: Database,
        settings: CompletionSettings,
        planner: Planner,
        open_studies: Callable[[], Set[str]],
        clock: Clock,
        indexing: Callable[[], Set[str]] = frozenset,
    ) -> None:
        self._announced = Announced(database, settings.announced_wait_s, indexing)
        self._database = database
        self._settings = settings
        self._planner = planner
        self._open_studies = open_studies
        self._clock = clock
        self._started_at = clock()

    def step(self) -> int:
        """Complete every study that is due; gives how many jobs were entered."""
        now = self._clock()
        quiet = timedelta(seconds=self._settings.quiet_period_s)
        word = self._announced.step(now)
        entered = sum(self._complete_or_say_why(study, EVIDENCE) for study in word.vouched)
        if now - self._started_at < quiet:
            return entered  # senders that a restart cut off get the quiet period to come back
        with self._database.read() as tx:
            due = index.due_studies(tx, now - quiet)
        closed = (
            study for study in self._closed(due, now) if study.study_instance_uid not in word.held
        )
        return entered + sum(self._complete_or_say_why(study, QUIET) for study in closed)

    def _closed(self, due: list[StudyRow], now: datetime) -> list[StudyRow]:
        if not due:
            return []
        longest = timedelta(seconds=self._settings.open_association_quiet_s)
        still_open = self._open_studies()
        return [
            study
            for study in due
            if study.study_instance_uid not in still_open or now - study.last_received_at > longest
        ]

    def _complete_or_say_why(self, study: StudyRow, evidence: str) -> int:
        try:
            return self._complete(study, evidence)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # border: one study must not hold up the others
            log.exception("study not planned", study=study_digest(study.study_instance_uid))
            self._complete_without_jobs(study, error)
            return 0

    def _complete_without_jobs(self, study: StudyRow, error: Exception) -> None:
        now = self._clock()
        why = f"not analyzed: a fault of this node ({type(error).__name__}), see its log"
        with self._database.write() as tx:
            if index.complete(tx, study.id, now, study.last_received_at):
                index.note(tx, study.id, why)
                state = StudyState.COMPLETE
                events.record(tx, now, Level.ALARM, Subject.STUDY, study.id, state, state, why)

    def _complete(self, study: StudyRow, evidence: str) -> int:
        now = self._clock()
        with self._database.write() as tx:
            if not index.complete(tx, study.id, now, study.last_received_at, evidence):
                return 0
            entered = self._planner.plan(tx, study.id, now)
        log.info(
            "study complete",
            study=study_digest(study.study_instance_uid),
            instances=study.instances,
            jobs=entered,
            evidence=evidence,
        )
        return entered


class Planner:
    """Turns a complete study into ledger rows."""

    def __init__(
        self, rules: tuple[RuleSettings, ...], parameters: Mapping[str, ParameterValues]
    ) -> None:
        names = {name for rule in rules for name in rule.analyzers}
        self._rules = rules
        self._installed: dict[str, AnalyzerInfo] = {name: registry.info(name) for name in names}
        self._parameters = {
            name: dataclasses.asdict(registry.parameters(name, parameters.get(name, {})))
            for name in names
        }

    def plan(self, tx: Transaction, study_id: int, at: datetime) -> int:
        """Enter the study's jobs; gives how many are new."""
        series = index.series_of(tx, study_id)
        decisions = route(series, self._rules, self._installed)
        fired = [decision for decision in decisions if decision.fired]
        index.note(tx, study_id, "" if fired else _why_nothing(decisions))
        jobs = self._jobs(study_id, series, fired)
        return sum(ledger.enqueue(tx, job, at) is not None for job in jobs)

    def _jobs(
        self, study_id: int, series: Sequence[StoredSeries], fired: Sequence[Decision]
    ) -> list[NewJob]:
        """The jobs, each behind those whose findings its analyzer wants."""
        jobs: list[NewJob] = []
        names = list(dict.fromkeys(decision.analyzer for decision in fired))
        for name in in_order(names, self._installed):
            after = self._installed[name].after
            earlier = tuple(ledger.key_of(job) for job in jobs if job.analyzer in after)
            jobs += merged(
                self._job(study_id, decision, series, earlier)
                for decision in fired
                if decision.analyzer == name
            )
        return jobs

    def _job(
        self,
        study_id: int,
        decision: Decision,
        study: Sequence[StoredSeries],
        waits_for: tuple[str, ...],
    ) -> NewJob:
        info = self._installed[decision.analyzer]
        series, refusals = _inputs(decision)
        beside = {} if refusals else companions(study, series, info)
        waits_for = () if refusals else waits_for
        parameters = self._parameters[decision.analyzer]
        return NewJob(
            inputs_digest=ledger.joined_digest(
                ledger.inputs_digest(series.instances),
                {role: ledger.inputs_digest(one.instances) for role, one in beside.items()},
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
            notices=decision.rule.notices,
            companions={
                role: tuple(instance.id for instance in one.instances)
                for role, one in beside.items()
            },
            waits_for=waits_for,
        )


def merged(jobs: Iterable[NewJob]) -> list[NewJob]:
    """Jobs that rules share become one: all their destinations, the higher priority."""
    found: dict[tuple[str, ...], NewJob] = {}
    for job in jobs:
        key = (job.inputs_digest, job.analyzer, job.analyzer_version, job.parameters_digest)
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
    return largest.series, tuple(verdict.sentence() for verdict in decision.refused)


def _why_nothing(decisions: tuple[Decision, ...]) -> str:
    if not decisions:
        return "no rule is configured"
    reasons = {
        f"rule {decision.rule.name!r}: {verdict.sentence()}": None
        for decision in decisions
        for verdict in decision.unmatched[:3]
    }
    return " · ".join(list(reasons)[:6]) or "the study has no series from outside"
