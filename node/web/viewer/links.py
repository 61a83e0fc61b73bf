"""Links to the viewer: those of the node's pages, by row numbers, and the viewer's own behind them.

The pages' links name no UID and know nothing of what is installed: ``/open`` decides when it is
asked, and sends the browser on.
"""

from __future__ import annotations

from urllib.parse import urlencode

from storage.kinds import ObjectKind
from storage.showing import Shown

_ON_THE_IMAGE = frozenset(
    (
        ObjectKind.SEGMENTATION,
        ObjectKind.LABEL_MAP,
        ObjectKind.PROBABILITY,
        ObjectKind.MAP,
        ObjectKind.STRUCTURE_SET,
        ObjectKind.REPORT,
        ObjectKind.REGIONS,
        ObjectKind.RECORD,
        ObjectKind.SUMMARY,
    )
)
"""OHIF draws these on the images that they refer to."""
_BESIDE = frozenset((ObjectKind.IMAGE, ObjectKind.PICTURE, ObjectKind.SHEET))
"""Images of their own."""
_UNSEEN = frozenset((ObjectKind.MESH, ObjectKind.DOCUMENT, ObjectKind.RETRACTION))
MOST_SAMPLES = 512 << 20
"""Of a segmentation that OHIF opens unless asked for that very one: 2048 frames of 512 × 512."""
BESIDE_PROTOCOL = "wetread.beside"
"""OHIF's hanging protocol for them; it stands in its configuration."""


def of_study(study_id: int) -> str:
    """Opens a study with what was found in it."""
    return f"/open/studies/{study_id}"


def of_job(job_id: int) -> str:
    """Opens the result of a job on its image."""
    return f"/open/jobs/{job_id}"


def of_object(job_id: int, number: int) -> str:
    """Opens one object of a job, counted from 0 in ``JobResults.objects``."""
    return f"/open/jobs/{job_id}/objects/{number}"


def of_file(job_id: int, number: int) -> str:
    """The DICOM file of one object of a job, to be kept."""
    return f"{of_object(job_id, number)}/file"


def on_wado_uri(shown: Shown) -> str:
    """Where the file of a result is given, as it is stored (PS3.18 9)."""
    asked = {
        "requestType": "WADO",
        "studyUID": shown.study_instance_uid,
        "seriesUID": shown.series_instance_uid,
        "objectUID": shown.sop_instance_uid,
        "contentType": "application/dicom",
    }
    return f"/dicom-web/wado?{urlencode(asked)}"


def is_seen(kind: ObjectKind) -> bool:
    """Whether a viewer shows it: not what only documents or takes back something."""
    return kind not in _UNSEEN


def own_view(shown: Shown) -> str:
    """The node's own view, which needs no scripts."""
    return f"/studies/{shown.study_id}/look{_asked(shown)}"


def first_picture(shown: Shown) -> str:
    """What that view opens with, as a picture."""
    return f"/studies/{shown.study_id}/look/first.webp{_asked(shown)}"


def _asked(shown: Shown) -> str:
    if shown.instance_id:
        return f"?object={shown.instance_id}"
    return f"?series={shown.series_id}" if shown.series_id else ""


def is_shown_by_ohif(shown: Shown) -> bool:
    """Whether OHIF shows it: not presentation states, documents, meshes and key object notes."""
    return shown.kind is None or shown.kind in _ON_THE_IMAGE | _BESIDE


def is_heavy(shown: Shown) -> bool:
    """Whether OHIF opens a segmentation slowly: it keeps a byte of each pixel of each frame."""
    return shown.kind is ObjectKind.SEGMENTATION and shown.samples > MOST_SAMPLES


def in_ohif(shown: Shown) -> str:
    """OHIF's own address for it, with the study's and series' UIDs."""
    asked = {"StudyInstanceUIDs": shown.study_instance_uid}
    if shown.kind in _BESIDE:
        asked["hangingProtocolId"] = BESIDE_PROTOCOL
        asked["beside"] = shown.source_series_instance_uid
    first = shown.series_instance_uid or shown.source_series_instance_uid
    if first:
        asked["initialSeriesInstanceUID"] = first
    return f"/viewer?{urlencode(asked)}"
