"""What the conformance statement says of results that go by other ways than C-STORE."""

from __future__ import annotations

from collections.abc import Iterable

from node.config.file_names import DEFAULT_TEMPLATE, FIELDS
from node.conformance.writing import table
from node.delivery.targets import stow


def text() -> str:
    """The section, in Markdown."""
    return f"""#### Results over the web (STOW-RS and QIDO-RS as user agent)

To `[[destinations]]` of kind `stow`, HTTP/1.1: `POST` to `studies` below `url`, as
`multipart/related; type="application/dicom"` with a `Content-Length`. A request has objects of
several jobs and studies, within `max_request_objects` and `max_request_mb`. Answers are taken as
`{stow.ACCEPT}`.
TLS 1.2 or newer; with `certificate` the node shows its own. The node is known by HTTP Basic, by a
bearer token, or by one of OAuth2 client credentials (RFC 6749 4.4), which is renewed before it ends
and once where it is refused (401). Redirects are not followed. There is no storage commitment.

What became of each object is read from Referenced SOP Sequence (0008,1199) and Failed SOP Sequence
(0008,1198), whatever the status of the answer is. A Failure Reason (0008,1197) means what the same
status of C-STORE means; one that is left out is transient. For what they do not name, the status
counts:

{table(("Status", "What becomes of the objects"), _meanings())}
What is in doubt, and what was under way when a connection ended or the node was killed, is asked
for by QIDO-RS (`studies/…/series/…/instances`) before it is sent again; where queries are not
answered, it is sent again.

#### Results as files

To `[[destinations]]` of kind `folder`: each a file in the DICOM File Format (PS3.10), written under
another name until it is whole and synced. Without a DICOMDIR: this is no media interchange. Names
are made of {", ".join(f"`{{{one}}}`" for one in FIELDS)}, by default `{DEFAULT_TEMPLATE}`.
"""


def _meanings() -> list[tuple[str, str]]:
    return [
        ("200, without a body", "asked for by QIDO-RS; stored, where that is not answered"),
        (_listed(stow.STORED), "in doubt"),
        (_listed(stow.NOT_NOW), "they wait, as long as `Retry-After` says: no attempt"),
        (_listed(stow.UNCERTAIN), "in doubt; the service is away"),
        ("3xx", "they wait: the address in the settings is not that of the service"),
        (_listed(stow.NOT_LET_IN), "they wait: the service does not let the node in"),
        (_listed(stow.NOT_HERE), "they wait: nothing is stored at that address"),
        ("any other, of several objects", "each is sent alone"),
        ("any other below 500, of one", "refused"),
        ("any other from 500, of one", "transient, and in doubt"),
    ]


def _listed(statuses: Iterable[int]) -> str:
    return ", ".join(map(str, statuses))
