"""The tables of the audit trail: how long it is kept, and which repositories have it too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from node.config.results import Said
from node.config.table import Table
from node.config.values import Days, Host, Name, SomeHost, example

SYSLOG_TLS_PORT = 6514
"""RFC 5425 4.1."""


class AuditFileSettings(Table):
    """A file that has each message of the audit trail on a line, readable by the node alone."""

    path: Annotated[Path, example(Path("/var/log/wetread/audit.log"))]
    """Rotated ones lie beside it, with the number of their last message in their name."""
    max_mb: Annotated[int, Field(ge=1), example(500)] = 100
    """Then another is begun."""
    keep: Annotated[int, Field(ge=0), example(50)] = 0
    """So many rotated ones are kept; 0: all."""


class SyslogSettings(Table):
    """A repository that takes the audit trail by syslog (RFC 5424): over TLS (RFC 5425), or by UDP
    (RFC 5426), which nobody can read back and which loses what nobody listens to."""

    name: Annotated[Name, example("repository")]
    """What `/health`, alarms and the log call it."""
    host: Annotated[SomeHost, example("audit.example.org")]
    """Its name or address."""
    port: Annotated[int, Field(ge=1, le=65535), example(6514)] = SYSLOG_TLS_PORT
    """By UDP often 514."""
    transport: Annotated[Literal["tls", "udp"], example("tls")] = "tls"
    """How it is reached."""
    ca: Annotated[Path | None, example(Path("tls/repository.pem"))] = None
    """Who signed its certificate. Left out: the system's authorities."""
    tls_name: Annotated[Host, example("audit.example.org")] = ""
    """The name in its certificate, if not `host`."""
    certificate: Annotated[Path | None, example(Path("tls/node.pem"))] = None
    """The node's own, which the repository may ask for."""
    key: Annotated[Path | None, example(Path("tls/node.key"))] = None
    """Left out: in the certificate's file."""
    key_password_file: Annotated[Path | None, example(Path("tls/password"))] = None
    """For an encrypted key."""

    @model_validator(mode="after")
    def _files_of_tls(self) -> SyslogSettings:
        if self.transport == "udp" and (self.ca or self.tls_name or self.certificate):
            raise ValueError('ca, tls_name and certificate need transport = "tls"')
        if (self.key or self.key_password_file) and not self.certificate:
            raise ValueError("key and key_password_file need certificate")
        return self

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}, {self.transport}"


class TracingSettings(Table):
    """A study's way as traces of OpenTelemetry (needs `wetread[otel]`). They name a study by the
    digest that the log uses."""

    endpoint: Annotated[
        str,
        StringConstraints(pattern=r"^(https?://\S+)?$"),
        example("http://127.0.0.1:4318/v1/traces"),
    ] = ""
    """Where a collector takes spans by OTLP over HTTP. Left out: none are made."""


class AuditSettings(Table):
    """Who did what with which patient's data (PS3.15 A.5). It is always kept in the database; a
    file and repositories have it too where they are named."""

    site: Annotated[Said, example("St. Elsewhere")] = ""
    """Audit Enterprise Site ID. Left out: none."""
    keep_days: Annotated[Days, example(730)] = None
    """Older messages go from the database once every repository has them. Left out: never."""
    max_waiting: Annotated[int, Field(ge=1000), example(5_000_000)] = 1_000_000
    """So many messages wait for a repository that is away (about 2 kB each). Beyond that nothing
    more is recorded, which an alarm, `/health` and the trail itself say."""
    file: AuditFileSettings | None = None
    syslog: tuple[SyslogSettings, ...] = ()
