"""Judges whether a series is fit to be measured: accept, warn or refuse, with every reason."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from analyzers import codes, families
from analyzers.contract import (
    About,
    Classification,
    Code,
    Findings,
    InputContract,
    InvalidParameters,
    Limits,
    Measurement,
    NotApplicable,
    Parameter,
    Parameters,
    Volume,
)

if TYPE_CHECKING:
    from analyzers.grid.value_planes import ValuePlanes


QUESTION = Code("QUALITY", codes.PRIVATE_SCHEME, "Image quality for automatic analysis")
ACCEPT = Code("QUALITY-ACCEPT", codes.PRIVATE_SCHEME, "Accepted")
WARN = Code("QUALITY-WARN", codes.PRIVATE_SCHEME, "Accepted with warnings")
REFUSE = Code("QUALITY-REFUSE", codes.PRIVATE_SCHEME, "Refused")
NOISE = Code("NOISE", codes.PRIVATE_SCHEME, "Image noise: most frequent local standard deviation")
SNR = Code("SNR", codes.PRIVATE_SCHEME, "Median signal over image noise")
EDGE_WIDTH = Code("EDGEWIDTH", codes.PRIVATE_SCHEME, "Width of the body outline (blur)")
SATURATED = Code(
    "SATURATED", codes.PRIVATE_SCHEME, "Share of the body at the brightest value (clipping)"
)
METAL = Code("METALVOL", codes.PRIVATE_SCHEME, "Volume of metal above 2500 Hounsfield units")
LIKENESS = Code(
    "LIKENESS", codes.PRIVATE_SCHEME, "Correlation with the mean of the images that models know"
)
LEAST_PIXELS = 32


class Grade(IntEnum):
    WARN = 1
    REFUSE = 2


@dataclass(frozen=True, slots=True)
class Reason:
    level: Grade
    words: str


@dataclass(frozen=True, slots=True)
class QualityParameters(Parameters):
    """Limits from which a warning or a refusal is given; a warning never after a refusal."""

    noise_warn_hu: Annotated[
        float, Parameter("noise of CT from which is warned", "HU", least=0)
    ] = 40.0
    noise_refuse_hu: Annotated[
        float, Parameter("noise of CT from which is refused", "HU", least=0)
    ] = 150.0
    snr_warn: Annotated[
        float, Parameter("signal over noise of others below which is warned", least=0)
    ] = 5.0
    snr_refuse: Annotated[
        float, Parameter("signal over noise of others below which is refused", least=0)
    ] = 2.0
    edge_warn_mm: Annotated[
        float, Parameter("width of the body outline from which is warned", "mm", least=0)
    ] = 5.0
    edge_refuse_mm: Annotated[
        float, Parameter("width of the body outline from which is refused", "mm", least=0)
    ] = 15.0
    saturated_warn: Annotated[
        float, Parameter("share of the body at the brightest value, warned from", least=0)
    ] = 0.01
    saturated_refuse: Annotated[
        float, Parameter("share of the body at the brightest value, refused from", least=0)
    ] = 0.25
    gap_warn: Annotated[
        float, Parameter("gap between slices as a share of their distance, warned from", least=0)
    ] = 0.1
    metal_warn_ml: Annotated[
        float, Parameter("volume of metal from which is warned", "mL", least=0)
    ] = 0.1
    read: Annotated[
        bool, Parameter("whether Tesseract, where it is installed, reads lettering")
    ] = True

    def check(self) -> None:
        pairs = (
            ("noise", self.noise_warn_hu, self.noise_refuse_hu),
            ("snr", self.snr_refuse, self.snr_warn),
            ("edge", self.edge_warn_mm, self.edge_refuse_mm),
            ("saturated", self.saturated_warn, self.saturated_refuse),
        )
        for name, lower, upper in pairs:
            if not lower <= upper:
                raise InvalidParameters(f"{name}: the limits {lower:g} and {upper:g} contradict")


class Quality:
    """Noise, sharpness, motion, clipping, coverage, metal, gaps, contrast agent and lettering."""

    name: ClassVar[str] = "quality"
    version: ClassVar[str] = "1.5.2"
    title: ClassVar[str] = "Image quality"
    about: ClassVar[About] = About(
        purpose="Judges whether a series is fit to be measured.",
        gives=(
            "accept, warn or refuse, with every reason",
            "noise, sharpness, clipping, metal, likeness to the images that models know",
            "contrast phase of CT",
        ),
    )
    family: ClassVar[Code] = families.HISTOGRAM_ANALYSIS
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_ensemble/model.toml",
        "models/weights/radiograph_fitness/model.toml",
        "models/weights/hippocampus_atlas/model.toml",
    )
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT", "CR", "DX"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[QualityParameters]] = QualityParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        from analyzers.quality import words

        words.prepare()
        self.device = device

    def analyze(self, volume: Volume, parameters: QualityParameters) -> Findings:
        """
        Raises
        ------
        NotApplicable
            The images are too small, or show nothing but one value.
        """
        from analyzers.grid.value_planes import ValuePlanes
        from analyzers.quality.contrast_phase import contrast_phase

        if min(volume.shape[1:], default=0) < LEAST_PIXELS or volume.shape[0] == 0:
            raise NotApplicable(f"The images have fewer than {LEAST_PIXELS} pixels a side.")
        values = ValuePlanes(volume)
        if values.range[0] == values.range[1]:
            raise NotApplicable("The images hold one value only: there is nothing to judge.")
        check = _Check(volume, values, parameters)
        reasons = sorted(check.reasons(), key=lambda one: -one.level)
        worst = max((one.level for one in reasons), default=None)
        answer = {None: ACCEPT, Grade.WARN: WARN, Grade.REFUSE: REFUSE}[worst]
        said = tuple(one.words for one in reasons)
        verdict = Classification(QUESTION, answer, reasons=said)
        phase = (contrast_phase(volume),) if volume.modality == "CT" else ()
        items = (verdict, *phase, *check.measurements)
        return Findings(items, said or ("No fault was found.",))


class _Check:
    """The measures of one series; ``measurements`` fills while ``reasons`` runs."""

    def __init__(self, volume: Volume, values: ValuePlanes, limits: QualityParameters) -> None:
        from analyzers.anatomy import body
        from analyzers.grid.field import field_of_view

        self.measurements: list[Measurement] = []
        self._volume, self._values, self._limits = volume, values, limits
        self._field = field_of_view(volume)
        self._body = (
            volume.measured(np.ones(values.shape, np.bool_))
            if volume.projection
            else body.foreground(values, volume.modality, volume.valid)
        )

    def reasons(self) -> Iterator[Reason]:
        if not self._body.any():
            yield Reason(Grade.REFUSE, "No body is seen in the images.")
            return
        yield from self._saturation()
        yield from self._lettering()
        yield from self._familiarity()
        if self._volume.modality == "CT":
            yield from self._ct_noise()
            yield from self._metal()
            yield from self._coverage()
            yield from self._contrast()
        elif self._volume.modality != "PT":
            yield from self._signal()
        if not self._volume.projection:
            yield from self._motion()
            yield from self._gaps()
            if self._volume.modality in ("CT", "MR"):
                yield from self._sharpness()

    def _measured(self, name: Code, value: float, unit: Code) -> None:
        self.measurements.append(Measurement(name, round(value, 3), unit))

    def _ct_noise(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        soft = measures.soft_tissue(self._values, self._body, 50)
        noise = measures.noise_level(self._values, soft)
        if noise is None:
            return
        self._measured(NOISE, noise, codes.HOUNSFIELD_UNIT)
        limits = (self._limits.noise_warn_hu, self._limits.noise_refuse_hu)
        yield from _above("Noise in soft tissue", noise, limits, "HU")

    def _signal(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        noise = measures.noise_level(self._values, self._body)
        if not noise:
            return
        inside = self._values.inside(self._body)
        floor = float(np.percentile(inside, 1)) if self._volume.projection else 0.0
        ratio = (float(np.median(inside, overwrite_input=True)) - floor) / noise
        self._measured(SNR, ratio, codes.NO_UNIT)
        warn, refuse = self._limits.snr_warn, self._limits.snr_refuse
        if ratio < warn:
            level = Grade.REFUSE if ratio < refuse else Grade.WARN
            limit = refuse if ratio < refuse else warn
            yield Reason(level, f"Signal is only {ratio:.1f} times the noise (limit {limit:g}).")

    def _sharpness(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        spacing = self._volume.spacing_mm
        width = measures.edge_width_mm(
            self._values, self._body, (float(spacing[1]), float(spacing[2])), self._field
        )
        if width is None:
            return
        self._measured(EDGE_WIDTH, width, codes.MILLIMETER)
        limits = (self._limits.edge_warn_mm, self._limits.edge_refuse_mm)
        yield from _above(EDGE_WIDTH.meaning, width, limits, "mm")

    def _motion(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        moved = measures.displaced_slices(self._body)
        if moved:
            numbers = ", ".join(str(index + 1) for index in moved[:5])
            more = " and others" if len(moved) > 5 else ""
            yield Reason(
                Grade.WARN, f"Out of line with both neighbours (motion): slice {numbers}{more}."
            )

    def _saturation(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        share = measures.saturated_share(self._values, self._body)
        self._measured(SATURATED, 100 * share, codes.PERCENT)
        limits = (100 * self._limits.saturated_warn, 100 * self._limits.saturated_refuse)
        yield from _above(SATURATED.meaning, 100 * share, limits, "%")

    def _metal(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        millilitres = float(sum(measures.metal_voxels(self._values, self._body)))
        millilitres *= self._volume.voxel_ml
        self._measured(METAL, millilitres, codes.MILLILITER)
        if millilitres < self._limits.metal_warn_ml:
            return
        ratio = measures.streak_ratio(self._values, self._body)
        streaks = f"; noise there is {ratio:.1f} times that of other slices" if ratio else ""
        yield Reason(Grade.WARN, f"Metal, {millilitres:.2g} mL above 2500 HU{streaks}.")

    def _coverage(self) -> Iterator[Reason]:
        from analyzers.quality import measures

        spacing = self._volume.spacing_mm
        cut = measures.lung_cut(self._values, self._body, float(spacing[1] * spacing[2]))
        ends = [name for name, is_cut in zip(("first", "last"), cut, strict=True) if is_cut]
        if ends:
            yield Reason(
                Grade.WARN, f"The lungs reach the {' and the '.join(ends)} slice: not whole."
            )
        share = measures.truncated_share(self._body, self._field)
        if share > 0.1:
            yield Reason(
                Grade.WARN, f"The body is cut off by the field of view ({share:.0%} of its sides)."
            )

    def _gaps(self) -> Iterator[Reason]:
        facts = self._volume.facts
        if facts is None or not facts.thickness_mm or not facts.spacing_mm:
            return
        gap = 1.0 - facts.thickness_mm / facts.spacing_mm
        if gap > self._limits.gap_warn:
            yield Reason(
                Grade.WARN, f"{gap:.0%} of the body lies between the slices and is not shown."
            )

    def _contrast(self) -> Iterator[Reason]:
        from analyzers.anatomy import body

        facts = self._volume.facts
        if facts is None or facts.contrast is None:
            return
        seen = body.contrast_ml(self._values, self._body, self._volume.voxel_ml)
        if seen > 10.0 and not facts.contrast:
            words = "Contrast agent is seen in the images; the header says there is none."
            yield Reason(Grade.WARN, words)

    def _familiarity(self) -> Iterator[Reason]:
        """What the models that would be given the series say of it themselves."""
        from analyzers.quality.familiarity import judge

        judged = judge(self._volume)
        if judged is None:
            return
        if judged.likeness is not None:
            self._measured(LIKENESS, judged.likeness, codes.NO_UNIT)
        if judged.refusal:
            yield Reason(Grade.WARN, f"Refused by the {judged.models}: {judged.refusal}")
        for caution in judged.cautions:
            yield Reason(Grade.WARN, f"Doubted by the {judged.models}: {caution}")

    def _lettering(self) -> Iterator[Reason]:
        from analyzers.quality import words
        from analyzers.quality.text import text_rows

        planes = (
            self._values
            if self._volume.projection
            else self._values[:: max(1, len(self._values) // 8)]
        )
        rows = max((text_rows(plane) for plane in planes), key=len, default=[])
        found = []
        if rows:
            found.append(f"{len(rows)} rows, {sum(row.letters for row in rows)} marks")
        if self._limits.read and words.can_read():
            try:
                read = words.words_in(list(planes))
            except (OSError, subprocess.SubprocessError) as error:
                why = type(error).__name__
                yield Reason(Grade.WARN, f"Lettering was not read: Tesseract failed ({why}).")
                read = 0
            if read >= words.LEAST_WORDS:
                found.append(f"{read} words read")
        if found:
            said = "; ".join(found)
            yield Reason(Grade.WARN, f"Lettering in the pixels ({said}): it may name a person.")


def _above(what: str, value: float, limits: tuple[float, float], unit: str) -> Iterator[Reason]:
    warn, refuse = limits
    if value > warn:
        level, limit = (Grade.REFUSE, refuse) if value > refuse else (Grade.WARN, warn)
        yield Reason(level, f"{what} is {value:.3g} {unit} (limit {limit:g} {unit}).")
