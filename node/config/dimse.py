"""The tables of the DICOM network: how the node listens, who may send, whom it calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from node.config.certificate_names import fingerprint_of, subject_of
from node.config.table import Table
from node.config.values import (
    AETitle,
    Host,
    Name,
    Port,
    Seconds,
    SomeHost,
    SomeSeconds,
    example,
    is_local,
)

MIB = 2**20
TLS_PORT = 2762
"""The registered port of DICOM over TLS. PS3.8 9.1.1."""
RightName = Literal["store", "query", "retrieve"]
ALL_RIGHTS: tuple[RightName, ...] = ("store", "query", "retrieve")


class TlsSettings(Table):
    """DICOM over TLS ≥ 1.2, beside the plain port. Changed files are used without a restart."""

    certificate: Annotated[Path, example(Path("tls/node.pem"))]
    """PEM: the node's own certificate with its intermediate ones."""
    key: Annotated[Path | None, example(Path("tls/node.key"))] = None
    """Left out: in the certificate's file."""
    key_password_file: Annotated[Path | None, example(Path("tls/password"))] = None
    """For an encrypted key."""
    ca: Annotated[Path | None, example(Path("tls/modalities.pem"))] = None
    """Whoever connects must show a certificate signed by these."""
    crl: Annotated[Path | None, example(Path("tls/revoked.pem"))] = None
    """… and not revoked by them."""
    host: Annotated[Host | None, example("0.0.0.0")] = None
    """Address to listen on. Left out: `dimse.host`."""
    port: Annotated[Port, example(2762)] = TLS_PORT
    """0 takes a free one."""
    only: Annotated[bool, example(True)] = False
    """`true`: nothing unencrypted; `dimse.port` then serves the node's own check alone."""

    @model_validator(mode="after")
    def _revoked_by_somebody(self) -> TlsSettings:
        if self.crl and not self.ca:
            raise ValueError("crl needs ca: only then are certificates asked for")
        return self


class IdentitySettings(Table):
    """User name and passcode (user identity negotiation)."""

    users_file: Annotated[Path, example(Path("users.txt"))]
    """Hashes only: `wetread password NAME >> users.txt`."""
    required: Annotated[bool, example(False)] = True
    """`false`: only what is given is checked."""


class DimseSettings(Table):
    """How the node listens for associations, and the limits of each."""

    host: Annotated[Host, example("0.0.0.0")] = "127.0.0.1"
    """Address to listen on; `"0.0.0.0"` for the network."""
    port: Annotated[Port, example(104)] = 11112
    """0 takes a free one."""
    accept_any_peer: Annotated[bool, example(False)] = True
    """`false`: only those of `[[peers]]`."""
    any_peer_may: Annotated[tuple[RightName, ...] | None, example(["store"])] = None
    """What who is not in `[[peers]]` may, where `accept_any_peer` lets it in. Left out: all three
    where the node listens on this machine alone, else `["store"]`."""
    require_called_ae_title: Annotated[bool, example(True)] = False
    """`true`: refuse whoever calls this node by another name."""
    processes: Annotated[int, Field(ge=1, le=64), example(4)] = 1
    """Receiver processes behind the one port; limits are for all together."""
    max_associations: Annotated[int, Field(ge=1, le=10_000), example(128)] = 64
    """More are refused for the moment (transient)."""
    max_associations_per_peer: Annotated[int, Field(ge=0, le=10_000), example(0)] = 32
    """From one host; 0: as many as in all."""
    max_contexts: Annotated[int, Field(ge=1, le=128), example(64)] = 128
    """Presentation contexts in one association."""
    max_instance_mb: Annotated[int, Field(ge=0), example(1024)] = 8192
    """Larger instances are refused with 0xA701; 0: any size."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216), example(65536)] = 131_072
    """Longest PDU accepted; longer ones end the association."""
    network_timeout_s: Annotated[SomeSeconds, example(120)] = 60
    """Silence on an open association, or within a request that stores over the web."""
    pdu_timeout_s: Annotated[SomeSeconds, example(60)] = 30
    """From a PDU's first byte to its last, and for what the peer must take from us."""
    negotiation_timeout_s: Annotated[SomeSeconds, example(30)] = 15
    """From connecting to the association request (ARTIM, PS3.8 9.1.5); for the TLS handshake the
    same."""
    drain_timeout_s: Annotated[Seconds, example(60)] = 30
    """On SIGTERM: how long running associations may go on."""
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
    def strangers_may(self) -> tuple[RightName, ...]:
        """What who is not in `[[peers]]` may, once it is let in."""
        if self.any_peer_may is not None:
            return self.any_peer_may
        return ("store",) if self.is_reached_by_others else ALL_RIGHTS

    @property
    def is_reached_by_others(self) -> bool:
        """Whether an address that it listens on belongs to more than this machine."""
        hosts = [self.plain_host, *([self.tls_host] if self.tls else [])]
        return not all(map(is_local, hosts))

    @property
    def plain_host(self) -> str:
        """Where the plain port listens: on this machine alone, where only TLS is let in."""
        return "127.0.0.1" if self.is_tls_only else self.host

    @property
    def tls_host(self) -> str:
        own = self.tls.host if self.tls else None
        return self.host if own is None else own


