"""lists of jobs by state and of events by level are read from an index"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_state_id", "jobs", ["state", "id"])
    op.create_index("ix_events_level_id", "events", ["level", "id"])


def downgrade() -> None:
    op.drop_index("ix_events_level_id", "events")
    op.drop_index("ix_jobs_state_id", "jobs")
