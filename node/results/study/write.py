"""From what analyses came to, to files that may leave: the summary, the key images, a retraction.

As ``node.results.write``: the same facts with the same provenance give the same bytes, and nothing
leaves that the gate has not read back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from node.results import identity
from node.results.errors import GateRefused
from node.results.files import ResultFiles
from node.results.forms import account
from node.results.forms import document as pdf
from node.results.gate import gate
from node.results.modules.source import Provenance
from node.results.report import reasons
from node.results.series_numbers import ABOVE, Block, SeriesNumbers
from node.results.study import key_objects, summary
from node.results.study.members import Member, Outcome, Selected
from node.results.study.reports import outcome
from node.results.words import sentences
from node.results.write import quiet
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import FindingRow, JobResults

DOCUMENT_NUMBER = Block(4)


def write_summary(
    source: Source,
    members: Sequence[Member],
    provenance: Provenance,
    folder: Path,
    forms: Collection[ObjectKind] = (),
) -> JobResults:
    """Write the summary report, and the key images where there are any.

    forms: whether it is made as a document, too, for those who take no report.

    Raises ``GateRefused``, after all was written, and OSError where a report cannot be read.
    """
    with quiet():
        language = provenance.maker.language
        outcomes = [outcome(one, _reasons(source, one, language), language) for one in members]
        asked, provenance = provenance, identity.of_run(source, outcomes, provenance)
        files = ResultFiles(folder)
        report = summary.build(source, outcomes, provenance)
        _write(report, "summary.dcm", ObjectKind.SUMMARY, source, files)
        _write_for_regions(source, members, outcomes, asked, files)
        if key_objects.key_images(outcomes):
            document = key_objects.build(source, outcomes, provenance)
            _write(document, "key-objects.dcm", ObjectKind.KEY_OBJECTS, source, files)
        if ObjectKind.DOCUMENT in forms:
            _write_document(source, report, provenance, files)
    unlike = [
        FindingRow(sentences.SUMMARY(language), "disagreement", None, "", said)
        for said in summary.disagreements(outcomes, language)
    ]
    return _judged(files, (*unlike, *map(_row, outcomes)))


def write_retraction(
    source: Source,
    objects: Sequence[Selected],
    reason: str,
    provenance: Provenance,
    folder: Path,
) -> JobResults:
    """Write the note that takes back what later results have taken the place of.

    Raises ``GateRefused``.
    """
    with quiet():
        provenance = identity.of_run(source, (objects, reason), provenance)
        files = ResultFiles(folder)
        document = key_objects.build_retraction(source, objects, reason, provenance)
        _write(document, "retraction.dcm", ObjectKind.RETRACTION, source, files)
    return _judged(files)


def _judged(files: ResultFiles, said: tuple[FindingRow, ...] = ()) -> JobResults:
    """All that was made, if nothing of it was refused. Raises ``GateRefused``."""
    made = JobResults(tuple(files.objects), said, unmade=dict(files.unmade))
    if files.refused:
        refusal = files.refusal()
        refusal.results = made
        raise refusal
    return made


def _write_document(
    source: Source, report: Dataset, provenance: Provenance, files: ResultFiles
) -> None:
    """What the summary says, as PDF."""
    with files.alone(ObjectKind.DOCUMENT):
        number = SeriesNumbers(provenance.key, ABOVE).next(DOCUMENT_NUMBER).series_number
        said = account.of_summary(report, provenance)
        made = pdf.of_account(said, source, provenance, number)
        path = files.write(made, "summary-document.dcm", ObjectKind.DOCUMENT)
        pdf.check(path)
        gate.check_required(path, source)


def _write_for_regions(
    source: Source,
    members: Sequence[Member],
    outcomes: Sequence[Outcome],
    provenance: Provenance,
    files: ResultFiles,
) -> None:
    """The summary that refers to the reports that speak of images alone, where there are such.

    A destination has either those or the others, and gets the summary whose references it has.
    """
    if not any(one.regions for one in members):
        return
    both = zip(members, outcomes, strict=True)
    others = [replace(one, refers_to=member.regions or one.refers_to) for member, one in both]
    provenance = identity.of_run(source, others, provenance)
    document = summary.build(source, others, provenance)
    _write(document, "summary-regions.dcm", ObjectKind.SUMMARY, source, files)


def _reasons(source: Source, member: Member, language: str) -> tuple[str, ...]:
    return tuple(reasons.texts(source, [member.reason], language)) if member.reason else ()


def _row(one: Outcome) -> FindingRow:
    """For people: what an analysis came to."""
    return FindingRow(one.title, str(one.state).replace("_", " "), None, "", " ".join(one.texts))


def _write(
    document: Dataset, name: str, kind: ObjectKind, source: Source, files: ResultFiles
) -> None:
    path = files.write(document, name, kind)
    with files.judged():
        _check_references(path, str(source.headers[0].SOPInstanceUID))
        gate.check_required(path, source)


def _check_references(path: Path, image: str) -> None:
    """What the document refers to is its evidence, and what is its evidence it refers to, but for
    an image of the study where it refers to nothing."""
    document = pydicom.dcmread(path)
    listed = set(gate.evidence_of(document))
    referred = {str(one.ReferencedSOPInstanceUID) for one in gate.references_of(document)}
    if listed != (referred or {image}):
        kind = str(document.Modality).lower()
        raise GateRefused(kind, ("its references are not those that it lists as evidence",))
