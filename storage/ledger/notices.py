"""The report of what did not apply is owed from the moment its rule's last job ends.

It is noted at the job that the report is entered with, in the transaction that ends that last job:
whatever stops the node in between, the report is still owed.
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.ledger import rows


def owe_notice(tx: Transaction, job_id: int) -> None:
    """A report is to be written, and entered with this job."""
    rows.change(tx, job_id, owes_notice=True)


def notices_owed(tx: Transaction) -> list[int]:
    """The jobs with which a report is to be entered. Along an index of their own."""
    return list(tx.scalars(_owed()))


@cache
def _owed() -> sa.Select[int]:
    return sa.select(schema.jobs.c.id).where(schema.OWES_NOTICE)


def notice_settled(tx: Transaction, job_id: int) -> None:
    """Its report is entered, is not wanted any more, or could not be written."""
    rows.change(tx, job_id, owes_notice=False)
