"""announcements, storage commitment, gaps"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("sender_ae", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
        sa.UniqueConstraint("kind", "uid", name=op.f("uq_announcements_kind_uid")),
    )
    with op.batch_alter_table("announcements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_announcements_state"), ["state"], unique=False)

    op.create_table(
        "commitment_requests",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("requestor_ae", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("association", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_requests")),
        sa.UniqueConstraint(
            "transaction_uid",
            "requestor_ae",
            name=op.f("uq_commitment_requests_transaction_uid_requestor_ae"),
        ),
    )
    with op.batch_alter_table("commitment_requests", schema=None) as batch_op:
        batch_op.create_index("ix_commitment_requests_due", ["state", "not_before"], unique=False)

    op.create_table(
        "announced_instances",
        sa.Column("announcement_id", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcements.id"],
            name=op.f("fk_announced_instances_announcement_id_announcements"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "announcement_id", "sop_instance_uid", name=op.f("pk_announced_instances")
        ),
    )
    with op.batch_alter_table("announced_instances", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_announced_instances_sop_instance_uid"),
            ["sop_instance_uid"],
            unique=False,
        )

    op.create_table(
        "announced_studies",
        sa.Column("announcement_id", sa.BigInteger(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcements.id"],
            name=op.f("fk_announced_studies_announcement_id_announcements"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "announcement_id", "study_instance_uid", name=op.f("pk_announced_studies")
        ),
    )
    with op.batch_alter_table("announced_studies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_announced_studies_study_instance_uid"),
            ["study_instance_uid"],
            unique=False,
        )

    op.create_table(
        "commitment_references",
        sa.Column("request_id", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("failure", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["commitment_requests.id"],
            name=op.f("fk_commitment_references_request_id_commitment_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "request_id", "sop_instance_uid", "sop_class_uid", name=op.f("pk_commitment_references")
        ),
    )
    op.create_table(
        "gaps",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("study_id", sa.BigInteger(), nullable=True),
        sa.Column("announcement_id", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["announcement_id"],
            ["announcements.id"],
            name=op.f("fk_gaps_announcement_id_announcements"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_gaps_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
    )
    with op.batch_alter_table("gaps", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_gaps_announcement_id"), ["announcement_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_gaps_closed_at"), ["closed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_gaps_study_id"), ["study_id"], unique=False)

    op.create_table(
        "result_commitments",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_result_commitments_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_result_commitments")),
    )
    with op.batch_alter_table("result_commitments", schema=None) as batch_op:
        batch_op.create_index(
            "ix_result_commitments_due", ["destination", "state", "not_before"], unique=False
        )
        batch_op.create_index("ix_result_commitments_open", ["state", "owed_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_result_commitments_transaction_uid"), ["transaction_uid"], unique=False
        )


def downgrade() -> None:
    # ### commands auto generated by Alembic - please adjust! ###
    with op.batch_alter_table("result_commitments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_result_commitments_transaction_uid"))
        batch_op.drop_index("ix_result_commitments_open")
        batch_op.drop_index("ix_result_commitments_due")

    op.drop_table("result_commitments")
    with op.batch_alter_table("gaps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gaps_study_id"))
        batch_op.drop_index(batch_op.f("ix_gaps_closed_at"))
        batch_op.drop_index(batch_op.f("ix_gaps_announcement_id"))

    op.drop_table("gaps")
    op.drop_table("commitment_references")
    with op.batch_alter_table("announced_studies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_announced_studies_study_instance_uid"))

    op.drop_table("announced_studies")
    with op.batch_alter_table("announced_instances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_announced_instances_sop_instance_uid"))

    op.drop_table("announced_instances")
    with op.batch_alter_table("commitment_requests", schema=None) as batch_op:
        batch_op.drop_index("ix_commitment_requests_due")

    op.drop_table("commitment_requests")
    with op.batch_alter_table("announcements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_announcements_state"))

    op.drop_table("announcements")
    # ### end Alembic commands ###
