"""Puts the metadata of complete studies on the shelf, in the background and behind receiving.

What is new is found by the instances that the index has entered since, so a late image and a new
result are seen as well. What was not reached before the node ended is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import structlog

from node.observe.logs import study_digest
from node.retrieve.series_metadata import (
    WORTH_BYTES,
    WORTH_INSTANCES,
    SeriesMetadata,
    series_of,
)
from storage import holdings
from storage.database import Database, Transaction
from storage.files.port import Metadata

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOOKED_AT = 2000
"""Instances of the index that are looked at in one step."""
AT_ONCE = 500
"""Studies that are waited for and asked about in one step."""
AT_START = 20_000
"""The newest instances that are looked at after a start."""
BEHIND_S = 0.05
"""The rest after every instance while images come."""


class Shelving:
    """``step`` is for one thread."""

    def __init__(
        self,
        database: Database,
        metadata: SeriesMetadata,
        shelf: Metadata,
        is_receiving: Callable[[], bool],
        rest: Callable[[float], object],
    ) -> None:
        self._database = database
        self._metadata = metadata
        self._shelf = shelf
        self._is_receiving = is_receiving
        self._rest = rest
        self._seen: int | None = None
        self._waiting: dict[int, None] = {}
        """Studies by their rows, until they are complete: who waits longest first."""

    def step(self) -> bool:
        """Look for what is new, and shelve some; true where there may be more.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable
        """
        if self._seen is None:
            self._seen = self._begin()
        with self._database.read() as tx:
            seen, studies = holdings.studies_of_newer(tx, self._seen, LOOKED_AT)
            asked = [*islice(self._waiting, AT_ONCE), *studies]
            there = holdings.studies(tx, asked)
            complete = [one.id for one in there if one.is_complete]
            large = holdings.large_series(tx, complete, WORTH_INSTANCES, WORTH_BYTES)
        is_new, self._seen = seen != self._seen, seen
        for one in asked:
            self._waiting.pop(one, None)
        self._waiting |= {one.id: None for one in there if not one.is_complete}
        for study, series in large:
            self._shelve(study, series)
        return is_new or bool(complete)

    def is_settled(self, tx: Transaction) -> bool:
        """Whether a step asks about all that wait; of more they are asked about in turn."""
        return len(self._waiting) <= AT_ONCE

    def _begin(self) -> int:
        """Delete what belongs to no study, as far as an abrupt end left such."""
        gone = self._shelf.discard_others(holdings.study_uids(self._database))
        if gone:
            log.info("metadata_discarded", studies=gone)
        with self._database.read() as tx:
            return max(0, holdings.newest(tx) - AT_START)

    def _shelve(self, study_instance_uid: str, series_instance_uid: str) -> None:
        with self._database.read() as tx:
            series = series_of(tx, study_instance_uid, series_instance_uid)
        if not series or self._metadata.is_shelved(series):
            return
        try:
            self._metadata.shelve(series, self._breathe)
        except OSError as error:
            study = study_digest(study_instance_uid)
            log.warning("metadata_not_shelved", study=study, reason=type(error).__name__)

    def _breathe(self) -> None:
        if self._is_receiving():
            self._rest(BEHIND_S)
