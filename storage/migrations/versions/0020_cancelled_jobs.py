"""jobs that a person cancels, their own log lines, and a queue that can be suspended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("cancel_wish", sa.Text(), server_default="", nullable=False))
    op.add_column("jobs", sa.Column("variant", sa.String(64), server_default="", nullable=False))
    op.add_column(
        "jobs", sa.Column("every_series", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("jobs", sa.Column("missing", sa.Text(), server_default="", nullable=False))
    unwanted = sa.text("cancel_wish <> ''")
    op.create_index(
        "ix_jobs_cancel_wish", "jobs", ["id"], sqlite_where=unwanted, postgresql_where=unwanted
    )
    op.create_table(
        "job_lines",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_lines_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_lines")),
    )
    op.create_index(op.f("ix_job_lines_job_id"), "job_lines", ["job_id"])
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said_by", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
    )


def downgrade() -> None:
    """What was cancelled, an older node knows as what did not apply: it is not run."""
    op.execute("UPDATE jobs SET state = 'not_applicable' WHERE state = 'cancelled'")
    op.drop_table("suspensions")
    op.drop_table("job_lines")
    op.drop_index("ix_jobs_cancel_wish", "jobs")
    for column in ("missing", "every_series", "variant", "cancel_wish"):
        op.drop_column("jobs", column)
