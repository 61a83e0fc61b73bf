"""What is known of the series of one study, each found out once however many rules ask."""

from __future__ import annotations

from analyzers.contract import SeriesFacts
from node.series.facts import facts
from storage import ledger
from storage.records import StoredSeries


class Descriptions:
    """Facts and digests of series, kept for as long as a study is planned."""

    def __init__(self) -> None:
        self._facts: dict[str, SeriesFacts] = {}
        self._digests: dict[str, str] = {}

    def of(self, series: StoredSeries) -> SeriesFacts:
        """What the index knows of a series."""
        uid = series.series_instance_uid
        if uid not in self._facts:
            self._facts[uid] = facts(series)
        return self._facts[uid]

    def digest(self, series: StoredSeries) -> str:
        """Digest of all instances of a series."""
        uid = series.series_instance_uid
        if uid not in self._digests:
            self._digests[uid] = ledger.inputs_digest(series.instances)
        return self._digests[uid]
