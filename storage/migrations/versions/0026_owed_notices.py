"""a report of what did not apply is owed until it is there; two indexes stood twice"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0021"
branch_labels = None
depends_on = None

_TWICE = {"ix_studies_study_date": "study_date", "ix_studies_last_received_at": "last_received_at"}


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("owes_notice", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    owed = sa.text("owes_notice")
    op.create_index("ix_jobs_owes_notice", "jobs", ["id"], sqlite_where=owed, postgresql_where=owed)
    for name in _TWICE:
        op.drop_index(name, "studies")


def downgrade() -> None:
    for name, column in _TWICE.items():
        op.create_index(name, "studies", [column])
    op.drop_index("ix_jobs_owes_notice", "jobs")
    op.drop_column("jobs", "owes_notice")
