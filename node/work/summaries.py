"""The one summary, a study and rule, above the reports of its analyzers.

Owns when it is due and of which jobs it speaks. It is a job of its own in the ledger, entered with
the end of the last job of the rule, and again whenever one of them ends otherwise than before. Its
name derives from how they ended: the same ends never make a second one.

Where one analyzer alone ran for a rule its own report is the root of its results, and there is no
summary above it; nor is there one where none applied, unless that is to be told.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from node.config.rules import FEWEST_SUMMED_UP, RuleSettings
from node.results.modules.source import HierarchicalReference
from node.results.study.members import Member
from node.series import parts
from storage import index, ledger, own_jobs
from storage.database import Transaction
from storage.files.blobs import Blob
from storage.files.port import Blobs
from storage.kinds import ObjectKind
from storage.records import Job, JobResults, JobState, NewJob, ResultObject, StoredSeries

MOST_JOBS = 1000
"""Of a study: enough for every analyzer and rule that anybody has."""
VERSION = "2"
_OPEN = frozenset({JobState.PENDING, JobState.RUNNING})


def enter_due(
    tx: Transaction, ended_id: int, rules: Sequence[RuleSettings], at: datetime
) -> list[int]:
    """Enter the summaries that are due now that a job has ended; gives the new jobs."""
    ended = ledger.get(tx, ended_id)
    concerned = [one for one in rules if one.summary and one.has_set(ended.rule)]
    if not concerned or ended.analyzer in own_jobs.OWN:
        return []
    jobs = ledger.list_jobs(tx, ended.study_id, limit=MOST_JOBS)
    made = [_due(tx, rule, jobs) for rule in concerned]
    entered = [_enter(tx, one, jobs, at) for one in made if one is not None]
    return [job_id for job_id in entered if job_id is not None]


def _enter(tx: Transaction, job: NewJob, jobs: Sequence[Job], at: datetime) -> int | None:
    """One that stands there already is due again where reports for other readers were made."""
    entered = ledger.enqueue_beside(tx, job, at)
    if entered is None:
        key = ledger.key_of(job)
        members = [one for one in jobs if one.key in job.waits_for]
        if any(_regions(ledger.results_of(tx, one.id), one) for one in members):
            (there,) = [one.id for one in jobs if one.key == key]
            ledger.want_forms(tx, there, {ObjectKind.REGIONS}, at, "reports of regions were made")
    return entered


def _due(tx: Transaction, rule: RuleSettings, jobs: Sequence[Job]) -> NewJob | None:
    """The summary of a rule; None while a job of it is open."""
    members = _members(rule, jobs)
    if len(members) < FEWEST_SUMMED_UP or any(one.state in _OPEN for one in members):
        return None
    earlier = [one for one in jobs if _is_summary_of(one, rule)]
    if not earlier and not _has_something_to_say(rule, members):
        return None
    first = next(filter(None, (ledger.first_input(tx, one.id) for one in members)), None)
    if first is None:
        return None
    job = NewJob(
        inputs_digest=_digest([rule.name, *(_end(tx, one) for one in members)]),
        analyzer=own_jobs.SUMMARY,
        analyzer_version=VERSION,
        parameters_digest=ledger.parameters_digest({}),
        parameters={},
        study_id=members[0].study_id,
        series_id=first.series_id,
        instance_ids=(first.instance_id,),
        rule=rule.name,
        priority=rule.priority,
        destinations=rule.destinations,
        notices=False,
        waits_for=tuple(one.key for one in members),
    )
    return _named_anew(job, earlier)


def _has_something_to_say(rule: RuleSettings, members: Sequence[Job]) -> bool:
    """Of a study to which no analyzer applies nothing is sent, unless that is wanted; nor where a
    person wanted nothing."""
    return rule.tells_not_applicable or any(one.state not in _SILENT for one in members)


def _members(rule: RuleSettings, jobs: Sequence[Job]) -> list[Job]:
    """The jobs of a rule that nothing has taken the place of, in the order of its analyzers."""
    of_rule = [one for one in jobs if one.analyzer not in own_jobs.OWN and rule.has_set(one.rule)]
    current = [one for one in of_rule if not any(_is_after(other, one) for other in jobs)]
    order = {name: place for place, name in enumerate(rule.analyzers)}
    return sorted(current, key=lambda one: (order.get(one.analyzer, len(order)), one.id))


def _is_after(later: Job, earlier: Job) -> bool:
    """As ``storage.successors``."""
    is_of_rule = later.rule == earlier.rule and not (later.every_series or earlier.every_series)
    is_alike = later.series_instance_uid == earlier.series_instance_uid or is_of_rule
    is_it = (later.analyzer, later.variant) == (earlier.analyzer, earlier.variant)
    return later.id > earlier.id and is_it and is_alike and later.state is not JobState.CANCELLED


def _end(tx: Transaction, job: Job) -> list[str]:
    """How a job ended, as far as the summary speaks of it."""
    referred = _referred(ledger.results_of(tx, job.id), job)
    return [job.key, job.state, job.reason, *(one.sop_instance_uid for one in referred)]


def _named_anew(job: NewJob, earlier: Sequence[Job]) -> NewJob:
    """What ended otherwise meanwhile, and as before again, is said again, after what was said.

    What the newest says already keeps its name.
    """
    said = sorted(earlier, key=lambda one: one.id)
    key = ledger.key_of(job)
    if all(one.key != key for one in said) or said[-1].key == key:
        return job
    as_newest = _after(job, said[-2])
    return as_newest if ledger.key_of(as_newest) == said[-1].key else _after(job, said[-1])


def _after(job: NewJob, other: Job) -> NewJob:
    return replace(job, inputs_digest=_digest([job.inputs_digest, other.key]))


def _is_summary_of(job: Job, rule: RuleSettings) -> bool:
    return job.analyzer == own_jobs.SUMMARY and job.rule == rule.name


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


# --- what the worker is told ----------------------------------------------------------------------


def told(
    tx: Transaction,
    job: Job,
    rules: Sequence[RuleSettings],
    blobs: Blobs,
    title_of: Callable[[str], str],
) -> tuple[Member, ...]:
    """The jobs that a summary speaks of, as they stand in the ledger."""
    jobs = ledger.waited_for(tx, job.id)
    rule = next((one for one in rules if one.name == job.rule), None)
    ordered = _members(rule, jobs) if rule else jobs
    places = _places(tx, ordered)
    return tuple(
        replace(_member(one, ledger.results_of(tx, one.id), blobs, title_of), place=place)
        for one, place in zip(ordered, places, strict=True)
    )


def _places(tx: Transaction, jobs: Sequence[Job]) -> list[str]:
    """Which images each looked at, where its analyzer looked at several series or parts of one."""
    times = Counter(one.analyzer for one in jobs)
    if all(count == 1 for count in times.values()):
        return [""] * len(jobs)
    study = index.series_of(tx, jobs[0].study_id)
    return [_place(study, one) if times[one.analyzer] > 1 else "" for one in jobs]


def _place(study: Sequence[StoredSeries], job: Job) -> str:
    uid = job.series_instance_uid
    number = next(
        (one.header.get("SeriesNumber") for one in study if one.series_instance_uid == uid), None
    )
    part = parts.in_short(parts.named(study, uid, job.variant))
    return ", ".join(filter(None, ("" if number is None else f"series {number}", part)))


def _member(job: Job, results: JobResults, blobs: Blobs, title_of: Callable[[str], str]) -> Member:
    report = next((one for one in reversed(results.objects) if one.kind.is_report), None)
    return Member(
        title=title_of(job.analyzer),
        analyzer=job.analyzer,
        version=job.analyzer_version,
        state=job.state,
        reason=_reason(job, results),
        report=Blob(blobs, report.key) if report and job.state not in _SILENT else None,
        refers_to=_references(job, _referred(results, job)),
        regions=_references(job, _regions(results, job)),
    )


def _reason(job: Job, results: JobResults) -> str:
    """Of a failure what is said to a radiologist, and not to whoever runs the node."""
    told = results.remarks if job.state is JobState.FAILED else ()
    return told[0] if told else job.reason


def _references(job: Job, found: Sequence[ResultObject]) -> tuple[HierarchicalReference, ...]:
    return tuple(
        HierarchicalReference(
            job.study_instance_uid,
            one.series_instance_uid,
            one.sop_class_uid,
            one.sop_instance_uid,
        )
        for one in found
    )


def _regions(results: JobResults, job: Job) -> list[ResultObject]:
    """The report of a job that speaks of images alone, where it was made."""
    present = {one.key: one for one in results.objects}.values()
    is_done = job.state is JobState.DONE
    return [one for one in present if is_done and one.kind is ObjectKind.REGIONS]


_SILENT = (JobState.NOT_APPLICABLE, JobState.CANCELLED)
"""What did not apply may be reported once all have ended, or not at all: its reason is told. What
was cancelled has no report."""


def _referred(results: JobResults, job: Job) -> list[ResultObject]:
    """The report of a job; where that says nothing of the patient, an image of each series made."""
    if job.state in _SILENT:
        return []
    present = {one.key: one for one in results.objects}.values()
    reports = [one for one in present if one.kind is ObjectKind.REPORT]
    if reports:
        return reports
    shown = [one for one in present if not one.kind.is_quiet and one.kind in _SHOWN]
    return list({one.series_instance_uid: one for one in reversed(shown)}.values())[::-1]


_SHOWN = (ObjectKind.IMAGE, ObjectKind.MAP, ObjectKind.PRESENTATION)
