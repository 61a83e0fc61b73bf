"""Looks whether certificates end soon or cannot be loaded any more, and raises the alarm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from node.clock import Clock
from node.observe.validity import LEFT_OVER, Validity, validities
from storage import events
from storage.database import Database
from storage.records import Level, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class CertificateWatch:
    """Says once that something ends soon, once that it has ended, and what is wrong."""

    def __init__(
        self,
        paths: Iterable[Path],
        database: Database,
        clock: Clock,
        faults: Callable[[], list[str]] = list,
    ) -> None:
        """``faults``: why the node would not start with the files; asked where each can be read."""
        self._paths = tuple(dict.fromkeys(paths))
        self._faults = faults
        self._database = database
        self._clock = clock
        self._said: set[str] = set()
        self._ends: dict[str, float] = {}

    def ends(self) -> dict[str, float]:
        """By file name: when the first thing in it ends, in seconds since 1970."""
        return dict(self._ends)

    def step(self) -> list[str]:
        """Look once; gives what was said for the first time.

        Raises
        ------
        DatabaseUnavailable
        """
        now = self._clock()
        found, texts = self._read()
        found = [one for one in found if now - one.ends_at < LEFT_OVER]
        ends: dict[str, float] = {}
        for one in found:
            at, name = one.ends_at.timestamp(), one.path.name
            ends[name] = min(at, ends.get(name, at))
        self._ends = ends  # whole: others read it meanwhile
        texts = texts or [f"{one}; the node does not start again with it" for one in self._faults()]
        texts += [one.in_words(now) for one in found if one.is_near_end(now)]
        new = [text for text in dict.fromkeys(texts) if text not in self._said]
        if new:
            with self._database.write() as tx:
                for text in new:
                    events.record(tx, now, Level.ALARM, Topic.NODE, 0, "", "certificate", text)
        for text in new:
            log.error("certificate", reason=text)
        self._said = set(texts)  # what went away is said again when it comes back
        return new

    def _read(self) -> tuple[list[Validity], list[str]]:
        """What the files hold, and what is to be said of those that cannot be read."""
        found, faults = [], []
        for path in self._paths:
            try:
                found += validities(path)
            except OSError as error:
                faults.append(f"{path.name}: cannot be read: {error.strerror}")
            except ValueError:
                faults.append(f"{path.name}: is no PEM file of certificates or revocation lists")
        return found, faults
