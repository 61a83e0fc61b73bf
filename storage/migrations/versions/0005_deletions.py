"""what is deleted, why, and by whose wish"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deletions",
        _id(),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("even_undelivered", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_job_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_instance_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("instances", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("results", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
    )
    for column in ("study_id", "study_instance_uid", "state"):
        op.create_index(op.f(f"ix_deletions_{column}"), "deletions", [column])
    op.create_table(
        "doomed_files",
        _id(),
        sa.Column("deletion_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["deletion_id"],
            ["deletions.id"],
            name=op.f("fk_doomed_files_deletion_id_deletions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doomed_files")),
    )
    op.create_index(op.f("ix_doomed_files_deletion_id"), "doomed_files", ["deletion_id"])


def _id() -> sa.Column[int]:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", big, autoincrement=True, nullable=False)


def downgrade() -> None:
    op.drop_table("doomed_files")
    op.drop_table("deletions")
