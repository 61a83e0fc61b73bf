"""The tables. A change here needs a migration in ``storage/migrations/versions``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = sa.MetaData(naming_convention=NAMING)


class UtcMoment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept in UTC on both databases (SQLite has no time zones)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(sa.types.TypeDecorator[str]):
    """Text without what a database refuses: NUL (PostgreSQL) and lone surrogates (both).

    Tracebacks and reasons quote what others sent; that must not keep a job from being ended.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "").encode("utf-8", "replace").decode()


class IndexedText(PlainText):
    """Text of which an index keeps at most ``MOST`` characters, as the column does.

    A header may hold any length; PostgreSQL takes no index entry above 2,704 bytes. The whole value
    stands in the header. What is looked for is cut alike.
    """

    impl = sa.Text
    cache_ok = True
    MOST = 256

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        plain = super().process_bind_param(value, dialect)
        return None if plain is None else plain[: self.MOST]


class BytewiseText(IndexedText):
    """Text that an index orders by its code points, whatever the database's language: all that
    begins alike is one range of it."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        collation = "C" if dialect.name == "postgresql" else "BINARY"
        return dialect.type_descriptor(sa.Text(collation=collation))


def unindexed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The same value in a form that no index is chosen for.

    Said where a query has to begin at another condition, whatever statistics, which may be old,
    make a planner believe.
    """
    return sa.func.coalesce(column, column)


def _id() -> sa.Column[int]:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", big, primary_key=True, autoincrement=True)


def _uid(name: str, unique: bool = False, index: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), nullable=False, unique=unique, index=index)


def _text(name: str, index: bool = False) -> sa.Column[str]:
    kind = BytewiseText if index else PlainText
    return sa.Column(name, kind, nullable=False, server_default="", index=index)


def _indexed_text(name: str) -> sa.Column[str]:
    """For an index of several columns, which stands with the table."""
    return sa.Column(name, IndexedText, nullable=False, server_default="")


