"""A message of the trail as a line of syslog (RFC 5424), filled as PS3.15 A.6 says."""

from __future__ import annotations

import socket

from storage.audit import KeptMessage

_FACILITY = 10
"""security/authorization messages"""
_SEVERITIES = {0: 5, 4: 4, 8: 3, 12: 2}
"""By EventOutcomeIndicator: notice, warning, error, critical."""
_APP_NAME = "wetread"
_MESSAGE_ID = "DICOM+RFC3881"
_BOM = b"\xef\xbb\xbf"
"""Before text in UTF-8. RFC 5424 6.4."""
_LARGEST = 2**31 - 1


def host_name() -> str:
    """The HOSTNAME of this machine: printable ASCII."""
    name = socket.gethostname().encode("ascii", "ignore").decode()
    return "".join(one for one in name if "!" <= one <= "~")[:255] or "-"


def line(kept: KeptMessage, host: str) -> bytes:
    """The same for the same message, whenever it is asked for: in doubt it is sent again, and its
    number tells a repository that it has it."""
    priority = _FACILITY * 8 + _SEVERITIES.get(kept.outcome, 3)
    at = kept.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    number = (kept.id - 1) % _LARGEST + 1
    head = f'<{priority}>1 {at} {host} {_APP_NAME} - {_MESSAGE_ID} [meta sequenceId="{number}"] '
    return head.encode() + _BOM + kept.message.encode()
