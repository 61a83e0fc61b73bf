"""What an image's attributes tell once they are plain values: whose it is, and how it can be read.

Whoever only looks at the index comes by here: nothing that parses DICOM is imported.
"""

from __future__ import annotations

from hashlib import sha256

from storage.records import Header

_CAPTURES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.66")
"""Secondary captures; raw data, segmentations and the like."""


def patient_key(study: Header, study_instance_uid: str) -> str:
    """What makes two studies one patient's: ID and issuer; without an ID, the study alone."""
    identifier = study.get("PatientID", "")
    issuer = study.get("IssuerOfPatientID", "")
    text = f"{issuer}\0{identifier}" if identifier else f"study {study_instance_uid}"
    return sha256(text.encode()).hexdigest()


def readability(instance: Header) -> int:
    """How likely an analyzer can read an image, by its ``InstanceAttributes.instance``.

    2: grey, and with a place in space; 1: grey; 0: colour, a capture of a screen, or no image.
    """
    grey = str(instance.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    captured = str(instance.get("SOPClassUID", "")).startswith(_CAPTURES)
    if not grey or captured or "Rows" not in instance:
        return 0
    placed = instance.get("ImagePositionPatient") or instance.get("FramePositions")
    return 2 if placed else 1
