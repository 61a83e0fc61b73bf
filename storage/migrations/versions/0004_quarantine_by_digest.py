"""what is in quarantine, told apart by digest, counted, and joined to its alarm"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NEW = ("kind", "sha256", "sop_instance_uid", "study_instance_uid")


def upgrade() -> None:
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.alter_column("at", new_column_name="first_seen_at")
        batch_op.add_column(sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True))
        for name in _NEW:
            batch_op.add_column(sa.Column(name, sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("count", sa.BigInteger(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("event_id", sa.BigInteger(), nullable=True))
    op.execute("UPDATE quarantine SET last_seen_at = first_seen_at, kind = 'unreadable'")
    op.execute("UPDATE quarantine SET kind = 'conflict' WHERE key LIKE '%-conflict-%'")
    op.execute("UPDATE quarantine SET kind = 'sop-class-mismatch' WHERE key LIKE '%-sop-class-%'")
    op.execute(
        "UPDATE quarantine SET kind = 'sop-instance-mismatch' WHERE key LIKE '%-sop-instance-%'"
    )
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.alter_column(
            "last_seen_at", existing_type=sa.DateTime(timezone=True), nullable=False
        )
        batch_op.create_index(batch_op.f("ix_quarantine_event_id"), ["event_id"])
        batch_op.create_index(batch_op.f("ix_quarantine_last_seen_at"), ["last_seen_at"])
        batch_op.create_index(
            batch_op.f("ix_quarantine_study_instance_uid_kind"), ["study_instance_uid", "kind"]
        )


def downgrade() -> None:
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarantine_study_instance_uid_kind"))
        batch_op.drop_index(batch_op.f("ix_quarantine_last_seen_at"))
        batch_op.drop_index(batch_op.f("ix_quarantine_event_id"))
        for name in ("last_seen_at", *_NEW, "count", "event_id"):
            batch_op.drop_column(name)
        batch_op.alter_column("first_seen_at", new_column_name="at")
