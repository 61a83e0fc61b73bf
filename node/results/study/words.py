"""What summaries and retractions say, English and German side by side."""

from __future__ import annotations

from dataclasses import dataclass

from storage.records import JobState


@dataclass(frozen=True, slots=True)
class Said:
    """One row, with the same ``{placeholders}`` in both languages."""

    en: str
    de: str

    def __call__(self, language: str, **values: object) -> str:
        return (self.de if language == "de" else self.en).format(**values)


SUMMARY = Said("Summary", "Zusammenfassung")
KEY_IMAGES = Said("Key images", "Schlüsselbilder")
RETRACTED = Said("RETRACTED: earlier results", "ZURÜCKGEZOGEN: frühere Ergebnisse")
ANALYSES = Said("{count} analyses: {ends}.", "{count} Auswertungen: {ends}.")
COUNTED = {
    JobState.DONE: Said("{count} done", "{count} fertig"),
    JobState.FAILED: Said("{count} failed", "{count} fehlgeschlagen"),
    JobState.NOT_APPLICABLE: Said("{count} not applicable", "{count} nicht anwendbar"),
}
OUTCOME = {
    JobState.DONE: Said("{title}: {text}", "{title}: {text}"),
    JobState.FAILED: Said(
        "{title}: FAILED, there is no result. {text}",
        "{title}: FEHLGESCHLAGEN, es gibt kein Ergebnis. {text}",
    ),
    JobState.NOT_APPLICABLE: Said(
        "{title}: NOT APPLICABLE, the images were not analyzed. {text}",
        "{title}: NICHT ANWENDBAR, die Bilder wurden nicht ausgewertet. {text}",
    ),
}
CHOSEN = Said(
    "Images on which automatic analyses found something: {what}. Not verified by a person.",
    "Bilder, auf denen automatische Auswertungen etwas fanden: {what}."
    " Nicht von einer Person geprüft.",
)
WHY_RETRACTED = Said(
    "Superseded: more or other images of the study came, and {title} analyzed them anew."
    " The later results are stored here.",
    "Überholt: Weitere oder andere Bilder der Studie kamen an, und {title} hat sie neu"
    " ausgewertet. Die neuen Ergebnisse sind hier gespeichert.",
)
UNVERIFIED = Said(
    "Made automatically from the reports referred to; not verified by a person.",
    "Automatisch aus den genannten Berichten erstellt; nicht von einer Person geprüft.",
)
