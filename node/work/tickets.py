"""From a row of the ledger to the ticket that a worker is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from analyzers import registry
from analyzers.contract import AnalyzerError, AnalyzerInfo, Limits
from node.clock import Clock
from node.config.rules import RuleSettings
from node.results import reported
from node.results.modules.source import HierarchicalReference, Maker
from node.series import parts
from node.work import incomplete, retractions, summaries
from node.work.executor import Retraction, Summary, Ticket, Verdict, inputs_of
from storage import index, ledger, own_jobs
from storage.database import Transaction
from storage.files.blobs import Blob
from storage.files.decoded_shelf import DecodedShelf
from storage.files.port import Instances, Results
from storage.kinds import ObjectKind
from storage.records import Job, JobState, StoredInstance


@dataclass(frozen=True, slots=True)
class Tickets:
    """Makes tickets: see ``Dispatcher`` for what they are made from."""

    _instances: Instances
    _results: Results
    _clock: Clock
    _maker: Maker
    _forms: Callable[[Transaction, Job], tuple[ObjectKind, ...]]
    _rules: Sequence[RuleSettings]
    _decoded: DecodedShelf | None = None

    def of(self, tx: Transaction, job: Job) -> Ticket:
        """The ticket of a job, as it stands in the ledger.

        Raises
        ------
        StorageError
        """
        own, beside = ledger.input_instances(tx, job.id), ledger.companions_of(tx, job.id)
        installed = installed_info(job.analyzer)
        ticket = Ticket(
            job_id=job.id,
            key=job.key,
            analyzer=job.analyzer,
            analyzer_version=job.analyzer_version,
            parameters=job.parameters,
            instances=self._blobs(own),
            place=self._results.job(job.key),
            started_at=job.started_at or self._clock(),
            limits=_limits(job.analyzer),
            predecessor=_predecessor(tx, job),
            earlier=self._earlier(tx, job),
            companions={role: self._blobs(images) for role, images in beside.items()},
            reported=self._reported(tx, job),
            notices=False,
            title=title_of(job.analyzer) if installed or job.analyzer in own_jobs.OWN else "",
            family=installed.family if installed else None,
            maker=self._maker,
            weights=job.weights,
            inputs=inputs_of({"": own, **beside}),
            is_further=job.is_further,
            forms=tuple(dict.fromkeys((*job.forms, *self._forms(tx, job)))),
            missing=job.missing,
            part=_part(tx, job),
            volume_of=parts.frames_in(job.variant),
            decoded=self._decoded,
        )
        above = self._above(tx, job)
        if above is not None:
            documents = {ObjectKind.DOCUMENT}.intersection(ticket.forms)
            of_it = documents if job.analyzer == own_jobs.SUMMARY else ()
            return replace(ticket, above=above, forms=(*above.forms, *of_it))
        if job.refusals:
            reasons = (*incomplete.sentences(job.missing), *job.refusals)
            return ticket.as_notice(Verdict.NOT_APPLICABLE, reasons)
        return ticket

    def _blobs(self, instances: Iterable[StoredInstance]) -> tuple[Blob, ...]:
        return tuple(Blob(self._instances.blobs, one.key) for one in instances)

    def _earlier(self, tx: Transaction, job: Job) -> tuple[str, Blob] | None:
        if job.predecessor_id is None:
            return None
        before = ledger.get(tx, job.predecessor_id)
        return before.analyzer, Blob(self._results.blobs, f"{before.key}/{reported.NAME}")

    def _reported(self, tx: Transaction, job: Job) -> tuple[tuple[str, Blob], ...]:
        return tuple(
            (earlier.analyzer, Blob(self._results.blobs, f"{earlier.key}/{reported.NAME}"))
            for earlier in ledger.waited_for(tx, job.id)
            if earlier.state is JobState.DONE
        )

    def _above(self, tx: Transaction, job: Job) -> Summary | Retraction | None:
        """What the node itself is to write of a study, where that is the job."""
        if job.analyzer == own_jobs.SUMMARY:
            return Summary(summaries.told(tx, job, self._rules, self._results.blobs, title_of))
        if job.analyzer == own_jobs.RETRACTION:
            return retractions.told(tx, job)
        return None


def title_of(analyzer: str) -> str:
    """What a person calls it."""
    installed = installed_info(analyzer)
    return installed.title if installed else _OWN.get(analyzer, analyzer)


_OWN = {own_jobs.SUMMARY: "Summary", own_jobs.RETRACTION: "Retraction"}


def _limits(analyzer: str) -> Limits:
    installed = installed_info(analyzer)
    return installed.limits if installed else Limits()


def installed_info(analyzer: str) -> AnalyzerInfo | None:
    """What is known of the analyzer; None where it is gone or broken: the worker says so."""
    try:
        return registry.info(analyzer)
    except AnalyzerError:
        return None


def _part(tx: Transaction, job: Job) -> str:
    """What people call the volume that it is given, of a series that holds several."""
    if not parts.part_in(job.variant):
        return ""
    study = index.series_of(tx, job.study_id)
    return parts.named(study, job.series_instance_uid, job.variant)


def _predecessor(tx: Transaction, job: Job) -> HierarchicalReference | None:
    if job.predecessor_id is None:
        return None
    report = ledger.report_of(tx, job.predecessor_id)
    if report is None:
        return None
    found, study_instance_uid = report
    return HierarchicalReference(
        study_instance_uid=study_instance_uid,
        series_instance_uid=found.series_instance_uid,
        sop_class_uid=found.sop_class_uid,
        sop_instance_uid=found.sop_instance_uid,
    )
