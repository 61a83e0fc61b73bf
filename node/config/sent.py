"""What a destination may be sent: the kinds of objects by their names, and ``auto``."""

from __future__ import annotations

from node.config.nearest import nearest
from storage.kinds import ObjectKind

AUTO = "auto"


def check_sent(name: str) -> str:
    """A kind of objects, or ``auto``. Raises ValueError."""
    known = (AUTO, *(kind.value for kind in ObjectKind))
    if name not in known:
        raise ValueError(f"no kind of objects is called {name!r}{nearest(name, known)}")
    return name
