"""how far the reading of studies is, words by which people find them, and totals that are kept"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.migrations import frozen
from storage.migrations.frozen import BytewiseText, UtcMoment

revision = "0021"
down_revision = "0024"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
_READING = """
UPDATE studies SET reading = CASE
  WHEN state = 'receiving' THEN 'receiving'
  WHEN EXISTS ({jobs} state = 'running') THEN 'running'
  WHEN EXISTS ({jobs} state = 'pending') THEN 'waiting'
  WHEN EXISTS ({jobs} state = 'failed') THEN 'failed'
  WHEN EXISTS ({jobs} state = 'done' AND is_finding) THEN 'finding'
  WHEN EXISTS ({jobs} state = 'done') THEN 'nothing'
  WHEN EXISTS ({jobs} state IN ('not_applicable', 'cancelled')) THEN 'not_applicable'
  ELSE 'received' END
"""
_JOBS = (
    "SELECT 1 FROM jobs WHERE jobs.study_id = studies.id AND NOT EXISTS"
    " (SELECT 1 FROM jobs AS later WHERE later.predecessor_id = jobs.id) AND jobs."
)


def upgrade() -> None:
    for column in (
        sa.Column("reading", sa.String(16), server_default="receiving", nullable=False),
        sa.Column("read_at", UtcMoment(), nullable=True),
        sa.Column("read_by", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("studies", column)
    op.add_column(
        "jobs", sa.Column("is_finding", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "study_words",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("word", BytewiseText(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "kind", "word", name=op.f("pk_study_words")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            ondelete="CASCADE",
            name=op.f("fk_study_words_study_id_studies"),
        ),
    )
    op.create_table(
        "totals",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("noun", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_totals")),
    )
    connection = op.get_bind()
    _enter_words(connection)
    _enter_findings(connection)
    connection.exec_driver_sql(_READING.format(jobs=_JOBS))
    op.create_index("ix_study_words_kind_word", "study_words", ["kind", "word", "study_id"])
    op.create_index("ix_studies_by_reception", "studies", ["last_received_at", "id"])
    op.create_index("ix_studies_by_date", "studies", ["study_date", "id"])
    op.create_index("ix_studies_reading", "studies", ["reading", "last_received_at", "id"])
    frozen.install_totals(connection)


def downgrade() -> None:
    frozen.remove_totals(op.get_bind())
    for name in ("ix_studies_reading", "ix_studies_by_date", "ix_studies_by_reception"):
        op.drop_index(name, "studies")
    op.drop_table("totals")
    op.drop_table("study_words")
    op.drop_column("jobs", "is_finding")
    for column in ("read_by", "read_at", "reading"):
        op.drop_column("studies", column)


def _enter_words(connection: sa.Connection) -> None:
    studies = sa.table("studies", sa.column("id"), sa.column("header", sa.JSON))
    after = 0
    while True:
        query = sa.select(studies.c.id, studies.c.header).where(studies.c.id > after)
        page = connection.execute(query.order_by(studies.c.id).limit(_AT_ONCE)).all()
        if not page:
            return
        after = page[-1].id
        _insert(connection, [one for row in page for one in frozen.words_of(row.id, row.header)])


def _enter_findings(connection: sa.Connection) -> None:
    """A number counts as something found: older rows do not say more."""
    columns = (*map(sa.column, ("id", "state", "is_finding")), sa.column("findings", sa.JSON))
    jobs = sa.table("jobs", *columns)
    after = 0
    while True:
        query = sa.select(jobs.c.id, jobs.c.findings).where(jobs.c.state == "done")
        query = query.where(jobs.c.id > after)
        page = connection.execute(query.order_by(jobs.c.id).limit(_AT_ONCE)).all()
        if not page:
            return
        after = page[-1].id
        found = [row.id for row in page if _is_finding(row.findings)]
        if found:
            changed = sa.update(jobs).where(jobs.c.id.in_(found))
            connection.execute(changed.values(is_finding=True))


def _is_finding(rows: list[dict[str, Any]]) -> bool:
    return any(one.get("value") is not None for one in rows)


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    table = sa.table("study_words", *map(sa.column, ("study_id", "kind", "word")))
    if rows:
        connection.execute(sa.insert(table), rows)
