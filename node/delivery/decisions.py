"""What becomes of claimed deliveries: each job's as a whole, by what is known of the destination.

Reads the ledger and the objects, and writes nothing but what a destination says it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from node.clock import Clock
from node.delivery import known, profile
from node.delivery.kinds import OF_KIND, ROWS
from node.delivery.profile import Offer, Plan, Situation, Standing, Wish
from node.delivery.references import references_of
from node.delivery.targets.port import Target
from node.dimse.scu.answers import SendResult, is_duplicate
from storage import ledger, selection, successors
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction
from storage.files.blobs import Blob
from storage.files.port import Results
from storage.kinds import ObjectKind
from storage.records import Delivery, DeliveryState, Job, JobState

_FORMS = frozenset(row.kind for row in ROWS if row.is_form)
_UNDER_WAY = (JobState.PENDING, JobState.RUNNING)
_STANDING = {
    DeliveryState.SENT: Standing.THERE,
    DeliveryState.PENDING: Standing.LATER,
    DeliveryState.SENDING: Standing.LATER,
}


@dataclass(frozen=True, slots=True)
class Decisions:
    """By deliveries' row numbers; what is left out may have been put off, and not be claimed.

    goes: to be sent now, in this order.
    refers_to: of these, the ones that have to be there before.
    waits: not now, and why.
    unserved: given up, because the report goes in no form.
    wanted: further forms, by job.
    """

    goes: tuple[Delivery, ...] = ()
    refers_to: Mapping[int, frozenset[int]] = field(default_factory=dict)
    waits: Mapping[int, str] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)
    unserved: Mapping[int, str] = field(default_factory=dict)
    wanted: Mapping[int, frozenset[ObjectKind]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be entered."""
        return not (self.waits or self.left_out or self.unserved or self.wanted)

    def settles(self, delivery_id: int) -> bool:
        """Whether it is not to be offered."""
        return any(delivery_id in one for one in (self.waits, self.left_out, self.unserved))

    def may_go(self, delivery: Delivery, settled: Mapping[int, SendResult]) -> bool:
        """Whether all that it refers to, and that goes with it, is there."""
        going = {one.id for one in self.goes if one.job_id == delivery.job_id}
        return all(
            one in settled and (settled[one].is_stored or is_duplicate(settled[one]))
            for one in self.refers_to.get(delivery.id, ())
            if one in going
        )

    def joined(self, other: Decisions) -> Decisions:
        return Decisions(
            (*self.goes, *other.goes),
            {**self.refers_to, **other.refers_to},
            {**self.waits, **other.waits},
            {**self.left_out, **other.left_out},
            {**self.unserved, **other.unserved},
            {**self.wanted, **other.wanted},
        )


