"""What the conformance statement says of searches over the web, and of DICOM JSON."""

from __future__ import annotations

from node.conformance.writing import table
from node.query.asked import Level
from node.retrieve.dicom_json.values import INLINE_BINARY_BYTES, INLINE_TEXT_BYTES
from node.retrieve.series_metadata import WORTH_INSTANCES
from node.web.dicomweb.json_body import OFFERS
from node.web.dicomweb.qido import AT_ONCE
from node.web.dicomweb.search_parameters import OF_LEVEL

_NAMES = {Level.STUDY: "Study", Level.SERIES: "Series", Level.IMAGE: "Instance"}


def text() -> str:
    """The paragraphs, in Markdown."""
    forms = ", ".join(f"`{one}`" for one in OFFERS)
    return f"""Searches and metadata come as {forms}, packed by gzip for whoever takes it;
so are files of segmentations that are asked for as they are stored, without compression, and whole.

Searches match as C-FIND does (Study Root), by keyword or tag of 8 hexadecimal digits, with full
stops between those of sequences; UIDs are listed by commas or backslashes; one parameter several
times is several values. Of a private attribute, which is given by its tag, the text is matched. A
name that no attribute has is answered 400. The newest comes first; `limit` and `offset` page; where
there are more than `query.max_answers`, a Warning header (299) says so, unless that is above
{AT_ONCE}. A search has the same limits as a C-FIND: beyond them it is 413. `fuzzymatching=true` is
matched literally, and a Warning header says so. `emptyvaluematching` and `multiplevaluematching`
are done. Nothing found is 200 with an empty list. RetrieveURL (0008,1190) is always
there, as are:

{_attributes()}
Searches for all series or instances hold the attributes of the levels above too. Others are told
where they are matched or named by `includefield` (`all`: what the index keeps of the level).

DICOM JSON (PS3.18 F): text is UTF-8, Specific Character Set is told as it was. Pixel data, binary
values of more than {INLINE_BINARY_BYTES} bytes and others of more than {INLINE_TEXT_BYTES} are a
BulkDataURI. DS and IS are numbers where they keep to their grammar, else strings, as are whole
numbers beyond 2^53; FL and FD that are not finite are null. Elements of Implicit VR have the VR of
PS3.6, private ones UN. What follows encapsulated pixel data is not told. The metadata of a damaged
header hold what comes before the damage. Those of series of {WORTH_INSTANCES} instances and more
are made when the study is complete, and anew when it has changed.
"""


def _attributes() -> str:
    rows = ((_NAMES[level], ", ".join(names)) for level, names in OF_LEVEL.items())
    return table(("Level", "Attributes"), rows)
