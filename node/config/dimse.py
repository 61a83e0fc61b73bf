"""The tables of the DICOM network: how the node listens, who may send, whom it calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from node.config.certificate_names import fingerprint_of, subject_of
from node.config.table import Table
from node.config.values import AETitle, Host, Name, Port, Seconds, SomeHost, SomeSeconds

MIB = 2**20
TLS_PORT = 2762
"""The registered port of DICOM over TLS. PS3.8 9.1.1."""


class TlsSettings(Table):
    certificate: Path
    key: Path | None = None
    key_password_file: Path | None = None
    ca: Path | None = None
    crl: Path | None = None
    host: Host | None = None
    port: Port = TLS_PORT
    only: bool = False

    @model_validator(mode="after")
    def _revoked_by_somebody(self) -> TlsSettings:
        if self.crl and not self.ca:
            raise ValueError("crl needs ca: only then are certificates asked for")
        return self


class IdentitySettings(Table):
    users_file: Path
    required: bool = True


class DimseSettings(Table):
    host: Host = "127.0.0.1"
    port: Port = 11112
    accept_any_peer: bool = True
    require_called_ae_title: bool = False
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    max_associations: Annotated[int, Field(ge=1, le=10_000)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=0, le=10_000)] = 32
    max_contexts: Annotated[int, Field(ge=1, le=128)] = 128
    max_instance_mb: Annotated[int, Field(ge=0)] = 8192
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 131_072
    network_timeout_s: SomeSeconds = 60
    pdu_timeout_s: SomeSeconds = 30
    negotiation_timeout_s: SomeSeconds = 15
    drain_timeout_s: Seconds = 30
    tls: TlsSettings | None = None
    identity: IdentitySettings | None = None

    @property
    def max_instance_bytes(self) -> int:
        """0: any size."""
        return self.max_instance_mb * MIB

    @property
    def is_tls_only(self) -> bool:
        """Whether nothing that is not encrypted is let in."""
        return self.tls is not None and self.tls.only

    @property
    def plain_host(self) -> str:
        """Where the plain port listens: on this machine alone, where only TLS is let in."""
        return "127.0.0.1" if self.is_tls_only else self.host

    @property
    def tls_host(self) -> str:
        own = self.tls.host if self.tls else None
        return self.host if own is None else own


class PeerSettings(Table):
    ae_title: AETitle
    host: Host = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    certificate: str = ""
    tls: bool = False
    tls_name: Host = ""
    ca: Path | None = None

    @field_validator("certificate")
    @classmethod
    def _fingerprint_or_subject(cls, value: str) -> str:
        if value and not fingerprint_of(value):
            subject_of(value)
        return value

    @model_validator(mode="after")
    def _is_called_over_tls(self) -> PeerSettings:
        if self.tls and self.port is None:
            raise ValueError("tls is how reports are sent to it: give its port too")
        if not self.tls and (self.ca or self.tls_name):
            raise ValueError("ca and tls_name need tls = true")
        return self


class DestinationSettings(Table):
    name: Name
    ae_title: AETitle
    host: SomeHost
    port: Annotated[int, Field(ge=1, le=65535)]
    calling_ae_title: AETitle | None = None
    commitment: bool = False
    tls: bool = False
    tls_name: Host = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _files_are_used(self) -> DestinationSettings:
        if not self.tls and (self.ca or self.certificate or self.key or self.tls_name):
            raise ValueError("ca, certificate, key and tls_name need tls = true")
        return self