class PeerSettings(Table):
    """Who may associate where `dimse.accept_any_peer` is false, what it may, and where it takes
    what is sent to it."""

    ae_title: Annotated[AETitle, example("CT1")]
    """What it calls itself."""
    host: Annotated[Host, example("10.0.0.17")] = ""
    """Left out: from anywhere."""
    port: Annotated[Annotated[int, Field(ge=1, le=65535)] | None, example(104)] = None
    """Where it takes storage commitment reports, and with `host` what is moved to it (C-MOVE)."""
    may: Annotated[tuple[RightName, ...], example(["query", "retrieve"])] = ALL_RIGHTS
    """What it may: bring images and announce them, query, retrieve."""
    retrieve_to: Annotated[tuple[AETitle, ...] | None, example(["CT1"])] = None
    """The AE titles that C-MOVE may send to at its wish. Left out: whoever has an address in
    `[[peers]]` or `[[destinations]]`."""
    certificate: Annotated[str, example("CN=ct1, O=Hospital")] = ""
    """A SHA-256 fingerprint or a subject: only with this certificate (needs `dimse.tls.ca`)."""
    tls: Annotated[bool, example(True)] = False
    """Whether associations with it that the node opens are encrypted."""
    tls_name: Annotated[Host, example("ct1.example.org")] = ""
    """The name in its certificate, if not `host`."""
    ca: Annotated[Path | None, example(Path("tls/modalities.pem"))] = None
    """Who signed its certificate. Left out: the system's authorities."""

    @field_validator("certificate")
    @classmethod
    def _fingerprint_or_subject(cls, value: str) -> str:
        if value and not fingerprint_of(value):
            subject_of(value)
        return value

    @model_validator(mode="after")
    def _is_called_over_tls(self) -> PeerSettings:
        if self.tls and self.port is None:
            raise ValueError("tls is how the node calls it: give its port too")
        if not self.tls and (self.ca or self.tls_name):
            raise ValueError("ca and tls_name need tls = true")
        return self

    @model_validator(mode="after")
    def _retrieves(self) -> PeerSettings:
        if self.retrieve_to is not None and "retrieve" not in self.may:
            raise ValueError('retrieve_to needs "retrieve" in may')
        return self


class CalledSettings(Table):
    """An application entity that the node calls by a name of its own."""

    name: Annotated[Name, example("pacs")]
    """What the settings and commands call it."""
    ae_title: Annotated[AETitle, example("ORTHANC")]
    """What it calls itself."""
    host: Annotated[SomeHost, example("127.0.0.1")]
    """Its name or address."""
    port: Annotated[int, Field(ge=1, le=65535), example(4242)]
    """Where it listens."""
    calling_ae_title: Annotated[AETitle | None, example("WETREAD")] = None
    """As whom it is called. Left out: `node.ae_title`."""
    tls: Annotated[bool, example(True)] = False
    """Whether associations with it are encrypted."""
    tls_name: Annotated[Host, example("pacs.example.org")] = ""
    """The name in its certificate, if not `host`."""
    ca: Annotated[Path | None, example(Path("tls/pacs.pem"))] = None
    """Who signed its certificate. Left out: the system's authorities."""
    certificate: Annotated[Path | None, example(Path("tls/node.pem"))] = None
    """Shown to it."""
    key: Annotated[Path | None, example(Path("tls/node.key"))] = None
    """Left out: in the certificate's file."""

    @property
    def where(self) -> str:
        """Its address in words."""
        return f"{self.ae_title} at {self.host}:{self.port}"

    @model_validator(mode="after")
    def _files_are_used(self) -> CalledSettings:
        if not self.tls and (self.ca or self.certificate or self.key or self.tls_name):
            raise ValueError("ca, certificate, key and tls_name need tls = true")
        return self
