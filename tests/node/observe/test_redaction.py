"""No log line names a patient, whatever is handed to the logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.observe.redaction import redact, study_digest

UID = "1.2.826.0.1.3680043.8.498.1234567890"
UUID_UID = "2.25.329800735698586629295641978511506172918"


def _logged(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", {"event": "said", **event}))


@pytest.mark.parametrize(
    "key",
    ["patient_name", "PatientID", "patient_id", "PatientBirthDate", "birth_date", "accession",
     "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "mrn", "dob", "dataset",
     "OtherPatientIDs", "study_date", "header", "PatientComments", "InstitutionName"],
)  # fmt: skip
def test_keys_that_carry_personal_data_are_redacted(key: str) -> None:
    for value in ("secret", 19700101, {"inner": "secret"}, ["secret"]):
        assert _logged(**{key: value})[key] == "redacted"


@pytest.mark.parametrize(
    "event",
    [
        {"job": 12, "analyzer": "lungs", "delay_s": 4.5, "host": "10.0.0.17", "port": 104},
        {"version": "0.28.2", "ae_title": "WETREAD", "reason": "10.0.0.30:104 refuses", "ok": True},
        {"study": 3, "study_id": 3, "status": "0xA700", "state": "done", "at": None},
    ],
)
def test_what_an_operator_needs_stays(event: dict[str, Any]) -> None:
    assert _logged(**event) == {"event": "said", **event}


@pytest.mark.parametrize("uid", [UID, UUID_UID, "1.2.840.10008.1.2"])
def test_uids_become_their_digest_wherever_they_stand(uid: str) -> None:
    digest = f"uid:{study_digest(uid)}"
    told = _logged(
        event=f"got {uid}.",
        study_instance_uid=uid,
        files=[f"/tmp/CT_{uid}.dcm", Path(f"/data/CT.{uid}")],
        nested={"reason": f"refused {uid}"},
        error=ValueError(f"no {uid}"),
    )
    assert uid not in str(told)
    assert told["event"] == f"got {digest}."
    assert told["study_instance_uid"] == digest
    assert told["nested"]["reason"] == f"refused {digest}"
    assert told["files"] == [f"/tmp/CT_{digest}.dcm", f"/data/CT.{digest}"]


def test_even_a_malformed_uid_is_not_told_under_a_key_for_uids() -> None:
    assert _logged(study_uid="DOE-1970")["study_uid"] == f"uid:{study_digest('DOE-1970')}"


def test_person_names_are_known_by_their_carets() -> None:
    told = _logged(event="cannot read 'Müller^Jörg^^Dr.'", items=["O'Neil^Ann Marie"])
    assert told["event"] == "cannot read '[name]'"
    assert told["items"] == ["[name]"]


def test_carets_that_mark_a_place_in_a_traceback_stay() -> None:
    marked = "    labels = find(mask, 26)\n             ^^^^^^^^^^^^^^\nValueError: no"
    assert _logged(exception=marked)["exception"] == marked


def test_a_data_set_is_never_written_out() -> None:
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"
    told = _logged(received=dataset, each=[dataset["PatientName"]])
    assert told == {"event": "said", "received": "redacted", "each": ["redacted"]}


def test_of_a_python_warning_only_place_and_kind_are_told() -> None:
    text = "/lib/pydicom/valuerep.py:440: UserWarning: Invalid value for VR LO: 'Jane'\n  warn()"
    told = redact(None, "warning", {"event": text, "logger": "py.warnings"})
    assert told["event"] == "/lib/pydicom/valuerep.py:440: UserWarning"


def test_the_digest_is_short_and_always_the_same() -> None:
    assert study_digest(UID) == study_digest(UID)
    assert study_digest(UID) != study_digest(UUID_UID)
    assert len(study_digest(UID)) == 12
