"""The report as an Encapsulated PDF (PS3.3 A.45.1), for those who show no structured report.

The same bytes for the same findings: no date of making, no random names. Letters are embedded, and
are text that can be searched. Nothing on the pages identifies the patient: that stands in the
header alone, where an archive corrects it. Where it is not known whether the images have burned in
text, and pictures of them stand on the pages, the document is said to have some.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage
from reportlab.lib.colors import Color
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from analyzers.contract import Code
from node.results import kinds, uids
from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.forms import account, layout
from node.results.forms.account import Account
from node.results.forms.layout import Letters, Picture, Placed, Rule, Tone
from node.results.modules import planes, provenance
from node.results.modules.source import Provenance
from node.results.objects import capture
from node.results.pictures import fonts
from node.results.series_numbers import Block
from node.results.words import sentences
from node.series.source import Source

NUMBERS = Block(99)
TITLE = Code("126000", "DCM", "Imaging Measurement Report")
"""CID 7020 Document Title."""
JPEG_QUALITY = 90
_REGULAR, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_TONES: Mapping[Tone, Color] = {
    Tone.INK: Color(0, 0, 0),
    Tone.FAINT: Color(0.32, 0.34, 0.38),
    Tone.WARNING: Color(0.7, 0.25, 0),
}


def build(bench: Bench) -> Iterator[Dataset]:
    """The document; none of a run that says nothing of the patient."""
    if kinds.only_make(bench.findings.items, bench.source):
        return
    number = bench.numbers.next(NUMBERS).series_number
    yield of_account(account.of(bench), bench.source, bench.provenance, number)


def of_account(said: Account, source: Source, run: Provenance, number: int) -> Dataset:
    """The document of what a run says, in a series of this number."""
    language = run.maker.language
    dataset = Dataset()
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = uids.object_uid(run.key, "document")
    dataset.SeriesInstanceUID = uids.object_uid(run.key, "document-series")
    dataset.SeriesNumber = number
    dataset.InstanceNumber = 1
    dataset.Modality = "DOC"
    dataset.ConversionType = "WSD"
    title = sentences.REPORT_DOCUMENT(language)
    dataset.SeriesDescription = provenance.series_title(run, title)
    dataset.DocumentTitle = provenance.text(f"{run.analyzer_title}: {title}", 1024)
    dataset.ConceptNameCodeSequence = [provenance.concept(TITLE)]
    dataset.VerificationFlag = "UNVERIFIED"
    unknown = "YES" if said.pictures else "NO"
    dataset.BurnedInAnnotation = capture.burned_in_annotation(source) or unknown
    dataset.SourceInstanceSequence = [planes.instance_reference(one) for one in source.headers]
    provenance.stamp(dataset, source, run)
    dataset.AcquisitionDateTime = ""
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    content = pdf(said, language)
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    dataset.EncapsulatedDocumentLength = len(content)
    return dataset


def pdf(said: Account, language: str) -> bytes:
    """The pages as a PDF file."""
    _register()
    content = io.BytesIO()
    size = (layout.WIDTH, layout.HEIGHT)
    canvas = Canvas(
        content, size, pageCompression=1, invariant=1, lang=language, initialFontName=_REGULAR
    )
    canvas.setTitle(layout.plain(said.title))
    canvas.setCreator("Wetread")
    for page in layout.laid_out(said):
        _draw(canvas, page)
        canvas.showPage()
    canvas.save()
    return content.getvalue()


@cache
def _register() -> None:
    pdfmetrics.registerFont(TTFont(_REGULAR, str(fonts.REGULAR)))
    pdfmetrics.registerFont(TTFont(_BOLD, str(fonts.BOLD)))


def _draw(canvas: Canvas, page: Sequence[Placed]) -> None:
    for placed in page:
        match placed:
            case Letters():
                canvas.setFillColor(_TONES[placed.tone])
                canvas.setFont(_BOLD if placed.bold else _REGULAR, placed.size)
                canvas.drawString(placed.x, layout.HEIGHT - placed.y, placed.text)
            case Rule():
                canvas.setStrokeColor(Color(0.8, 0.8, 0.82))
                canvas.setLineWidth(0.5)
                y = layout.HEIGHT - placed.y
                canvas.line(placed.left, y, placed.right, y)
            case Picture():
                bottom = layout.HEIGHT - placed.top - placed.height
                canvas.drawImage(_jpeg(placed), placed.left, bottom, placed.width, placed.height)


def _jpeg(placed: Picture) -> ImageReader:
    content = io.BytesIO()
    Image.fromarray(placed.pixels).save(content, "JPEG", quality=JPEG_QUALITY)
    content.seek(0)
    return ImageReader(content)


def read_back(path: Path, bench: Bench, number: int) -> None:
    """As ``check``."""
    check(path)


def check(path: Path) -> None:
    """It holds a whole PDF file, and nothing else. Raises ``GateRefused``."""
    dataset = pydicom.dcmread(path)
    held, length = bytes(dataset.EncapsulatedDocument), int(dataset.EncapsulatedDocumentLength)
    content, padding = held[:length], held[length:]
    reasons = []
    if not content.startswith(b"%PDF-") or not content.rstrip().endswith(b"%%EOF"):
        reasons.append("what it holds is no whole PDF file")
    if length > len(held) or padding not in (b"", b"\0"):
        reasons.append("the length that it says is not that of what it holds")
    if dataset.MIMETypeOfEncapsulatedDocument != "application/pdf":
        reasons.append("it is not said to be a PDF file")
    if reasons:
        raise GateRefused("doc", tuple(reasons))
