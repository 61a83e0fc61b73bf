"""what is looked for by its beginning is ordered by code points, on PostgreSQL too"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("patients", "patient_id"),
    ("patients", "patient_name"),
    ("studies", "study_date"),
    ("studies", "accession_number"),
    ("series", "modality"),
    ("fetched_studies", "analysis"),
)


def upgrade() -> None:
    _become('VARCHAR COLLATE "C"')


def downgrade() -> None:
    _become('TEXT COLLATE "default"')


def _become(kind: str) -> None:
    """SQLite compares text so already. PostgreSQL makes the indexes anew by itself."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in _COLUMNS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
