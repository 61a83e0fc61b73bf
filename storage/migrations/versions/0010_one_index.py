"""results are instances of their study, and studies are found by the beginning of a name"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.migrations.frozen import BytewiseText, component_groups

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AT_ONCE = 1000


def upgrade() -> None:
    for table in ("series", "instances"):
        own: sa.Column[bool] = sa.Column(
            "own", sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column(table, own)
    op.create_table(
        "study_names",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", BytewiseText(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "name", name="pk_study_names"),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name="fk_study_names_study_id_studies",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_study_names_name", "study_names", ["name", "study_id"])
    _enter_names()


def _enter_names() -> None:
    """Of the studies that are there, as the index enters those of new ones."""
    connection = op.get_bind()
    studies = sa.table("studies", sa.column("id"), sa.column("header", sa.JSON))
    names = sa.table("study_names", sa.column("study_id"), sa.column("name", BytewiseText()))
    last = 0
    while True:
        query = sa.select(studies).where(studies.c.id > last).order_by(studies.c.id)
        found = connection.execute(query.limit(_AT_ONCE)).all()
        if not found:
            return
        last = found[-1].id
        rows = [
            {"study_id": row.id, "name": name}
            for row in found
            for name in component_groups(_name(row.header))
        ]
        if rows:
            connection.execute(sa.insert(names), rows)


def _name(header: Any) -> str:
    values = json.loads(header) if isinstance(header, str) else header
    return str(values.get("PatientName", ""))


def downgrade() -> None:
    op.drop_table("study_names")
    op.execute("DELETE FROM instances WHERE own")
    op.execute("DELETE FROM series WHERE own")
    for table in ("instances", "series"):
        op.drop_column(table, "own")  # made anew, the table would take along what refers to it
