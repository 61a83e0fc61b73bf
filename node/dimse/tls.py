"""TLS for associations: the BCP 195 profile, certificates that may change while the node runs.

TLS 1.2 or newer with forward secrecy and authenticated encryption only (PS3.15 B.12, the BCP 195
RFC 8996, 9325 TLS Profile). Handshakes are made in the association's own thread.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.config.certificate_names import fingerprint_of, subject_of
from node.config.dimse import TlsSettings
from node.errors import SettingsError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TLS_1_2_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)
"""RFC 9325 4.2, in OpenSSL's names; all suites of TLS 1.3 are sound."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Without ``ca`` the other side is not authenticated."""

    certificate: Path | None = None
    """The own certificate with its intermediate ones."""
    key: Path | None = None
    """The private key, where it is not in the certificate's file."""
    ca: Path | None = None
    key_password_file: Path | None = None
    crl: Path | None = None
    """What the authorities have revoked (RFC 5280 5). Where given, each must have issued one."""

    @classmethod
    def shown_by(cls, own: TlsSettings) -> TlsFiles:
        """Those of the node as a listener."""
        return cls(own.certificate, own.key, own.ca, own.key_password_file, own.crl)

    def paths(self) -> list[Path]:
        given = (self.certificate, self.key, self.ca, self.key_password_file, self.crl)
        return [path for path in given if path is not None]


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The verified certificate of the other side."""

    sha256: str
    """Of its DER encoding, 64 lower-case hexadecimal digits."""
    subject: frozenset[tuple[str, str]]
    """(attribute, value) pairs; attributes are named as in ``ssl``: commonName."""

    def is_named(self, name: str) -> bool:
        """Whether a settings' fingerprint or subject is this certificate's.

        A subject ("CN=ct1, O=Hospital") may leave attributes out, but those named must be there.
        """
        fingerprint = fingerprint_of(name)
        if fingerprint:
            return fingerprint == self.sha256
        wanted = subject_of(name)
        return bool(wanted) and wanted <= self.subject


def certificate_of(sock: socket.socket) -> PeerCertificate | None:
    """The other side's certificate, where it showed one that was verified."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    der, facts = sock.getpeercert(binary_form=True), sock.getpeercert()
    if not der or not facts:
        return None
    # One relative distinguished name may hold several attributes.
    names = [pair for group in facts.get("subject", ()) for pair in group]
    subject = frozenset((str(pair[0]), str(pair[1])) for pair in names)
    return PeerCertificate(hashlib.sha256(der).hexdigest(), subject)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What the node shows, and with ``ca``: the certificates it asks of whoever connects.

    Raises
    ------
    SettingsError
        A file is missing, or is not what it should be; the message names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if files.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles) -> ClientContext:
    """For associations that the node opens. Without ``ca`` the system's authorities count.

    Raises
    ------
    SettingsError
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, files)
    if files.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class _ClientSocket(ssl.SSLSocket):
    """Notes why a handshake failed in its context: pynetdicom drops the error."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as error:
            if isinstance(self.context, ClientContext):
                self.context.failure = reason_of(error)
            raise


class ClientContext(ssl.SSLContext):
    """Of one association."""

    failure = ""
    """Why the handshake failed, once it did."""
    sslsocket_class = _ClientSocket


def reason_of(error: OSError) -> str:
    """Why a handshake failed, in a few words that name the certificate's fault."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).replace("_", " ").lower()
    return error.strerror or "no answer in time"


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS_1_2_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if files.certificate is not None:
        with _named(files.certificate, files.key):
            context.load_cert_chain(files.certificate, files.key, _password_of(files))
    if files.ca is not None:
        with _named(files.ca):
            context.load_verify_locations(files.ca)
    if files.crl is not None:
        with _named(files.crl):
            context.load_verify_locations(files.crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _password_of(files: TlsFiles) -> Callable[[], str]:
    def read() -> str:
        """Without it OpenSSL would ask at the terminal for an encrypted key's password."""
        if files.key_password_file is None:
            return ""
        return files.key_password_file.read_text().rstrip("\r\n")

    return read


class _named:  # noqa: N801  reads as a statement
    """Turns what loading a file raises into a message for whoever wrote the settings."""

    def __init__(self, *paths: Path | None) -> None:
        self._names = " with ".join(str(path) for path in paths if path is not None)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "no PEM").replace("_", " ").lower()
            raise SettingsError(f"tls: {self._names}: {reason}") from error
        if isinstance(error, OSError | ValueError):
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingsError(f"tls: {self._names}: {reason}") from error


class ServerTls:
    """A listener's TLS context, made anew when one of its files has changed.

    A change that cannot be loaded (a certificate without its new key, say) is logged once and the
    context in use stays.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._context = server_context(files)

    def context(self) -> ssl.SSLContext:
        """The context for the next connection."""
        with self._lock:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._reload()
            return self._context

    def _reload(self) -> None:
        try:
            self._context = server_context(self._files)
        except SettingsError as error:
            log.error("tls_reload_failed", reason=str(error))
        else:
            log.info("tls_reloaded")

    def _stamps(self) -> list[tuple[int, int, int]]:
        return [_stamp(path) for path in self._files.paths()]


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
