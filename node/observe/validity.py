"""Until when certificates and revocation lists are valid (RFC 5280 4.1.2.5, 5.1.2.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

WARN_BEFORE = timedelta(days=30)
SHARE = 0.25
"""Of what lives for a short time the last quarter counts, should that be less than 30 days."""
LEFT_OVER = timedelta(days=30)
"""An authority that ended longer ago is one that somebody forgot to take out of the file."""

_LIST = re.compile(b"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Validity:
    """One certificate, or one revocation list."""

    path: Path
    begins_at: datetime
    ends_at: datetime
    is_list: bool = False

    def is_near_end(self, now: datetime) -> bool:
        """Whether somebody should replace it."""
        lifetime = self.ends_at - self.begins_at
        return self.ends_at - now < min(WARN_BEFORE, lifetime * SHARE)

    def in_words(self, now: datetime) -> str:
        """``server.pem: the certificate ends on 2027-01-31 10:00 UTC``, or ended."""
        what = "the revocation list" if self.is_list else "the certificate"
        verb = "ended" if self.ends_at <= now else "ends"
        effect = "; from then on those of its authority are refused" if self.is_list else ""
        return f"{self.path.name}: {what} {verb} on {self.ends_at:%Y-%m-%d %H:%M} UTC{effect}"


def validities(path: Path) -> list[Validity]:
    """All that a PEM file holds.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        What it holds cannot be parsed.
    """
    from cryptography import x509

    text = path.read_bytes()
    has_any = b"-----BEGIN CERTIFICATE-----" in text
    found = [
        Validity(path, one.not_valid_before_utc, one.not_valid_after_utc)
        for one in (x509.load_pem_x509_certificates(text) if has_any else ())
    ]
    for block in _LIST.findall(text):
        revoked = x509.load_pem_x509_crl(block)
        if revoked.next_update_utc is not None:
            found.append(
                Validity(path, revoked.last_update_utc, revoked.next_update_utc, is_list=True)
            )
    return found
