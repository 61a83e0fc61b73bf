"""From findings to files that may leave: builds every object, writes it, and asks the gate.

The one entrance to this room. Everything lies in one folder, named relative to its parent. The
same findings with the same provenance give the same bytes; what differs in anything has other UIDs.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from highdicom._standard_utils import is_attribute_in_iod
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from analyzers.contract import Findings
from node.results import colours, identity, kinds
from node.results.bench import Bench, Piece
from node.results.files import ResultFiles
from node.results.forms import table
from node.results.forms.table import Form
from node.results.gate import gate, validator
from node.results.gate.written import Written
from node.results.kinds import Kind, Mention, Objects
from node.results.modules.source import HierarchicalReference, Provenance
from node.results.objects import blending
from node.results.presence import Presence
from node.results.report import changes, sr, statements
from node.results.report import reasons as reasons_
from node.results.report.sr import Made
from node.results.report.statements import MadeTitles, NoticeReason
from node.results.words import phrases, spoken
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import FindingRow, JobResults

OnObjects = Callable[[JobResults], None]


def write_results(
    source: Source,
    findings: Findings,
    provenance: Provenance,
    folder: Path,
    forms: Collection[ObjectKind] = (),
    on_objects: OnObjects = lambda made: None,
) -> JobResults:
    """Write the objects of an analysis into ``folder`` and let them through the gate.

    forms: further forms of the findings (``node.results.forms``). They change nothing of the
    objects that are made without them: one that cannot be made, or that the gate refuses, is set
    apart and named in what is given back.
    on_objects: called with all but the forms once that has passed the gate, before they are made.

    Raises ``GateRefused`` and the other errors of ``node.results.errors``; what was written stays
    in the folder for whoever looks into it. Nothing is synced: that is for whoever keeps it.
    """
    files, bench = ResultFiles(folder), _bench(source, findings, provenance)
    try:
        with quiet():
            _make_objects(bench, files)
            if not files.refused:
                on_objects(_results(bench, files))
            _make_forms(bench, [form for form in table.FORMS if form.kind in forms], files)
        results = _results(bench, files)
    except Exception as error:  # what is made of a refused object may fail in any way
        if files.refused:
            raise files.refusal() from error
        raise
    if files.refused:
        refusal = files.refusal()
        refusal.results = results
        raise refusal
    return results


def identified(source: Source, findings: Findings, provenance: Provenance) -> Provenance:
    """With the key from which the UIDs of what is written of these findings derive."""
    return _bench(source, findings, provenance).provenance


def _bench(source: Source, findings: Findings, provenance: Provenance) -> Bench:
    language = provenance.maker.language
    provenance = _titled(provenance)
    findings = colours.told_apart(spoken.findings_in(findings, language))
    findings = blending.those_held(source, findings, language)
    findings = statements.with_uptake(source, findings, language)
    return Bench.of(source, findings, identity.of_run(source, findings, provenance))


def _results(bench: Bench, files: ResultFiles) -> JobResults:
    language = bench.provenance.maker.language
    said = rows(bench.source, bench.findings, bench.present, language)
    return JobResults(
        objects=tuple(files.objects),
        findings=(*said, *_changes(bench)),
        previews=tuple(files.previews),
        remarks=(*bench.findings.cautions, *bench.findings.remarks),
        unmade=dict(files.unmade),
    )


def _make_objects(bench: Bench, files: ResultFiles) -> None:
    for kind in kinds.KINDS:
        _make(bench, kind, files)
    _report(bench, files)


def load_tables() -> None:
    """Load what highdicom knows of the standard's modules: 60 MB, once in a process."""
    is_attribute_in_iod("ContentDate", ComprehensiveSRStorage)


def write_notice(
    source: Source,
    verdict: NoticeReason | str,
    reasons: Sequence[str],
    provenance: Provenance,
    folder: Path,
    forms: Collection[ObjectKind] = (),
) -> JobResults:
    """Write the report that there is no result; ``verdict`` is "not applicable" or "failed".

    forms: as in ``write_results``.
    """
    provenance = identity.of_run(source, (str(verdict), list(reasons)), _titled(provenance))
    files = ResultFiles(folder)
    with quiet():
        document = sr.build_notice(source, NoticeReason(verdict), reasons, provenance)
        _write_report(document, source, {}, files)
        title = statements.notice_title(NoticeReason(verdict), provenance.maker.language)
        bench = Bench.of_notice(source, dataclasses.replace(provenance, outcome=title), document)
        _make_forms(bench, [form for form in table.OF_NOTICES if form.kind in forms], files)
        texts = reasons_.texts(source, reasons, provenance.maker.language)
    if files.refused:
        raise files.refusal()
    return JobResults(objects=tuple(files.objects), remarks=tuple(texts), unmade=dict(files.unmade))


def rows(
    source: Source, findings: Findings, present: Presence, language: str
) -> Iterator[FindingRow]:
    """One line a number or statement, for the status page and the command line."""
    for index, item in enumerate(findings.items):
        yield from kinds.kind_of(item, source).lines(item, present.get(index, ()), language)


