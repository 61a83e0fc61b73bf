"""dicomweb-client of PyPI: search, whole instances, metadata, frames, store."""

import hashlib

import pydicom
from dicomweb_client import DICOMwebClient
from driving import target, tell

there = target()
client = DICOMwebClient(there.web)


def qido() -> dict[str, list[str]]:
    studies = client.search_for_studies(search_filters={"PatientID": there.patient_id})
    series = client.search_for_series(there.study)
    instances = client.search_for_instances(there.study)
    return {
        "studies": [one["0020000D"]["Value"][0] for one in studies],
        "series": [one["0020000E"]["Value"][0] for one in series],
        "instances": [one["00080018"]["Value"][0] for one in instances],
    }


def wado() -> dict[str, list[str]]:
    instances = client.retrieve_study(there.study)
    one = client.retrieve_instance(there.study, there.image_series, there.image)
    assert one.SOPInstanceUID == there.image
    return {"instances": [str(one.SOPInstanceUID) for one in instances]}


def metadata() -> dict[str, list[str]]:
    found = client.retrieve_study_metadata(there.study)
    for one in found:
        pydicom.Dataset.from_json(one, bulk_data_uri_handler=lambda uri: b"")
    return {"instances": [one["00080018"]["Value"][0] for one in found]}


def frames() -> dict[str, str]:
    (frame,) = client.retrieve_instance_frames(
        there.study, there.image_series, there.image, frame_numbers=[1]
    )
    return {"frame": hashlib.sha256(frame).hexdigest()}


def rendered() -> dict[str, int]:
    picture = client.retrieve_instance_rendered(
        there.study, there.image_series, there.image, media_types=("image/png",)
    )
    assert picture.startswith(b"\x89PNG")
    return {"bytes": len(picture)}


def stow() -> dict[str, list[str]]:
    answer = client.store_instances([pydicom.dcmread(file) for file in there.files])
    sequence = answer.ReferencedSOPSequence
    return {"stored": [str(one.ReferencedSOPInstanceUID) for one in sequence]}


tell(qido=qido, wado=wado, metadata=metadata, frames=frames, rendered=rendered, stow=stow)
