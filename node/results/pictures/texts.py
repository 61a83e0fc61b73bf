"""The words on pictures, sheets and documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """The same in every language, with the same ``{placeholders}``."""

    en: str
    de: str

    def __call__(self, language: str, **values: object) -> str:
        return (self.de if language == "de" else self.en).format(**values)


NOT_FOR_DIAGNOSIS = Said("automatic, not for diagnosis", "automatisch, nicht zur Diagnose")
KEY_PICTURES = Said("key pictures", "Schlüsselbilder")
PICTURE_WINDOW = Said("shades {low} to {high} {unit}", "Graustufen {low} bis {high} {unit}")
MORE_FINDINGS = Said("and {count} more", "und {count} weitere")
PLANES = {
    "axial": Said("axial", "axial"),
    "coronal": Said("coronal", "koronal"),
    "sagittal": Said("sagittal", "sagittal"),
}
IMAGE_OF = Said("{image} of {count}", "{image} von {count}")
MAGNIFIED = Said("magnified", "vergrößert")
OUTLINES = Said("outlines", "Umrisse")