class Decider:
    """Decides for one destination."""

    def __init__(
        self, target: Target, wish: Wish, database: Database, results: Results, clock: Clock
    ) -> None:
        self._target = target
        self._wish = wish
        self._database = database
        self._results = results
        self._clock = clock

    def decide(
        self, claimed: Sequence[Delivery], there: Iterable[int], refused: Iterable[int]
    ) -> Decisions:
        """What becomes of what was claimed.

        there, refused: those of which it is known already, by their row numbers.

        Raises
        ------
        PeerUnavailable
            It cannot be asked what it takes.
        DatabaseUnavailable
        """
        able = known.up_to_date(self._database, self._target, self._clock())
        standing = {one.id: Standing.OWED for one in claimed}
        standing |= dict.fromkeys(there, Standing.THERE) | dict.fromkeys(refused, Standing.GONE)
        with self._database.read() as tx:
            of_job: dict[int, list[Delivery]] = {one.job_id: [] for one in claimed}
            for one in selection.of_jobs(tx, self._target.name, of_job):
                of_job[one.job_id].append(one)
            decided = Decisions()
            for job_id, rows in of_job.items():
                job = ledger.get(tx, job_id)
                decided = decided.joined(self._of_job(tx, job, rows, standing, able))
        return decided

    def _of_job(
        self,
        tx: Transaction,
        job: Job,
        rows: Sequence[Delivery],
        standing: Mapping[int, Standing],
        able: KnownAbilities,
    ) -> Decisions:
        def stands(one: Delivery) -> Standing:
            return standing.get(one.id, _STANDING.get(one.state, Standing.GONE))

        references = {
            one.object.sop_instance_uid: self._references_of(one)
            for one in rows
            if stands(one) in (Standing.OWED, Standing.LATER)
        }
        own = {one.object.sop_instance_uid for one in rows}
        others = {uid for uids in references.values() for uid in uids} - own
        states = selection.states_of(tx, self._target.name, others)
        offers = [_offer(one, stands(one), references, own | states.keys()) for one in rows]
        elsewhere = {uid: _elsewhere(state) for uid, state in states.items()}
        made = frozenset(one.object.kind for one in rows)
        further = frozenset[ObjectKind]() if _is_outlived(tx, job) else _further(job, made)
        is_notice, unmade = job.state not in _WITH_ALL, frozenset(job.unmade)
        situation = Situation(offers, elsewhere, further, is_notice, unmade)
        plan = profile.plan(situation, known.takes_of(able), self._wish)
        return _by_row(job, rows, plan, {one.uid: one.refers_to for one in offers})

    def _references_of(self, delivery: Delivery) -> frozenset[str]:
        if not OF_KIND[delivery.object.kind].refers:
            return frozenset()
        try:
            found = references_of(Blob(self._results.blobs, delivery.object.key))
        except FileNotFoundError:  # said of it when it is due
            return frozenset()
        return found - {delivery.object.sop_instance_uid}


_WITH_ALL = (JobState.DONE, *_UNDER_WAY)


def _offer(
    one: Delivery,
    standing: Standing,
    references: Mapping[str, frozenset[str]],
    made_here: Iterable[str],
) -> Offer:
    uid = one.object.sop_instance_uid
    return Offer(
        uid,
        one.object.kind,
        one.object.sop_class_uid,
        one.object.transfer_syntax_uid,
        standing,
        references.get(uid, frozenset()).intersection(made_here),
    )


def _elsewhere(state: DeliveryState | None) -> Standing:
    return Standing.GONE if state is None else _STANDING.get(state, Standing.GONE)


def _is_outlived(tx: Transaction, job: Job) -> bool:
    """Whether a newer job has taken its place and has ended: nothing more is made of this one."""
    successor = successors.newest_of(tx, job.id)
    return successor is not None and ledger.get(tx, successor).state not in _UNDER_WAY


def _further(job: Job, made: frozenset[ObjectKind]) -> frozenset[ObjectKind]:
    """The forms that may still come, because they can be made or are being made."""
    if job.state is JobState.DONE:
        return _FORMS.difference(job.forms)
    return _FORMS - made if job.state in _UNDER_WAY else frozenset()


def _by_row(
    job: Job, rows: Sequence[Delivery], plan: Plan, references: Mapping[str, frozenset[str]]
) -> Decisions:
    of_uid = {one.object.sop_instance_uid: one for one in rows}
    goes = tuple(of_uid[uid] for uid in plan.goes)

    def of(reasons: Mapping[str, str]) -> dict[int, str]:
        return {of_uid[uid].id: why for uid, why in reasons.items()}

    return Decisions(
        goes=goes,
        refers_to={
            one.id: frozenset(
                of_uid[uid].id for uid in references[one.object.sop_instance_uid] if uid in of_uid
            )
            for one in goes
            if one.object.kind is not ObjectKind.RETRACTION
        },
        waits=of(plan.waits),
        left_out=of(plan.left_out),
        unserved=of(plan.unserved),
        wanted={job.id: plan.wanted} if plan.wanted else {},
    )
