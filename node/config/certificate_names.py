"""How the settings name a certificate: by its fingerprint, or by attributes of its subject."""

from __future__ import annotations

import re

_FINGERPRINT = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){32})", re.IGNORECASE)
_SUBJECT_NAMES = {
    "CN": "commonName", "O": "organizationName", "OU": "organizationalUnitName",
    "C": "countryName", "L": "localityName", "ST": "stateOrProvinceName",
    "DC": "domainComponent", "SERIALNUMBER": "serialNumber",
}  # fmt: skip
"""Short names of RFC 4514, and what Python's ``ssl`` calls them."""


def fingerprint_of(name: str) -> str:
    """The fingerprint in a text as bare hexadecimal digits; empty where it is none."""
    match = _FINGERPRINT.fullmatch(name.strip())
    return match[1].replace(":", "").lower() if match else ""


def subject_of(name: str) -> frozenset[tuple[str, str]]:
    """The attributes of a subject written "CN=ct1, O=Hospital".

    Raises
    ------
    ValueError
        It is no list of known attributes.
    """
    pairs = []
    for part in re.split(r"(?<!\\),", name):
        attribute, equals, value = part.partition("=")
        known = _SUBJECT_NAMES.get(attribute.strip().upper())
        if not equals or known is None or not value.strip():
            raise ValueError(
                f"{part.strip()!r} is no part of a subject; write a SHA-256 fingerprint or"
                f' "CN=ct1, O=Hospital" with {", ".join(_SUBJECT_NAMES)}'
            )
        pairs.append((known, value.strip().replace("\\,", ",")))
    return frozenset(pairs)
