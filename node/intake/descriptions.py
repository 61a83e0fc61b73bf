"""What is known of the series of one study, each found out once however many rules ask."""

from __future__ import annotations

from analyzers.contract import SeriesFacts
from node.series.facts import facts
from node.series.parts import frames_in
from storage import ledger
from storage.records import StoredSeries

_Key = tuple[str, str]


class Descriptions:
    """Facts and digests of series, kept for as long as a study is planned."""

    def __init__(self) -> None:
        self._facts: dict[_Key, SeriesFacts] = {}
        self._digests: dict[_Key, str] = {}

    def of(self, series: StoredSeries) -> SeriesFacts:
        """What the index knows of a series."""
        key = _key(series)
        if key not in self._facts:
            self._facts[key] = facts(series)
        return self._facts[key]

    def digest(self, series: StoredSeries) -> str:
        """Digest of all instances of a series; of some frames of one, of which they are, too."""
        key = _key(series)
        if key not in self._digests:
            own = {"part": series.part} if frames_in(series.part) else {}
            images = ledger.inputs_digest(series.instances)
            self._digests[key] = ledger.joined_digest(images, own, ())
        return self._digests[key]


def _key(series: StoredSeries) -> _Key:
    """The series, and which part of it."""
    return series.series_instance_uid, series.part
