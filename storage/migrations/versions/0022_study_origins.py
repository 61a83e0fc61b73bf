"""where studies come from, for who sees those of some places only"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.frozen import IndexedText, normal_origin

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

_AT_ONCE = 1000


def upgrade() -> None:
    op.create_table(
        "study_origins",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", IndexedText(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "kind", "value", name=op.f("pk_study_origins")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            ondelete="CASCADE",
            name=op.f("fk_study_origins_study_id_studies"),
        ),
    )
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_table("study_origins")


def _fill(connection: sa.Connection) -> None:
    """What the studies that are here say already."""
    origins = sa.table("study_origins", *map(sa.column, ("study_id", "kind", "value")))
    studies = sa.table("studies", sa.column("id"), sa.column("header", sa.JSON))
    after = 0
    while True:
        query = sa.select(studies.c.id, studies.c.header).where(studies.c.id > after)
        page = connection.execute(query.order_by(studies.c.id).limit(_AT_ONCE)).all()
        if not page:
            return
        after = page[-1].id
        found = _senders(connection, page[0].id, after)
        for row in page:
            institution = normal_origin(_text(row.header.get("InstitutionName", "")))
            found.add((row.id, "institution", institution))
        rows = [
            {"study_id": study, "kind": kind, "value": value}
            for study, kind, value in sorted(found)
            if value
        ]
        if rows:
            connection.execute(sa.insert(origins), rows)


def _senders(connection: sa.Connection, first: int, last: int) -> set[tuple[int, str, str]]:
    series = sa.table("series", sa.column("id"), sa.column("study_id"))
    instances = sa.table("instances", *map(sa.column, ("series_id", "calling_ae", "own")))
    query = (
        sa.select(series.c.study_id, instances.c.calling_ae)
        .distinct()
        .select_from(instances.join(series, series.c.id == instances.c.series_id))
        .where(series.c.study_id.between(first, last), sa.not_(instances.c.own))
    )
    kind = "ae_title"
    return {
        (row.study_id, kind, normal_origin(row.calling_ae)) for row in connection.execute(query)
    }


def _text(value: object) -> str:
    """As the index writes texts of a header."""
    return "\\".join(map(str, value)) if isinstance(value, list) else str(value)
