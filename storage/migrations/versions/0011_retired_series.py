"""series of the node's own are known as such, also after their results are deleted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retired_series",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "series_instance_uid", name="pk_retired_series"),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name="fk_retired_series_study_id_studies",
            ondelete="CASCADE",
        ),
    )
    columns = ["series_instance_uid"]
    op.create_index("ix_retired_series_series_instance_uid", "retired_series", columns)
    op.execute(
        "UPDATE series SET own = true"
        " WHERE series_instance_uid IN (SELECT series_instance_uid FROM results)"
    )


def downgrade() -> None:
    """What came back of results was received, and stays."""
    op.drop_table("retired_series")
    op.execute(
        "UPDATE series SET own = false WHERE own AND EXISTS"
        " (SELECT 1 FROM instances WHERE instances.series_id = series.id AND NOT instances.own)"
    )
    op.execute("DELETE FROM instances WHERE own")
