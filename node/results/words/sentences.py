"""Every sentence and word that results speak in, English and German side by side: one table.

Reports, titles, notices, findings rows, pictures and documents take their words from here and write
none themselves. A row is asked for in a language: ``NOT_FOUND_LINE("de", what="Leber")``. Coded
meanings stay English; what analyzers say is in ``node.results.words.phrases``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENGLISH, GERMAN = "en", "de"
LANGUAGES = (ENGLISH, GERMAN)


@dataclass(frozen=True, slots=True)
class Said:
    """One row: the same in every language, with the same ``{placeholders}``."""

    en: str
    de: str

    def __call__(self, language: str, **values: object) -> str:
        """In a language, English where it is not known; the values in their places."""
        return (self.de if language == GERMAN else self.en).format(**values)


def table() -> Mapping[str, Said]:
    """All rows by their names."""
    return {name: row for name, row in globals().items() if isinstance(row, Said)}


# --- titles of further forms ----------------------------------------------------------------------

STRUCTURE_SET = Said("structure set", "Strukturen")
SURFACES = Said("surfaces", "Oberflächen")

# --- the outcome, as series descriptions begin with it --------------------------------------------

TITLE_FOUND = Said("FOUND", "GEFUNDEN")
TITLE_POSSIBLE = Said("POSSIBLE", "MÖGLICH")
TITLE_COUNTED = Said("{word} ({count})", "{word} ({count})")
TITLE_NOT_FOUND = Said("NOT FOUND", "NICHT GEFUNDEN")
TITLE_NOTHING = Said("NOTHING FOUND", "NICHTS GEFUNDEN")
TITLE_DOUBTFUL = Said("DOUBTFUL:", "FRAGLICH:")
TITLE_NOT_APPLICABLE = Said("NOT APPLICABLE", "NICHT ANWENDBAR")
TITLE_FAILED = Said("FAILED", "FEHLGESCHLAGEN")
TITLE_MEASURED = Said("MEASURED {value}", "GEMESSEN {value}")
TITLE_NOT_MEASURED = Said("NOT MEASURED", "NICHT GEMESSEN")
TITLE_IMAGES = Said("NEW IMAGES", "NEUE BILDER")
TITLE_AND_MORE = Said("{first} +{count}", "{first} +{count}")

# --- the answer -----------------------------------------------------------------------------------

FOUND = Said("Found: {what}.", "Gefunden: {what}.")
POSSIBLE = Said("Possible: {what}.", "Möglich: {what}.")
POSSIBLY = Said("possibly {what}", "möglicherweise {what}")
NOT_FOUND = Said("Looked for, not found: {what}.", "Gesucht, nicht gefunden: {what}.")
NOTHING_FOUND = Said("Nothing found.", "Nichts gefunden.")
ANSWERED = Said("{question}: {answer}.", "{question}: {answer}.")
MEASURED = Said("{name}: {value}.", "{name}: {value}.")
BY_RULE = Said("By rule: {what}.", "Nach Regel: {what}.")
IMAGES_MADE = Said("Derived images were made: {what}.", "Abgeleitete Bilder: {what}.")
STATES_MADE = Said("Presentation states were made: {what}.", "Darstellungsvorlagen: {what}.")
SERIES_MADE = Said(
    "A derived series was made; images: {count}.", "Abgeleitete Serie; Bilder: {count}."
)
TIMES = Said("{name} ({count} times)", "{name} ({count}-mal)")
CERTAINTY = Said("certainty {percent}%", "Sicherheit {percent} %")
IMAGE_NUMBER = Said("image {number}", "Bild {number}")
FRAME_NUMBER = Said("frame {number}", "Frame {number}")

# --- no result ------------------------------------------------------------------------------------

NOT_APPLICABLE = Said(
    "Not applicable: {why} {analyzer} did not analyze these images; "
    "this says nothing about what they show.",
    "Nicht anwendbar: {why} {analyzer} hat diese Bilder nicht ausgewertet; "
    "über ihren Inhalt ist damit nichts gesagt.",
)
FAILED = Said(
    "Failed: there is no result of {analyzer}; this says nothing about what the images show. "
    "Reason: {why}",
    "Fehlgeschlagen: kein Ergebnis von {analyzer}; über den Inhalt der Bilder ist damit nichts "
    "gesagt. Grund: {why}",
)
NO_REASON = Said("No reason was given.", "Ein Grund wurde nicht angegeben.")
REMOVED = Said("[removed]", "[entfernt]")
PATH_REMOVED = Said("[path]", "[Pfad]")

# --- method and limits ----------------------------------------------------------------------------

MADE_BY = Said(
    "Made automatically by {maker} {version}; not verified by a person.",
    "Automatisch erstellt von {maker} {version}; von keinem Menschen geprüft.",
)
RUN_BY = Said(
    "{analyzer}, run by Wetread {version} on {device}",
    "{analyzer}, ausgeführt von Wetread {version} auf {device}",
)
WITH_MODEL = Said("trained model {digest}", "trainiertes Modell {digest}")
DECODED_BY = Said("pixels decoded by {decoder}", "Pixel dekodiert von {decoder}")
NOT_STATED = Said("Not stated in the source images", "In den Quellbildern nicht angegeben")
NO_SUV = Said("No SUV: {why}.", "Kein SUV: {why}.")
SUV_LESS_EXACT = Said("SUV is less exact: {why}.", "SUV weniger genau: {why}.")
NO_BLENDING = Said(
    "No blending presentation state: the rescale of the images changes from slice to slice.",
    "Keine Überlagerung: Die Skalierung der Bilder wechselt von Schicht zu Schicht.",
)
MEASURED_ON = Said("Measured on {what}.", "Gemessen an: {what}.")
RULE = Said("Rule: {rule}.", "Regel: {rule}.")
SOURCE = Said("Source: {source}", "Quelle: {source}")
NOT_MEASURED = Said("{name}: could not be measured.", "{name}: nicht messbar.")
NOT_FOUND_LINE = Said("{what}: looked for, not found.", "{what}: gesucht, nicht gefunden.")

CHANGED = Said("{name}: {now}, before {before}.", "{name}: {now}, zuvor {before}.")
BEFORE = Said("{value} ({percent}%)", "{value} ({percent} %)")
WITHIN_RANGE = Said("within the reference range", "im Referenzbereich")
BELOW_RANGE = Said("below the reference range", "unter dem Referenzbereich")
ABOVE_RANGE = Said("above the reference range", "über dem Referenzbereich")
RANGE = Said("{where}: {range} ({source})", "{where}: {range} ({source})")
FROM_TO = Said("{low} to {high}", "{low} bis {high}")
AT_LEAST, AT_MOST = Said("from {limit}", "ab {limit}"), Said("up to {limit}", "bis {limit}")

# --- rows of findings -----------------------------------------------------------------------------

ROW_PRESENCE = Said("Presence", "Vorhandensein")
ROW_FOUND = Said("found", "gefunden")
ROW_POSSIBLE = Said("possible", "möglich")
ROW_NOT_FOUND = Said("looked for, not found", "gesucht, nicht gefunden")
ROW_CERTAINTY = Said("Certainty", "Sicherheit")
ROW_BEFORE = Said("{name}, before", "{name}, zuvor")
ROW_RANGE = Said("{name}, reference", "{name}, Referenz")
ROW_NOT_MEASURED = Said("could not be measured", "nicht messbar")
ROW_CONCLUSION = Said("Conclusion", "Schlussfolgerung")
ROW_RULE = Said("{conclusion} ({rule})", "{conclusion} ({rule})")
ROW_MAP = Said("Parametric map", "Parameterkarte")
ROW_IMAGES = Said("Derived series", "Abgeleitete Serie")
ROW_REGISTRATION = Said("Registration", "Registrierung")
ROW_STATE = Said("Presentation state", "Darstellungsvorlage")

# --- images and pictures --------------------------------------------------------------------------

SHADES_OF_MAP = Said(
    "{quantity}: lowest {lowest}, highest {highest} {unit}, shown from none to yellow.",
    "{quantity}: von {lowest} bis {highest} {unit}, dargestellt von farblos bis gelb.",
)
COLOUR_PICTURE = Said("{title}, colour picture", "{title}, Farbbild")
NOT_FOR_DIAGNOSIS = Said("automatic, not for diagnosis", "automatisch, nicht zur Diagnose")
KEY_PICTURES = Said("key pictures", "Schlüsselbilder")
OUTLINES = Said("outlines", "Umrisse")
SUMMARY_SHEET = Said("summary", "Zusammenfassung")
REPORT_DOCUMENT = Said("report", "Bericht")
PLANE_AXIAL = Said("axial", "axial")
PLANE_CORONAL = Said("coronal", "koronal")
PLANE_SAGITTAL = Said("sagittal", "sagittal")
ONE_OF = Said("{image} of {count}", "{image} von {count}")
SHADES = Said("window {low} to {high} {unit}", "Fenster {low} bis {high} {unit}")
MAGNIFIED = Said("magnified {factor} ×", "{factor} × vergrößert")
MORE = Said("and {count} more", "und {count} weitere")
IMAGE_READ = Said("{modality}, {count} image", "{modality}, {count} Bild")
IMAGES_READ = Said("{modality}, {count} images", "{modality}, {count} Bilder")
WHOLE_SERIES = Said("Whole series", "Gesamte Serie")
ALGORITHM = Said(
    "Algorithm: {name} {version}, Wetread {node}", "Algorithmus: {name} {version}, Wetread {node}"
)
PARAMETERS = Said("Parameters: {what}", "Parameter: {what}")

# --- above the reports of a study -----------------------------------------------------------------

SUMMARY = Said("Summary", "Zusammenfassung")
KEY_IMAGES = Said("Key images", "Schlüsselbilder")
RETRACTED = Said("RETRACTED: earlier results", "ZURÜCKGEZOGEN: frühere Ergebnisse")
ANALYSES = Said("{count} analyses: {ends}.", "{count} Auswertungen: {ends}.")
COUNT_DONE = Said("{count} done", "{count} fertig")
COUNT_FAILED = Said("{count} failed", "{count} fehlgeschlagen")
COUNT_CANCELLED = Said("{count} cancelled", "{count} abgebrochen")
COUNT_NOT_APPLICABLE = Said("{count} not applicable", "{count} nicht anwendbar")
CAME_TO = Said("{title}: {text}", "{title}: {text}")
CAME_TO_FAILED = Said(
    "{title}: FAILED, there is no result. {text}",
    "{title}: FEHLGESCHLAGEN, es gibt kein Ergebnis. {text}",
)
CAME_TO_CANCELLED = Said(
    "{title}: CANCELLED by a person, there is no result.",
    "{title}: MANUELL ABGEBROCHEN, es gibt kein Ergebnis.",
)
CAME_TO_NOT_APPLICABLE = Said(
    "{title}: NOT APPLICABLE, the images were not analyzed. {text}",
    "{title}: NICHT ANWENDBAR, die Bilder wurden nicht ausgewertet. {text}",
)
DISAGREE = Said(
    "The analyses disagree. {question}: {answers}.",
    "Die Auswertungen sind sich nicht einig. {question}: {answers}.",
)
SUMMED_UP = Said(
    "Made automatically from the reports referred to; not verified by a person.",
    "Automatisch aus den genannten Berichten erstellt; nicht von einer Person geprüft.",
)
CHOSEN = Said(
    "Images on which automatic analyses found something: {what}. Not verified by a person.",
    "Bilder, auf denen automatische Auswertungen etwas fanden: {what}."
    " Nicht von einer Person geprüft.",
)
WHY_RETRACTED = Said(
    "Superseded: later results of the same analysis are stored here.",
    "Überholt: Spätere Ergebnisse derselben Auswertung sind hier gespeichert.",
)
