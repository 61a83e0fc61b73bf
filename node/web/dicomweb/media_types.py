"""Content-Type headers (RFC 9110 8.3.1), also as old clients write them."""

from __future__ import annotations

from email.message import Message

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
MULTIPART = "multipart/related"


def media_type(header: str) -> str:
    """In lower case, without parameters."""
    return header.partition(";")[0].strip().lower()


def parameter(header: str, name: str) -> str:
    """With quotes or without; empty where it is not there."""
    message = Message()
    message["Content-Type"] = header
    found = message.get_param(name, "")
    return found[2] if isinstance(found, tuple) else str(found or "")
