"""By which name the software stands in files and associations (PS3.7 D.3.3.2, PS3.10 7.1).

And the UIDs that it gives to what is no result: those of results are derived (``results.uids``).
"""

from __future__ import annotations

from pydicom.uid import generate_uid

IMPLEMENTATION_CLASS_UID = "2.25.204270529563174413921862470135962046913"
IMPLEMENTATION_VERSION_NAME = "WETREAD_01"


def new_uid() -> str:
    """A random UID, of a transaction or of what a peer left unnamed. PS3.5 B.2."""
    return str(generate_uid(prefix=None))
