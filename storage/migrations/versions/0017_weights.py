"""jobs are told apart by the trained models that their analyzers answer from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None

_NAME = "uq_jobs_"
_BEFORE = ["inputs_digest", "analyzer", "analyzer_version", "parameters_digest"]
_AFTER = [*_BEFORE, "weights"]


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("weights", sa.String(64), nullable=False, server_default=""))
        batch_op.drop_constraint(op.f(_NAME + "_".join(_BEFORE)), type_="unique")
        batch_op.create_unique_constraint(op.f(_NAME + "_".join(_AFTER)), _AFTER)


def downgrade() -> None:
    """Jobs that only their models tell apart stay apart: their keys do it."""
    op.execute("UPDATE jobs SET parameters_digest = key WHERE weights <> ''")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_constraint(op.f(_NAME + "_".join(_AFTER)), type_="unique")
        batch_op.create_unique_constraint(op.f(_NAME + "_".join(_BEFORE)), _BEFORE)
        batch_op.drop_column("weights")
