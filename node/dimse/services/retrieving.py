"""What C-GET and C-MOVE have in common (PS3.4 C.4.2, C.4.3): what is asked, counts and statuses.

The instances meant are read from the index a page at a time, so no transaction is open while
bytes are on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID

from node import statuses
from node.audit.tally import StudyTally
from node.dimse.scu.answers import SendOutcome, classify
from node.dimse.services.composite import Refused
from node.dimse.services.retrieve_tables import (
    CANCELLED,
    IDENTIFIER_MISMATCH,
    NOTHING_SENT,
    PENDING,
    SOME_FAILED,
)
from node.dimse.wire.commands import p_data
from node.dimse.wire.retrieves import Asked, Progress, answer, failed_list
from node.query.asked import LEVEL, UNIQUE
from storage import holdings
from storage.database import Database
from storage.files.archive import Archive
from storage.holdings import Held, Selection

_UNIQUE = {level.value: tag for level, tag in UNIQUE.items()}
_PAGE = 2000
"""Rows read at one time: what is no more than one page is read once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    level: str
    selection: Selection


def wanted(identifier: Dataset, is_patient_root: bool, is_strict: bool = False) -> Wanted:
    """What an identifier asks for. Upper keys may be missing, unless ``is_strict``: relational
    retrieve, PS3.4 C.4.2.2.2.

    Raises
    ------
    Refused
        0xA900: no level of the model, no value of its unique key, or one of a level below.
    """
    levels = list(_UNIQUE) if is_patient_root else list(_UNIQUE)[1:]
    level = _values(identifier, LEVEL)
    if len(level) != 1 or level[0] not in levels:
        raise Refused(IDENTIFIER_MISMATCH, f"The level is none of {', '.join(levels)}", LEVEL)
    found = {name: _values(identifier, tag) for name, tag in _UNIQUE.items()}
    if not found[level[0]]:
        comment = "The unique key of the level has no value"
        raise Refused(IDENTIFIER_MISMATCH, comment, _UNIQUE[level[0]])
    for name in levels[: levels.index(level[0])] if is_strict else ():
        if len(found[name]) != 1:
            comment = "A unique key above the level has not one value"
            raise Refused(IDENTIFIER_MISMATCH, comment, _UNIQUE[name])
    for name in levels[levels.index(level[0]) + 1 :]:
        if found[name]:
            comment = "A unique key below the level has a value"
            raise Refused(IDENTIFIER_MISMATCH, comment, _UNIQUE[name])
    return Wanted(level[0], Selection(*(found[name] for name in _UNIQUE)))


def _values(identifier: Dataset, tag: int) -> tuple[str, ...]:
    if tag not in identifier:
        return ()
    try:
        value = identifier[tag].value
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise Refused(IDENTIFIER_MISMATCH, "A key cannot be read", tag) from error
    several = [value] if isinstance(value, str) else value or []
    return tuple(text for text in (str(one).strip(" \0") for one in several) if text)


# --- what is answered -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers one request. PS3.4 C.4.2.1, C.4.3.1."""

    asked: Asked
    context_id: int
    transfer_syntax: UID
    maximum_length: int
    post: Callable[[bytes], None]

    def pending(self, tally: Tally) -> None:
        """After a sub-operation."""
        self._post(answer(self.asked, PENDING, tally.progress(with_remaining=True)))

    def end(self, status: int, tally: Tally) -> None:
        """The last answer. Only where it was cancelled something remains; success has no list."""
        progress = tally.progress(with_remaining=status == CANCELLED)
        if status == statuses.SUCCESS:
            self._post(answer(self.asked, status, progress))
            return
        self._post(answer(self.asked, status, progress, has_identifier=True), tally.failed)

    def refuse(self, refused: Refused, tally: Tally) -> None:
        """The last answer, perhaps the only one: with the counts of what was sent before."""
        self._post(
            answer(
                self.asked,
                refused.status,
                tally.progress(with_remaining=False),
                has_identifier=True,
                comment=refused.comment,
                offending=_parted(refused.offending),
            ),
            tally.failed,
        )

    def _post(self, command_set: bytes, failed: Sequence[str] | None = None) -> None:
        message = p_data(self.context_id, command_set, self.maximum_length)
        if failed is not None:
            identifier = failed_list(failed, self.transfer_syntax)
            message += p_data(self.context_id, identifier, self.maximum_length, is_command=False)
        self.post(message)


