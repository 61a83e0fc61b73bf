"""Jobs that the node sets itself, and no analyzer does: by the name that stands in its place.

No analyzer can have such a name: it has a space.
"""

from __future__ import annotations

SUMMARY = "study summary"
"""One report and one selection of key images, of all jobs of a rule on a study."""
RETRACTION = "retraction of results"
"""Takes back, at one destination, what later results have taken the place of."""

OWN = (SUMMARY, RETRACTION)
