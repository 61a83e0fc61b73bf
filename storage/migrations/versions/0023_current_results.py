"""which results of a job are those of its last run; further forms that could not be made"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of results that share a file the newest is current."""
    op.add_column(
        "results", sa.Column("is_current", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.execute(
        "UPDATE results SET is_current = false WHERE EXISTS (SELECT 1 FROM results AS newer"
        " WHERE newer.job_id = results.job_id AND newer.key = results.key"
        " AND newer.id > results.id)"
    )
    op.add_column("jobs", sa.Column("unmade", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "unmade")
    op.drop_column("results", "is_current")
