"""What people read in the place of the names of analyzers and of kinds of results.

In the language of the results, as the findings beside them are.
"""

from __future__ import annotations

from functools import cache

from analyzers import registry
from analyzers.contract import AnalyzerError
from node.config.settings import Settings
from node.results.words import phrases
from node.results.words.sentences import ENGLISH, Said
from storage import own_jobs
from storage.kinds import ObjectKind

KINDS = {
    ObjectKind.IMAGE: Said("Images", "Bilder"),
    ObjectKind.SEGMENTATION: Said("Segmentation", "Segmentierung"),
    ObjectKind.PROBABILITY: Said("Probability map", "Wahrscheinlichkeitskarte"),
    ObjectKind.LABEL_MAP: Said("Label map", "Strukturen als Nummern (Label Map)"),
    ObjectKind.MAP: Said("Parametric map", "Parameterkarte"),
    ObjectKind.REGISTRATION: Said("Registration", "Registrierung"),
    ObjectKind.PRESENTATION: Said("Presentation state", "Darstellung (Presentation State)"),
    ObjectKind.WINDOW: Said("Window preset", "Fenstereinstellung"),
    ObjectKind.OUTLINES: Said("Outlines on the images", "Umrisse auf den Bildern"),
    ObjectKind.STRUCTURE_SET: Said("Structure set", "Strukturen (RT Structure Set)"),
    ObjectKind.MESH: Said("Surface (STL)", "Oberfläche (STL)"),
    ObjectKind.PICTURE: Said("Picture", "Bild für jeden Betrachter"),
    ObjectKind.SHEET: Said("Report as a picture", "Befund als Bild"),
    ObjectKind.REPORT: Said("Report", "Befund"),
    ObjectKind.RECORD: Said("Record of the run", "Protokoll des Laufs"),
    ObjectKind.REGIONS: Said("Report on the images alone", "Befund nur auf den Bildern"),
    ObjectKind.DOCUMENT: Said("Report (PDF)", "Befund (PDF)"),
    ObjectKind.SUMMARY: Said("Study summary", "Zusammenfassung der Studie"),
    ObjectKind.KEY_OBJECTS: Said("Key images", "Schlüsselbilder"),
    ObjectKind.RETRACTION: Said("Retraction", "Rücknahme"),
}
_OWN = {
    own_jobs.SUMMARY: KINDS[ObjectKind.SUMMARY],
    own_jobs.RETRACTION: Said("Retraction of results", "Rücknahme von Ergebnissen"),
}


class Named:
    """In one language."""

    def __init__(self, settings: Settings | None) -> None:
        self.language: str = settings.results.language if settings else ENGLISH

    def analyzer(self, name: str) -> str:
        """Its title; the name itself where no such analyzer is installed any more, or is broken."""
        own = _OWN.get(name)
        return own(self.language) if own else phrases.shown(_title(name), self.language)

    def kind(self, kind: ObjectKind) -> str:
        return KINDS[kind](self.language)


@cache
def _title(name: str) -> str:
    try:
        return registry.info(name).title
    except AnalyzerError:
        return name
