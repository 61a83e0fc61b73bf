"""what a destination takes, and what it is not sent for that reason; further forms of findings"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "abilities",
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("telling", sa.String(16), nullable=False),
        sa.Column("accepted", sa.JSON(), nullable=False),
        sa.Column("refused", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_abilities")),
    )
    op.add_column("jobs", sa.Column("forms", sa.JSON(), nullable=True))
    op.add_column(
        "jobs", sa.Column("is_further", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    """What was left out, an older node knows as superseded: it is not sent."""
    op.execute("UPDATE deliveries SET state = 'superseded' WHERE state = 'left_out'")
    op.execute("UPDATE jobs SET state = 'done' WHERE is_further AND state <> 'running'")
    op.drop_column("jobs", "is_further")
    op.drop_column("jobs", "forms")
    op.drop_table("abilities")
