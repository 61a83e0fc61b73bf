"""a report of what did not apply is owed until it is there; two indexes stood twice; the names of
audit events have room"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0021"
branch_labels = None
depends_on = None

_LAST = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'audit_messages'")
_TWICE = {"ix_studies_study_date": "study_date", "ix_studies_last_received_at": "last_received_at"}


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("owes_notice", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    owed = sa.text("owes_notice")
    op.create_index("ix_jobs_owes_notice", "jobs", ["id"], sqlite_where=owed, postgresql_where=owed)
    for name in _TWICE:
        op.drop_index(name, "studies")
    _event_of(64, 32)


def downgrade() -> None:
    op.execute("UPDATE audit_messages SET event = substr(event, 1, 32) WHERE length(event) > 32")
    _event_of(32, 64)
    for name, column in _TWICE.items():
        op.create_index(name, "studies", [column])
    op.drop_index("ix_jobs_owes_notice", "jobs")
    op.drop_column("jobs", "owes_notice")


def _event_of(length: int, before: int) -> None:
    """SQLite makes the table anew, and would count on from the rows that are left: a number is
    never given again, for repositories know by it what they have."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    last = connection.scalar(_LAST) if is_sqlite else None
    made = {"sqlite_autoincrement": True}
    with op.batch_alter_table("audit_messages", table_kwargs=made) as table:
        table.alter_column(
            "event",
            type_=sa.String(length),
            existing_type=sa.String(before),
            existing_nullable=False,
        )
    if last is not None:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'audit_messages'")
        op.execute(
            f"INSERT INTO sqlite_sequence (name, seq) VALUES ('audit_messages', {int(last)})"
        )
