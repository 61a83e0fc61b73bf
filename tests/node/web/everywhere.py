"""A node with something to see on every page, and the pages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pydicom
from PIL import Image, ImageDraw

from storage import index, ledger
from storage.header.attributes import extract
from storage.people import notes
from storage.records import (
    FindingRow,
    InstanceRecord,
    JobResults,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    ResultObject,
    RowKind,
)
from tests.node.web.sites import START, Site

PAGES = (
    "/", "/?state=read", "/studies/1", "/studies/1/notes",
    "/studies/1/analyze", "/studies/2", "/alarms", "/jobs", "/jobs/1", "/deliveries",
    "/quarantine", "/gaps", "/rules", "/analyzers", "/upload", "/fetch", "/settings", "/nowhere",
)  # fmt: skip

_PEOPLE = (
    ("Müller^Åsa", "PAT-100201", "A-2026-0113", "CT", "CT Thorax mit Kontrastmittel"),
    ("Doe^Jane", "PAT-100202", "A-2026-0114", "CT", "CT Thorax"),
    ("Fernández-García^José María", "PAT-100203", "A-2026-0115", "MR",
     "Kernspintomographieverlaufskontrolle des Neurokraniums"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "PAT-100204", "A-2026-0116", "DX", "Thorax p.a."),
    ("Okafor^Chidi", "PAT-100205", "", "PT", "FDG-PET Ganzkörper"),
)  # fmt: skip


STUDIES = len(_PEOPLE)


def key_of(number: int) -> str:
    """Where the index looks for the image of a study: nothing lies there."""
    return f"k{number}"


def fill(site: Site, template: Path, folder_name: str = "abc") -> None:
    """Five studies: found, unusual, failed, nothing to say, and one that is still coming."""
    folder = site.results.folder(folder_name)
    for number in range(3):
        _picture(number).save(folder / f"seg-{number}.png")
    for number, (name, patient, accession, modality, words) in enumerate(_PEOPLE):
        dataset = pydicom.dcmread(template, stop_before_pixels=True)
        uid = f"1.2.826.1.{number}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, f"{uid}.1"
        dataset.SOPInstanceUID, dataset.Modality = f"{uid}.1.1", modality
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName, dataset.PatientID = name, patient
        dataset.AccessionNumber, dataset.StudyDescription = accession, words
        dataset.StudyDate = f"2026030{number + 1}"
        placement = Placement(PutOutcome.NEW, key_of(number), 1, "s", "")
        at = START - timedelta(hours=number)
        with site.database.write() as tx:
            index.add(tx, [InstanceRecord(extract(dataset), placement, at, "CT1")])
            if number < 4:
                _analyze(tx, uid, number, folder_name)
    with site.database.write() as tx:
        for words in (
            "Told the ward by telephone.\nNobody answered at first.",
            "Not this patient.",
        ):
            note = notes.write(tx, 1, words, "müller", START)
        notes.strike(tx, 1, note.id, "müller", START)


def _analyze(tx, uid: str, number: int, folder: str) -> None:  # type: ignore[no-untyped-def]
    study = index.find_study(tx, uid)
    assert study is not None
    index.complete(tx, study.id, START, study.last_received_at)
    (series,) = index.series_of(tx, study.id)
    analyzer = ("lung_segmentation", "nodules", "brain_volumes", "pneumothorax")[number]
    job = NewJob(
        f"i{number}", analyzer, "1.0.0", "p", {}, study.id, series.id,
        (series.instances[0].id,), "chest", Priority.ROUTINE, ("pacs",),
    )  # fmt: skip
    job_id = ledger.enqueue(tx, job, START)
    assert job_id is not None
    ledger.claim(tx, START)
    if number == 2:
        ledger.failed(tx, job_id, START, "the series has 3 gaps between its slices", "Traceback")
        return
    if number == 3:
        ledger.not_applicable(tx, job_id, START, "no chest radiograph from the front", JobResults())
        return
    made = (ResultObject(f"{uid}.9", "1.2", f"{uid}.8", "1.2.5", "sr", f"{folder}/0.dcm", 9, "d"),)
    previews = tuple(f"{folder}/seg-{one}.png" for one in range(3))
    found = JobResults(objects=made, findings=_FINDINGS[number], previews=previews)
    ledger.done(tx, job_id, START + timedelta(seconds=7), found)


_FINDINGS = (
    (
        FindingRow("Left lung", "Volume", 1695.4, "mL", reference="1200 – 3200 mL"),
        FindingRow("Right lung", "Volume", 905.2, "mL", reference="1400 – 3600 mL",
                   is_unusual=True),
        FindingRow("Pleural effusion", "Presence", None, "", "looked for, not found",
                   RowKind.ABSENT),
    ),
    (
        FindingRow("Nodule 1", "Certainty", 91.0, "%", "right upper lobe", certainty=91.0),
        FindingRow("Nodule 1", "Long axis", 8.4, "mm"),
    ),
)  # fmt: skip


def _picture(number: int) -> Image.Image:
    """A slice with something outlined on it."""
    image = Image.new("RGB", (600, 400), "black")
    draw = ImageDraw.Draw(image)
    draw.ellipse((90, 30, 510, 370), fill=(70, 70, 74), outline=(170, 170, 170), width=6)
    for left in (150, 330):
        draw.ellipse((left, 90, left + 120, 310 - 20 * number), fill=(18, 18, 20))
        draw.ellipse((left, 90, left + 120, 310 - 20 * number), outline=(80, 200, 255), width=4)
    return image
