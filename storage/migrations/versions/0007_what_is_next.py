"""what is next is found by an index; what a study and an announcement have come to is counted"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

from storage.migrations.frozen import UtcMoment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FURTHER = timedelta(days=36_500) - timedelta(minutes=30)
"""The head start of STAT, less what it was."""


def upgrade() -> None:
    for table, column in (("studies", "revision"), ("announcements", "missing")):
        op.add_column(table, sa.Column(column, sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "deliveries", sa.Column("urgency", sa.Integer(), server_default="2", nullable=False)
    )
    _say_what_is_missing()
    _pass_urgency_on()
    _move_stat(-_FURTHER)
    op.create_index(
        "ix_deliveries_next",
        "deliveries",
        ["destination", "state", "urgency", "job_id", "not_before"],
    )
    op.create_index(
        "ix_deliveries_of_job", "deliveries", ["job_id", "destination", "state", "not_before"]
    )
    op.drop_index("ix_jobs_due", "jobs")
    op.create_index("ix_jobs_next", "jobs", ["state", "rank_at", "id", "not_before"])


def downgrade() -> None:
    op.drop_index("ix_jobs_next", "jobs")
    op.create_index("ix_jobs_due", "jobs", ["state", "rank_at"])
    op.drop_index("ix_deliveries_of_job", "deliveries")
    op.drop_index("ix_deliveries_next", "deliveries")
    _move_stat(_FURTHER)
    op.execute("UPDATE deliveries SET state = 'failed' WHERE state = 'superseded'")
    for table, column in (
        ("deliveries", "urgency"), ("announcements", "missing"), ("studies", "revision"),
    ):  # fmt: skip
        op.drop_column(table, column)


def _say_what_is_missing() -> None:
    op.execute(
        "UPDATE announcements SET missing = (SELECT count(*) FROM announced_instances"
        " WHERE announced_instances.announcement_id = announcements.id AND NOT EXISTS (SELECT 1"
        " FROM instances WHERE instances.sop_instance_uid = announced_instances.sop_instance_uid))"
        " WHERE state = 'given_up'"
    )


def _pass_urgency_on() -> None:
    for urgency, priority in ((0, "stat"), (1, "urgent")):
        op.execute(
            f"UPDATE deliveries SET urgency = {urgency}"
            f" WHERE job_id IN (SELECT id FROM jobs WHERE priority = '{priority}')"
        )


def _move_stat(by: timedelta) -> None:
    """What waits: nothing that is not STAT may overtake what is, however old it grows."""
    jobs = sa.table(
        "jobs", sa.column("id"), sa.column("state"), sa.column("priority"),
        sa.column("rank_at", UtcMoment),
    )  # fmt: skip
    connection = op.get_bind()
    waiting = sa.select(jobs.c.id, jobs.c.rank_at).where(
        jobs.c.priority == "stat", jobs.c.state.in_(("pending", "running"))
    )
    for row in connection.execute(waiting).all():
        moved = sa.update(jobs).where(jobs.c.id == row.id).values(rank_at=row.rank_at + by)
        connection.execute(moved)
