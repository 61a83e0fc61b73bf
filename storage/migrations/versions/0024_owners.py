"""passwords of machines have an owner and an end; accounts of a provider are known by its name for
them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None was ever given out without an owner."""
    op.add_column("users", sa.Column("subject", sa.Text(), nullable=False, server_default=""))
    op.drop_table("app_passwords")
    op.create_table(
        "app_passwords",
        *_common(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _moment("ends_at"),
        _text("used_from"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_app_passwords_user_id_users"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_app_passwords_user_id"), "app_passwords", ["user_id"])


def downgrade() -> None:
    op.drop_table("app_passwords")
    op.create_table("app_passwords", *_common())
    op.drop_column("users", "subject")


def _common() -> list[sa.schema.SchemaItem]:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return [
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        _text("label"),
        sa.Column("role", sa.String(16), nullable=False),
        _text("host"),
        _text("created_by"),
        _moment("created_at"),
        _moment("used_at", null=True),
        _moment("ended_at", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_passwords")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_app_passwords_secret_hash")),
    ]


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _moment(name: str, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)
