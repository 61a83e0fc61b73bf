"""other series that a job is given, and the jobs that it waits for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_companions",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instances.id"],
            name=op.f("fk_job_companions_instance_id_instances"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_companions_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "instance_id", "role", name=op.f("pk_job_companions")),
    )
    with op.batch_alter_table("job_companions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_job_companions_instance_id"), ["instance_id"], unique=False
        )

    op.create_table(
        "job_waits",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("waits_for_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_waits_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["waits_for_id"],
            ["jobs.id"],
            name=op.f("fk_job_waits_waits_for_id_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "waits_for_id", name=op.f("pk_job_waits")),
    )
    with op.batch_alter_table("job_waits", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_job_waits_waits_for_id"), ["waits_for_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("job_waits", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_waits_waits_for_id"))

    op.drop_table("job_waits")
    with op.batch_alter_table("job_companions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_companions_instance_id"))

    op.drop_table("job_companions")