def _parted(tag: int | None) -> tuple[int, int] | None:
    """Group and element."""
    return None if tag is None else (tag >> 16, tag & 0xFFFF)


# --- what is held of it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """The instances that are meant, as they were counted: what comes later is not among them."""

    total: int
    last_id: int
    kinds: frozenset[tuple[str, str]]
    """Their SOP classes and transfer syntaxes."""


class Holdings:
    """The index, as a retrieval reads it."""

    def __init__(self, database: Database, selection: Selection) -> None:
        self._database = database
        self._selection = selection
        self._whole: list[Held] | None = None
        """All of it, where it is little."""

    def plan(self) -> Plan:
        """Raises DatabaseUnavailable."""
        total, last_id = 0, 0
        kinds: set[tuple[str, str]] = set()
        for page in self._pages(0):
            self._whole = page if not total and len(page) < _PAGE else None
            total += len(page)
            last_id = page[-1].id if page else last_id
            kinds.update((held.sop_class_uid, held.transfer_syntax_uid) for held in page)
        return Plan(total, last_id, frozenset(kinds))

    def instances(self, plan: Plan, after: int = 0) -> Iterator[Held]:
        """Those of the plan that are still there, behind the one with the id ``after``.

        Raises
        ------
        DatabaseUnavailable
        """
        for page in [self._whole] if self._whole is not None else self._pages(after):
            yield from (held for held in page if after < held.id <= plan.last_id)
            if page and page[-1].id >= plan.last_id:
                return

    def _pages(self, after: int) -> Iterator[list[Held]]:
        while True:
            with self._database.read() as tx:
                page = holdings.select(tx, self._selection, after, _PAGE)
            yield page
            if len(page) < _PAGE:
                return
            after = page[-1].id


# --- how far it is --------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """The sub-operations of one request. PS3.7 9.1.3.1, 9.1.4.1."""

    total: int
    completed: int = 0
    warnings: int = 0
    sent_bytes: int = 0
    failed: list[str] = field(default_factory=list)
    """SOP Instance UIDs."""
    lost: int = 0
    """Never sent, and known by their number alone: they failed, too."""

    @property
    def failures(self) -> int:
        return len(self.failed) + self.lost

    @property
    def remaining(self) -> int:
        return max(0, self.total - self.completed - self.warnings - self.failures)

    def settle(self, sop_instance_uid: str, status: int | None, size_bytes: int = 0) -> bool:
        """One is over; ``status`` None: nothing was sent. Whether it was taken."""
        outcome = SendOutcome.REFUSED if status is None else classify(status)
        if outcome is SendOutcome.STORED:
            self.completed += 1
        elif outcome is SendOutcome.WARNING:
            self.warnings += 1
        else:
            self.failed.append(sop_instance_uid)
            return False
        self.sent_bytes += size_bytes
        return True

    def progress(self, with_remaining: bool) -> Progress:
        remaining = self.remaining if with_remaining else None
        return Progress(self.completed, self.failures, self.warnings, remaining)

    def close(self) -> None:
        """No more is sent: what was counted and is not settled has failed."""
        self.lost += self.remaining

    def final_status(self) -> int:
        """Once none remains."""
        if not self.failures and not self.warnings:
            return statuses.SUCCESS
        return SOME_FAILED if self.completed or self.warnings else NOTHING_SENT


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One request at work."""

    wanted: Wanted
    archive: Archive
    holdings: Holdings
    plan: Plan
    tally: Tally
    answers: Answers
    is_cancelled: Callable[[], bool]
    log: structlog.stdlib.BoundLogger
    sent: StudyTally = field(default_factory=StudyTally)
    """What was taken of it, for the audit trail."""

    def settle(self, held: Held, status: int | None) -> None:
        """One sub-operation is over, whatever came of it: the peer is told."""
        if self.tally.settle(held.sop_instance_uid, status, held.size_bytes):
            self.sent.add(held.study_instance_uid, held.sop_class_uid, held.patient_id)
        self.answers.pending(self.tally)

    def end(self) -> int:
        """All was gone through, or a C-CANCEL came: the last answer, and its status.

        What was deleted since it was counted has failed.
        """
        if self.is_cancelled() and self.tally.remaining:
            status = CANCELLED
        else:
            self.tally.close()
            status = self.tally.final_status()
        self.answers.end(status, self.tally)
        return status