def _changes(bench: Bench) -> Iterator[FindingRow]:
    """One line a number that differs from that of the report before."""
    language = bench.provenance.maker.language
    for one in changes.since(bench.provenance.earlier, bench.findings, language):
        yield one.row(language)


def _titled(provenance: Provenance) -> Provenance:
    """The analyzer's title in the language of the report."""
    title = phrases.shown(provenance.analyzer_title, provenance.maker.language)
    return dataclasses.replace(provenance, analyzer_title=title)


def quiet() -> warnings.catch_warnings[None]:
    """pydicom warns of every odd value copied from the images, with the value; it may not."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


# --- objects --------------------------------------------------------------------------------------


def _make(bench: Bench, kind: Kind[Any], files: ResultFiles) -> None:
    """Make what the findings of a kind become."""
    found = _of_kind(bench, kind)
    if kind.objects is not None:
        for index, item in found:
            place = bench.numbers.next(kind.objects.numbers)
            piece = Piece(bench, kind.made_as(bench, item), index, place)
            _make_one(piece, kind.objects, files)
    if kind.together is not None and found:
        name, draw = kind.together
        draw(bench, [item for _, item in found], files.picture(name))


def _of_kind(bench: Bench, kind: Kind[Any]) -> list[tuple[int, Any]]:
    return [
        (index, item)
        for index, item in enumerate(bench.findings.items)
        if kinds.kind_of(item, bench.source) is kind
    ]


def _make_one(piece: Piece[Any], objects: Objects[Any], files: ResultFiles) -> None:
    source, made = piece.bench.source, 0
    for made, dataset in enumerate(objects.build(piece), start=1):
        number = made - 1
        path = files.write(dataset, objects.file_name(piece, number), objects.kind)
        at_an_end = number in (0, len(source.frames) - 1)
        if at_an_end or not objects.is_series:
            with files.judged(), validator.Asked(path) as asked:
                _pass(path, objects, piece, number, asked)
        else:
            with files.judged():
                _pass(path, objects, piece, number, None)
        _remember(piece, objects.mention, dataset)
    if objects.picture is not None and made:
        objects.picture(piece, files.picture(f"{objects.file}-{piece.place.index}.png"))


def _pass(
    path: Path,
    objects: Objects[Any],
    piece: Piece[Any],
    number: int,
    asked: validator.Asked | None,
) -> None:
    """Let a written object through the gate. Raises ``GateRefused``."""
    written = Written(path)
    objects.read_back(written, piece, number)
    gate.check_required(written, piece.bench.source, validate=False, asked=asked)


def _remember(piece: Piece[Any], mention: Mention, dataset: Dataset) -> None:
    """For the report."""
    bench = piece.bench
    match mention:
        case Mention.STRUCTURES:
            bench.segmentations[piece.index] = dataset
        case Mention.IMAGES:
            bench.images.append(HierarchicalReference.to(dataset))
        case Mention.STATE | Mention.NONE:
            bench.further.append(HierarchicalReference.to(dataset))


def _make_forms(bench: Bench, forms: Iterable[Form], files: ResultFiles) -> None:
    for form in forms:
        with files.alone(form.kind):
            for number, dataset in enumerate(form.build(bench)):
                path = files.write(dataset, f"{form.file}-{number}.dcm", form.kind)
                form.read_back(path, bench, number)
                gate.check_resolved(path, bench.known())
                gate.check_required(path, bench.source)


# --- report ---------------------------------------------------------------------------------------


def _report(bench: Bench, files: ResultFiles) -> None:
    titles = MadeTitles(_titles(bench, Mention.IMAGES), _titles(bench, Mention.STATE))
    cited = tuple(bench.cited.values())
    made = Made(bench.segmentations, bench.images, bench.further, cited, titles)
    document = bench.report = sr.build(bench.source, bench.findings, made, bench.provenance)
    others = dict.fromkeys(one.sop_instance_uid for one in (*made.companions(), *made.objects()))
    segmentations = {str(one.SOPInstanceUID): one for one in bench.segmentations.values()}
    only_makes = kinds.only_make(bench.findings.items, bench.source)
    kind = ObjectKind.RECORD if only_makes else ObjectKind.REPORT
    _write_report(document, bench.source, {**others, **segmentations}, files, kind)


def _titles(bench: Bench, mention: Mention) -> tuple[str, ...]:
    items: tuple[Any, ...] = bench.findings.items
    found = ((item, kinds.kind_of(item, bench.source).objects) for item in items)
    return tuple(item.title for item, objects in found if objects and objects.mention is mention)


def _write_report(
    document: Dataset,
    source: Source,
    made: dict[str, Dataset | None],
    files: ResultFiles,
    kind: ObjectKind = ObjectKind.REPORT,
) -> None:
    path = files.write(document, "report.dcm", kind)
    with files.judged(), validator.Asked(path) as asked:
        written = Written(path)
        gate.check_references(written, source, made)
        gate.check_required(written, source, asked=asked)
