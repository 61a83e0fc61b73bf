"""wrong passwords outlast a restart"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.frozen import UtcMoment

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login_mistakes",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcMoment(), nullable=False),
        sa.Column("next_at", UtcMoment(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "digest", name=op.f("pk_login_mistakes")),
    )
    op.create_index(op.f("ix_login_mistakes_last_at"), "login_mistakes", ["last_at"])


def downgrade() -> None:
    op.drop_table("login_mistakes")
