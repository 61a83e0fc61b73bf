"""When an object was made: at the start of the analysis, in the images' time zone."""

from __future__ import annotations

from datetime import datetime, timezone

from pydicom.dataset import Dataset

from node.results.modules.source import Provenance
from node.series.source import Source
from storage.header import values
from storage.header.values import Unknown


def stamp(dataset: Dataset, source: Source, provenance: Provenance) -> None:
    """Dates and times of creation, series and content, and the time zone where it is known."""
    moment = local_time(source, provenance)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    for event in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{event}Date", date)
        setattr(dataset, f"{event}Time", time)
    if offset := utc_offset(source.headers[0]):
        dataset.TimezoneOffsetFromUTC = offset


def local_time(source: Source, provenance: Provenance) -> datetime:
    """The start of the analysis in the source's time zone, or in this machine's."""
    offset = values.offset(source.headers[0], "TimezoneOffsetFromUTC")
    if isinstance(offset, Unknown):
        return provenance.started_at.astimezone()
    return provenance.started_at.astimezone(timezone(offset))


def utc_offset(header: Dataset) -> str:
    """Timezone Offset From UTC, "+0100"; empty where the header has none that there is.

    PS3.3 C.12.1.1.8: from -1200 to +1400.
    """
    offset = values.offset(header, "TimezoneOffsetFromUTC")
    return "" if isinstance(offset, Unknown) else values.text(header, "TimezoneOffsetFromUTC")
