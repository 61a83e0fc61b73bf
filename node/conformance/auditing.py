"""The audit trail: which events are told, and how they are transmitted. PS3.15 A.5 and A.6."""

from __future__ import annotations

from node.audit import codes
from node.conformance.writing import table

_TOLD = (
    (codes.APPLICATION_ACTIVITY, "A.5.3.1", "the node starts or stops"),
    (codes.AUDIT_LOG_USED, "A.5.3.2", "the audit page is read"),
    (codes.TRANSFER_BEGUN, "A.5.3.3", "the first instance of a study comes over an association"),
    (codes.EXPORT, "A.5.3.4", "results are written to a folder"),
    (codes.IMPORT, "A.5.3.5", "files are brought by a browser"),
    (codes.INSTANCES_ACCESSED, "A.5.3.6", "images, results or headers are shown over the web"),
    (
        codes.INSTANCES_TRANSFERRED,
        "A.5.3.7",
        "instances are received or sent, over DIMSE or the web",
    ),
    (codes.STUDY_DELETED, "A.5.3.8", "a study or its results are deleted"),
    (codes.QUERY, "A.5.3.10", "a C-FIND or QIDO-RS is answered"),
    (
        codes.SECURITY_ALERT,
        "A.5.3.11",
        "an association, a certificate or a function is refused; rights change; recording stops",
    ),
    (codes.USER_AUTHENTICATION, "A.5.3.12", "somebody logs in or out, or fails to"),
)


def text() -> str:
    rows = [
        (code.meaning, f"({code.value}, {code.scheme})", f"PS3.15 {source}", when)
        for code, source, when in _TOLD
    ]
    return f"""
### Audit trail

The Audit Trail Message Format Profile (PS3.15 A.5), as source of messages; none are received. They
are kept in the database and, as `[audit]` says, transmitted by the Audit Trail Message Transmission
Profiles SYSLOG-TLS and SYSLOG-UDP (PS3.15 A.6, A.7). One message is made for each association or
look, and study.

{table(("Message", "Event ID", "Source", "When"), rows).rstrip()}"""