def _parent(name: str, target: str, null: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{target}.id", ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger, key, nullable=null, index=True)


def _moment(name: str, null: bool = False, index: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcMoment, nullable=null, index=index)


patients = sa.Table(
    "patients",
    metadata,
    _id(),
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    _text("patient_id", index=True),
    _text("issuer_of_patient_id"),
    _text("patient_name", index=True),
    _text("patient_birth_date"),
    _text("patient_sex"),
)

studies = sa.Table(
    "studies",
    metadata,
    _id(),
    _parent("patient_id", "patients"),
    _uid("study_instance_uid", unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("study_date", BytewiseText, nullable=False, server_default=""),
    _text("study_time"),
    _text("accession_number", index=True),
    _text("study_id"),
    _text("study_description"),
    _text("referring_physician_name"),
    sa.Column("header", sa.JSON, nullable=False),
    _moment("first_received_at"),
    _moment("last_received_at"),
    _moment("completed_at", null=True),
    _text("note"),
    sa.Column("reading", sa.String(16), nullable=False, server_default="receiving"),
    _moment("read_at", null=True),
    _text("read_by"),
    sa.Index("ix_studies_due", "state", "last_received_at"),
    sa.Index("ix_studies_by_reception", "last_received_at", "id"),
    sa.Index("ix_studies_by_date", "study_date", "id"),
    sa.Index("ix_studies_reading", "reading", "last_received_at", "id"),
)

series = sa.Table(
    "series",
    metadata,
    _id(),
    _parent("study_id", "studies"),
    _uid("series_instance_uid", index=True),
    _text("modality", index=True),
    sa.Column("series_number", sa.Integer, nullable=True),
    _text("series_description"),
    _text("body_part_examined"),
    sa.Column("header", sa.JSON, nullable=False),
    sa.Column("own", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("study_id", "series_instance_uid"),
)

study_names = sa.Table(
    "study_names",
    metadata,
    sa.Column(
        "study_id",
        sa.BigInteger,
        sa.ForeignKey("studies.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("name", BytewiseText(), primary_key=True),
    sa.Index("ix_study_names_name", "name", "study_id"),
)

study_origins = sa.Table(
    "study_origins",
    metadata,
    sa.Column(
        "study_id",
        sa.BigInteger,
        sa.ForeignKey("studies.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("value", IndexedText(), primary_key=True),
)

study_words = sa.Table(
    "study_words",
    metadata,
    sa.Column(
        "study_id",
        sa.BigInteger,
        sa.ForeignKey("studies.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("word", BytewiseText(), primary_key=True),
    sa.Index("ix_study_words_kind_word", "kind", "word", "study_id"),
)

study_notes = sa.Table(
    "study_notes",
    metadata,
    _id(),
    _parent("study_id", "studies"),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    _moment("written_at"),
    sa.Column("struck_by", sa.Text, nullable=False, server_default=""),
    _moment("struck_at", null=True),
)

instances = sa.Table(
    "instances",
    metadata,
    _id(),
    _parent("series_id", "series"),
    _uid("sop_instance_uid", unique=True),
    _uid("sop_class_uid"),
    _uid("transfer_syntax_uid"),
    sa.Column("instance_number", sa.Integer, nullable=True),
    sa.Column("header", sa.JSON, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    _moment("received_at"),
    _text("calling_ae"),
    sa.Column("own", sa.Boolean, nullable=False, server_default=sa.false()),
)

retired_series = sa.Table(
    "retired_series",
    metadata,
    sa.Column(
        "study_id",
        sa.BigInteger,
        sa.ForeignKey("studies.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("series_instance_uid", sa.String(64), primary_key=True, index=True),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    _id(),
    _moment("first_seen_at"),
    _moment("last_seen_at", index=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    _indexed_text("kind"),
    _text("reason"),
    _text("sha256"),
    _text("sop_instance_uid"),
    _indexed_text("study_instance_uid"),
    _text("calling_ae"),
    sa.Column("count", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("event_id", sa.BigInteger, nullable=True, index=True),
    _moment("accepted_at", null=True, index=True),
    sa.Index("ix_quarantine_study_instance_uid_kind", "study_instance_uid", "kind"),
)

IS_UNWANTED = sa.text("cancel_wish <> ''")
"""Of jobs. Word for word, so that its index is found."""
OWES_NOTICE = sa.text("owes_notice")
"""Of jobs, as ``IS_UNWANTED``."""

jobs = sa.Table(
    "jobs",
    metadata,
    _id(),
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    sa.Column("inputs_digest", sa.String(64), nullable=False),
    sa.Column("analyzer", sa.String(64), nullable=False),
    sa.Column("analyzer_version", sa.String(64), nullable=False),
    sa.Column("parameters_digest", sa.String(64), nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    _parent("study_id", "studies"),
    _parent("series_id", "series"),
    _text("rule"),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("destinations", sa.JSON, nullable=False),
    sa.Column("refusals", sa.JSON, nullable=False),
    sa.Column("notices", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _moment("created_at"),
    _moment("rank_at"),
    _moment("not_before"),
    _moment("started_at", null=True),
    _moment("finished_at", null=True),
    _text("reason"),
    _text("traceback"),
    _parent("predecessor_id", "jobs", null=True),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("previews", sa.JSON, nullable=False),
    sa.Column("remarks", sa.JSON, nullable=False),
    sa.Column("forms", sa.JSON, nullable=True),
    sa.Column("is_further", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("unmade", sa.JSON, nullable=True),
    sa.Column("weights", sa.String(64), nullable=False, server_default=""),
    sa.Column("is_finding", sa.Boolean, nullable=False, server_default=sa.false()),
    _text("cancel_wish"),
    sa.Column("owes_notice", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("variant", sa.String(64), nullable=False, server_default=""),
    sa.Column("every_series", sa.Boolean, nullable=False, server_default=sa.false()),
    _text("missing"),
    sa.UniqueConstraint("inputs_digest", "analyzer", "analyzer_version", "parameters_digest"),
    sa.Index("ix_jobs_next", "state", "rank_at", "id", "not_before"),
    sa.Index("ix_jobs_state_id", "state", "id"),
    sa.Index("ix_jobs_cancel_wish", "id", sqlite_where=IS_UNWANTED),
    sa.Index("ix_jobs_owes_notice", "id", sqlite_where=OWES_NOTICE),
)

job_lines = sa.Table(
    "job_lines",
    metadata,
    _id(),
    _parent("job_id", "jobs"),
    _moment("at"),
    sa.Column("level", sa.String(16), nullable=False),
    _text("text"),
)

suspensions = sa.Table(
    "suspensions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _moment("since"),
    _moment("until", null=True),
    _text("said_by"),
    _text("reason"),
)

job_inputs = sa.Table(
    "job_inputs",
    metadata,
    sa.Column(
        "job_id", sa.BigInteger, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "instance_id",
        sa.BigInteger,
        sa.ForeignKey("instances.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

job_companions = sa.Table(
    "job_companions",
    metadata,
    sa.Column(
        "job_id", sa.BigInteger, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "instance_id",
        sa.BigInteger,
        sa.ForeignKey("instances.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column("role", sa.String(64), primary_key=True),
)

job_waits = sa.Table(
    "job_waits",
    metadata,
    sa.Column(
        "job_id", sa.BigInteger, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "waits_for_id",
        sa.BigInteger,
        sa.ForeignKey("jobs.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

results = sa.Table(
    "results",
    metadata,
    _id(),
    _parent("job_id", "jobs"),
    _uid("sop_instance_uid", unique=True),
    _uid("sop_class_uid"),
    _uid("series_instance_uid", index=True),
    _uid("transfer_syntax_uid"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False, server_default=sa.true()),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    _parent("job_id", "jobs"),
    _parent("result_id", "results"),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("urgency", sa.Integer, nullable=False, server_default="2"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _moment("not_before"),
    sa.Column("status", sa.Integer, nullable=True),
    _text("reason"),
    _moment("sent_at", null=True),
    sa.Column("in_doubt", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("result_id", "destination"),
    sa.Index("ix_deliveries_due", "destination", "state", "not_before"),
    sa.Index("ix_deliveries_next", "destination", "state", "urgency", "job_id", "not_before"),
    sa.Index("ix_deliveries_of_job", "job_id", "destination", "state", "not_before"),
    sa.Index("ix_deliveries_state", "state"),
)

abilities = sa.Table(
    "abilities",
    metadata,
    sa.Column("destination", sa.String(64), primary_key=True),
    _moment("asked_at"),
    sa.Column("telling", sa.String(16), nullable=False),
    sa.Column("accepted", sa.JSON, nullable=False),
    sa.Column("refused", sa.JSON, nullable=False),
)

result_commitments = sa.Table(
    "result_commitments",
    metadata,
    sa.Column(
        "delivery_id",
        sa.BigInteger,
        sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("transaction_uid", sa.String(64), nullable=False, server_default="", index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _moment("owed_at"),
    _moment("not_before"),
    _moment("settled_at", null=True),
    sa.Column("failure", sa.Integer, nullable=True),
    sa.Index("ix_result_commitments_due", "destination", "state", "not_before"),
    sa.Index("ix_result_commitments_open", "state", "owed_at"),
)

announcements = sa.Table(
    "announcements",
    metadata,
    _id(),
    sa.Column("kind", sa.String(16), nullable=False),
    _uid("uid"),
    _text("sender_ae"),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    _moment("announced_at"),
    _moment("changed_at"),
    sa.Column("missing", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.UniqueConstraint("kind", "uid"),
)

announced_studies = sa.Table(
    "announced_studies",
    metadata,
    sa.Column(
        "announcement_id",
        sa.BigInteger,
        sa.ForeignKey("announcements.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("study_instance_uid", sa.String(64), primary_key=True, index=True),
)

announced_instances = sa.Table(
    "announced_instances",
    metadata,
    sa.Column(
        "announcement_id",
        sa.BigInteger,
        sa.ForeignKey("announcements.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True, index=True),
    _uid("sop_class_uid"),
)

commitment_requests = sa.Table(
    "commitment_requests",
    metadata,
    _id(),
    _uid("transaction_uid"),
    _text("requestor_ae"),
    _text("host"),
    _text("association"),
    sa.Column("state", sa.String(16), nullable=False),
    _moment("received_at"),
    _moment("not_before"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _text("reason"),
    _moment("reported_at", null=True),
    sa.UniqueConstraint("transaction_uid", "requestor_ae"),
    sa.Index("ix_commitment_requests_due", "state", "not_before"),
)

commitment_references = sa.Table(
    "commitment_references",
    metadata,
    sa.Column(
        "request_id",
        sa.BigInteger,
        sa.ForeignKey("commitment_requests.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("sop_class_uid", sa.String(64), primary_key=True),
    sa.Column("failure", sa.Integer, nullable=True),
)

deletions = sa.Table(
    "deletions",
    metadata,
    _id(),
    _moment("asked_at"),
    _text("asked_by"),
    _text("reason"),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("study_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("study_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("even_undelivered", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("last_job_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_instance_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    _text("answer"),
    sa.Column("instances", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("results", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    _moment("finished_at", null=True),
)

doomed_files = sa.Table(
    "doomed_files",
    metadata,
    _id(),
    _parent("deletion_id", "deletions"),
    sa.Column("place", sa.String(16), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False, server_default=""),
)

fetches = sa.Table(
    "fetches",
    metadata,
    _id(),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("analyzer", sa.String(64), nullable=False, server_default=""),
    _text("asked_by"),
    _moment("asked_at"),
    _moment("started_at", null=True),
    _moment("ended_at", null=True, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    _text("reason"),
    sa.Column("is_cancel_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("studies", sa.Integer, nullable=False, server_default="0"),
    sa.Column("expected", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("received", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_fetches_due", "source", "state", "id"),
)

fetched_studies = sa.Table(
    "fetched_studies",
    metadata,
    _id(),
    _parent("fetch_id", "fetches"),
    _uid("study_instance_uid", index=True),
    sa.Column("expected", sa.BigInteger, nullable=False),
    sa.Column("missing", sa.BigInteger, nullable=False),
    _text("analysis", index=True),
)

gaps = sa.Table(
    "gaps",
    metadata,
    _id(),
    _parent("study_id", "studies", null=True),
    _parent("announcement_id", "announcements", null=True),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("missing", sa.Integer, nullable=False),
    _moment("since"),
    sa.Column("event_id", sa.BigInteger, nullable=False),
    _moment("closed_at", null=True, index=True),
)

events = sa.Table(
    "events",
    metadata,
    _id(),
    _moment("at", index=True),
    sa.Column("level", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(16), nullable=False),
    sa.Column("subject_id", sa.BigInteger, nullable=False),
    _text("from_state"),
    _text("to_state"),
    _text("reason"),
    sa.Column("acknowledged", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_events_subject", "subject", "subject_id"),
    sa.Index("ix_events_open", "level", "acknowledged"),
    sa.Index("ix_events_level_id", "level", "id"),
)

audit_messages = sa.Table(
    "audit_messages",
    metadata,
    _id(),
    _moment("at", index=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("outcome", sa.Integer, nullable=False),
    _indexed_text("person"),
    _text("address"),
    _indexed_text("patient_id"),
    _text("patient_name"),
    _uid("study_instance_uid"),
    _text("what"),
    sa.Column("message", PlainText, nullable=False),
    sa.Index("ix_audit_messages_person", "person", "id"),
    sa.Index("ix_audit_messages_patient_id", "patient_id", "id"),
    sa.Index("ix_audit_messages_study_instance_uid", "study_instance_uid", "id"),
    sqlite_autoincrement=True,  # a number is never given again: repositories know what they have
)

audit_sinks = sa.Table(
    "audit_sinks",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

audit_journals = sa.Table(
    "audit_journals",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

totals = sa.Table(
    "totals",
    metadata,
    _id(),
    sa.Column("noun", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)

heartbeat = sa.Table(
    "heartbeat",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _moment("at"),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    _text("provider"),
    _text("subject"),
    _text("password_hash"),
    _moment("password_at", null=True),
    _moment("created_at"),
    _moment("locked_at", null=True),
)

sessions = sa.Table(
    "sessions",
    metadata,
    _id(),
    _parent("user_id", "users"),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    _moment("created_at"),
    _moment("seen_at"),
    _moment("ends_at"),
    _text("host"),
    _text("browser"),
    _text("provider_session"),
)

login_mistakes = sa.Table(
    "login_mistakes",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    _moment("last_at"),
    _moment("next_at"),
    sa.Index("ix_login_mistakes_last_at", "last_at"),
)

familiar_hosts = sa.Table(
    "familiar_hosts",
    metadata,
    sa.Column(
        "user_id",
        sa.BigInteger,
        sa.ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("token_hash", sa.String(64), primary_key=True),
    _text("host"),
    _moment("at"),
)

app_passwords = sa.Table(
    "app_passwords",
    metadata,
    _id(),
    _parent("user_id", "users"),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
    _text("label"),
    sa.Column("role", sa.String(16), nullable=False),
    _text("host"),
    _text("created_by"),
    _moment("created_at"),
    _moment("ends_at"),
    _moment("used_at", null=True),
    _text("used_from"),
    _moment("ended_at", null=True),
)
