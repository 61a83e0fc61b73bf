"""Which pages there are, in the order of the navigation. Each is shown to whom its route admits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from node.web.access.roles import Who
from node.web.access.routes import NamedRoute


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation. ``path`` is its address and that of all pages below it."""

    path: str
    title: str

    def holds(self, path: str) -> bool:
        """Whether a page is this one, or stands below it."""
        if self.path == "/":
            return path == "/" or path.startswith("/studies/")
        return path == self.path or path.startswith(f"{self.path}/")


ENTRIES = (
    Entry("/", "Studies"),
    Entry("/jobs", "Jobs"),
    Entry("/deliveries", "Deliveries"),
    Entry("/quarantine", "Quarantine"),
    Entry("/gaps", "Gaps"),
    Entry("/alarms", "Alarms"),
    Entry("/rules", "Rules"),
    Entry("/analyzers", "Analyzers"),
    Entry("/upload", "Upload"),
    Entry("/fetch", "Fetch"),
    Entry("/settings", "Settings"),
    Entry("/users", "Users"),
    Entry("/sessions", "Sessions"),
    Entry("/audit", "Audit"),
)


def shown(who: Who, routes: Iterable[NamedRoute]) -> tuple[Entry, ...]:
    """The entries that have a route which admits them; none for whoever has not logged in."""
    if who.role is None:
        return ()
    open_to = {one.path for one in routes if one.method == "GET" and who.may(one.need)}
    return tuple(one for one in ENTRIES if one.path in open_to)
