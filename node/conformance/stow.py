"""What the conformance statement says of storing over the web."""

from __future__ import annotations

from node.conformance.writing import statuses
from node.receive import failure_reasons


def text() -> str:
    """The section, in Markdown."""
    return f"""#### Store over the web (STOW-RS, PS3.18 10.5)

`POST` to `/dicom-web/studies` and `/dicom-web/studies/{{study}}`: `multipart/related;
type="application/dicom"`, or one instance as `application/dicom`. Metadata apart from bulk data
(`application/dicom+json`, `application/dicom+xml`) is not taken: 415. SOP classes and transfer
syntaxes are those of C-STORE, and so are durability, limits, duplicates and quarantine. Nothing is
coerced. The answer, `application/dicom+json` or `application/dicom+xml`, comes when all that it
names as stored is on disk: 200 (all), 202 (some), 409 (none); 413 (too large), 503 with
`Retry-After` (out of resources). The Warning header says in words why something was not stored.

Failure Reason (0008,1197):

{statuses(failure_reasons.TABLE)}"""
