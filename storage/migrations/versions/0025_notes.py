"""what people write on studies"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.frozen import UtcMoment

revision = "0025"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_notes",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("written_at", UtcMoment(), nullable=False),
        sa.Column("struck_by", sa.Text(), server_default="", nullable=False),
        sa.Column("struck_at", UtcMoment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_notes")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            ondelete="CASCADE",
            name=op.f("fk_study_notes_study_id_studies"),
        ),
    )
    op.create_index(op.f("ix_study_notes_study_id"), "study_notes", ["study_id"])


def downgrade() -> None:
    op.drop_table("study_notes")
