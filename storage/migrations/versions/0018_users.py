"""users, their sessions, the hosts they are known at, and passwords of machines"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _users()
    _sessions()
    _familiar_hosts()
    _app_passwords()


def downgrade() -> None:
    for table in ("app_passwords", "familiar_hosts", "sessions", "users"):
        op.drop_table(table)


def _id() -> sa.Column[int]:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", big, autoincrement=True, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _moment(name: str, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _users() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        _text("provider"),
        _text("password_hash"),
        _moment("password_at", null=True),
        _moment("created_at"),
        _moment("locked_at", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        _id(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        _moment("created_at"),
        _moment("seen_at"),
        _moment("ends_at"),
        _text("host"),
        _text("browser"),
        _text("provider_session"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])


def _familiar_hosts() -> None:
    op.create_table(
        "familiar_hosts",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        _text("host"),
        _moment("at"),
        sa.PrimaryKeyConstraint("user_id", "token_hash", name=op.f("pk_familiar_hosts")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_familiar_hosts_user_id_users"),
            ondelete="CASCADE",
        ),
    )


def _app_passwords() -> None:
    op.create_table(
        "app_passwords",
        _id(),
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
    )
