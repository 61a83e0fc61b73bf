"""What became of a study or a delivery, as sign, colour and words: green only for what is true.

"Complete" says that all images have come, not that anything was found in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.fetches import FetchState
from storage.records import JobState, StudyState

if TYPE_CHECKING:
    from node.web.views import DeliveryView, JobView, StudyView


@dataclass(frozen=True, slots=True)
class Badge:
    """``look`` is a state that the page has a sign and a colour for."""

    look: str
    words: str


def of_fetch(state: FetchState) -> Badge:
    """Green only where all that was found is here."""
    look = {FetchState.DONE: "done", FetchState.WAITING: "pending", FetchState.RUNNING: "running"}
    words = {FetchState.PARTIAL: "not all came", FetchState.NOTHING: "nothing found"}
    return Badge(look.get(state, "failed"), words.get(state, state.value))


def of_study(card: StudyView) -> Badge:
    """The worst that holds of the newest job of each kind, else how far it has come."""
    if card.study.state is StudyState.RECEIVING:
        return Badge("receiving", "receiving")
    jobs = standing(card.jobs)
    if not jobs:
        return Badge("not_applicable", "nothing was analyzed")
    return _troubled(card, jobs) or _under_way(jobs) or _ended(jobs)


def standing(jobs: Sequence[JobView]) -> list[JobView]:
    """The jobs that no newer one has taken the place of; one that was cancelled takes none."""
    newer = (one.job for one in jobs if one.job.state is not JobState.CANCELLED)
    replaced = {job.predecessor_id for job in newer}
    return [one for one in jobs if one.job.id not in replaced]


def _troubled(card: StudyView, jobs: Sequence[JobView]) -> Badge | None:
    failed = sum(one.job.state is JobState.FAILED for one in jobs)
    if failed:
        return Badge("failed", f"{failed} of {len(jobs)} analyses failed")
    refused = sum(to.failed for one in jobs for to in one.deliveries)
    if refused:
        return Badge("failed", f"{refused} result{_s(refused)} not delivered")
    if card.ledger.missing:
        return Badge("failed", f"{card.ledger.missing} announced images missing")
    return Badge("failed", "stands still") if card.ledger.gaps else None


def _under_way(jobs: Sequence[JobView]) -> Badge | None:
    states = {one.job.state for one in jobs}
    if JobState.RUNNING in states:
        return Badge("running", "being analyzed")
    if JobState.PENDING in states:
        return Badge("pending", "waits for analysis")
    waiting = sum(to.waiting for one in jobs for to in one.deliveries)
    if waiting:
        return Badge("pending", f"{waiting} result{_s(waiting)} to be sent")
    return None


def _ended(jobs: Sequence[JobView]) -> Badge:
    if any(one.job.state is JobState.DONE for one in jobs):
        return Badge("done", "analyzed")
    if any(one.job.state is JobState.CANCELLED for one in jobs):
        return Badge("cancelled", "analysis cancelled")
    return Badge("not_applicable", "no analysis applies")


def of_delivery(job: JobView, to: DeliveryView) -> Badge:
    """What a destination was sent of a job, and whether that is a result.

    A job that failed, or does not apply, sends the report that says so and nothing else.
    """
    report = {
        JobState.FAILED: "the report of the failure",
        JobState.NOT_APPLICABLE: "the report that it does not apply",
    }.get(job.job.state)
    if report is None or to.sent + to.waiting + to.failed != 1:
        return Badge(_look(to), f"{to.sent} sent")
    if to.sent:
        return Badge("not_applicable", f"only {report} was sent")
    return Badge(_look(to), f"{report}: 0 sent")


def _look(to: DeliveryView) -> str:
    return "not_applicable" if to.state == "left_out" else to.state


def _s(number: int) -> str:
    return "" if number == 1 else "s"
