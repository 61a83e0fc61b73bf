"""Whether a study has as many images as they say themselves that there are.

Read from one image a series, once the associations that brought it have ended: Number of Study
Related Instances; or of every series Number of Series Related Instances, of PET what Series Type
makes of Number of Slices, else Images in Acquisition. Numbers that are missing, contradict each
other or are not met to the image say nothing: the quiet period decides. They may be too small, as
of one acquisition of several: then what comes later re-opens the study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import structlog
from pydicom.dataset import Dataset

from storage import index
from storage.database import Database
from storage.errors import UnreadableInstance
from storage.files.blobs import Blob
from storage.files.port import Blobs
from storage.header import values
from storage.header.guarded import guarded_header
from storage.header.reading import read_header
from storage.index import CountedSeries, OpenStudy

log = structlog.get_logger(__name__)

_FACTORS = {
    "STATIC": (),
    "WHOLE BODY": (),
    "DYNAMIC": ("NumberOfTimeSlices",),
    "GATED": ("NumberOfRRIntervals", "NumberOfTimeSlots"),
}
"""What Number of Slices is multiplied by, by Series Type (0054,1000): PS3.3 C.8.9.4.1.9."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a study as it was at a revision."""

    revision: int
    is_whole: bool


class Counted:
    """``vouched`` is for one thread.

    open_studies: UIDs of the studies that live associations or the index queue are bringing.
    """

    def __init__(
        self, database: Database, instances: Blobs, open_studies: Callable[[], Set[str]]
    ) -> None:
        self._database = database
        self._instances = instances
        self._open_studies = open_studies
        self._known: dict[int, _Known] = {}

    def vouched(self, studies: Sequence[OpenStudy]) -> list[OpenStudy]:
        """Those whose images are as many as they say; a study is looked at when some have come.

        Raises
        ------
        DatabaseUnavailable
        """
        self._known = {one.id: known for one in studies if (known := self._known.get(one.id))}
        still_open = self._open_studies() if studies else frozenset[str]()
        ended = [one for one in studies if one.study_instance_uid not in still_open]
        return [one for one in ended if self._is_whole(one)]

    def _is_whole(self, study: OpenStudy) -> bool:
        known = self._known.get(study.id)
        if known is None or known.revision != study.revision:
            known = _Known(study.revision, self._found_whole(study))
            self._known[study.id] = known
        return known.is_whole

    def _found_whole(self, study: OpenStudy) -> bool:
        with self._database.read() as tx:
            series = index.counted(tx, study.id)
        try:
            headers = [self._header(one) for one in series]
        except (OSError, UnreadableInstance) as error:
            log.info("images_not_counted", reason=type(error).__name__)
            return False
        return is_whole(series, headers)

    def _header(self, series: CountedSeries) -> Dataset:
        return guarded_header(read_header(Blob(self._instances, series.newest_key)).dataset)


def is_whole(series: Sequence[CountedSeries], headers: Sequence[Dataset]) -> bool:
    """Whether so many images are there as one of each series says; ``headers``: these, in turn."""
    in_all = {
        number
        for header in headers
        if (number := _whole(header, "NumberOfStudyRelatedInstances")) is not None
    }
    if in_all:
        return in_all == {sum(one.instances for one in series)}
    pairs = zip(series, headers, strict=True)
    return bool(series) and all(_is_series_whole(one, header) for one, header in pairs)


def _is_series_whole(series: CountedSeries, header: Dataset) -> bool:
    """Where the number is not of the series itself, the images are also to be numbered from 1 on,
    none twice: what is derived from them, and what is repeated, is counted by no scanner."""
    stated = _whole(header, "NumberOfSeriesRelatedInstances")
    if stated is not None:
        return stated == series.instances
    if values.text(header, "Modality") == "PT":
        expected = _of_pet(header)
    else:
        expected = _whole(header, "ImagesInAcquisition") if series.acquisitions == 1 else None
    numbered = set(series.numbers) == set(range(1, series.instances + 1))
    return expected == series.instances and numbered


def _of_pet(header: Dataset) -> int | None:
    factors = _FACTORS.get((*values.texts(header, "SeriesType"), "")[0].upper())
    if factors is None:
        return None
    product = 1
    for keyword in ("NumberOfSlices", *factors):
        number = _whole(header, keyword)
        if number is None:
            return None
        product *= number
    return product


def _whole(header: Dataset, keyword: str) -> int | None:
    """A number of images; None where none is said, or none can be."""
    found = values.known(values.whole(header, keyword))
    return found if found is not None and found > 0 else None
