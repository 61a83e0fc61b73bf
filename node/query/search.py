"""Searches all that the node holds, images and results alike, for what a query asks.

Pages are read and compared; no transaction is open while an answer is on its way. What the index
does not keep is read from the file of one instance, of so many files at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from node.errors import NodeError
from node.query.answer import Answer
from node.query.asked import Level, Query
from node.query.found import Found, Page
from node.query.narrowing import narrowing
from node.query.plan import Plan
from storage import query as index
from storage.database import Database
from storage.files.archive import Archive
from storage.query import Hit, Narrowing

FIRST_PAGE = 128
LARGEST_PAGE = 1024


class TooMuch(NodeError):
    """The search was given up: it takes too long, or too many files would have to be read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one query."""

    headers: int = 1000
    """Files that are read for what the index does not keep: beyond it a search for such a value is
    given up, and one that is only asked for is left out."""
    seconds: float = 30.0
    """Of looking without an end of it in sight: from the last answer on."""


LIMITS = Limits()


def never() -> bool:
    return False


def search(
    database: Database,
    archive: Archive,
    query: Query,
    retrieve_ae_title: str,
    *,
    skip: int = 0,
    limit: int | None = None,
    is_cancelled: Callable[[], bool] = never,
    limits: Limits = LIMITS,
) -> Iterator[Answer]:
    """What matches, newest first; behind ``skip`` of them, at most ``limit``.

    Ends when it is cancelled.

    Raises
    ------
    TooMuch
    DatabaseUnavailable
        Overloaded among them.
    """
    plan = Plan.of(query, retrieve_ae_title)
    running = _Search(database, archive, plan, is_cancelled, limits)
    last = None if limit is None else skip + limit
    if limit == 0:
        return
    for number, found in enumerate(_found(running), 1):
        if number > skip:
            running.complete(found)
            yield found.answer()
            running.since = time.monotonic()
        if number == last:
            return


@dataclass(slots=True)
class _Search:
    database: Database
    archive: Archive
    plan: Plan
    is_cancelled: Callable[[], bool]
    limits: Limits
    headers_read: int = 0
    since: float = field(default_factory=time.monotonic)

    def check_time(self) -> None:
        if time.monotonic() - self.since > self.limits.seconds:
            raise TooMuch("the query takes too long: ask by an ID, a name or a date")

    def may_read(self) -> bool:
        """Whether one more file may be read; it counts as read."""
        self.headers_read += 1
        return self.headers_read <= self.limits.headers

    def read_to_compare(self, found: Found) -> None:
        if not self.may_read():
            raise TooMuch("too many files would have to be read for a key")
        found.read_file(self.archive)
        self.check_time()

    def complete(self, found: Found) -> None:
        """What is asked for and only the file tells; beyond the limit it is left out."""
        if self.plan.reads_files and not self.plan.compares_files and self.may_read():
            found.read_file(self.archive)


def _found(search: _Search) -> Iterator[Found]:
    plan = search.plan
    for page in _pages(search, narrowing(plan.query)):
        for one in page:
            if search.is_cancelled():
                return
            if plan.compares_files:
                search.read_to_compare(one)
            if one.matches_file():
                yield one


def _pages(search: _Search, wanted: Narrowing) -> Iterator[Sequence[Found]]:
    """Pages of what matches as far as the index can tell."""
    plan, before, size = search.plan, None, FIRST_PAGE
    while not search.is_cancelled():
        search.check_time()
        with search.database.look() as tx:
            hits = index.find(tx, plan.query.level, wanted, before, size)
            page = Page.read(tx, plan, hits)
        yield page.found
        if len(hits) < size:
            return
        before, size = hits[-1].id, min(size * 2, LARGEST_PAGE)


__all__ = ["Answer", "Hit", "Level", "Limits", "Query", "TooMuch", "search"]
