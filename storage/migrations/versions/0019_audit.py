"""the audit trail: what happened, and how far each repository has it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_messages",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("person", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_id", sa.Text(), server_default="", nullable=False),
        sa.Column("patient_name", sa.Text(), server_default="", nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("what", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_messages")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_messages_at"), "audit_messages", ["at"])
    for column in ("person", "patient_id", "study_instance_uid"):
        op.create_index(f"ix_audit_messages_{column}", "audit_messages", [column, "id"])
    op.create_table(
        "audit_sinks",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_sinks")),
    )
    op.create_table(
        "audit_journals",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_journals")),
    )


def downgrade() -> None:
    op.drop_table("audit_journals")
    op.drop_table("audit_sinks")
    op.drop_table("audit_messages")
