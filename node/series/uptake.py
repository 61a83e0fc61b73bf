"""The factor from PET values to the standardized uptake value by body weight.

PS3.3 C.8.9.1 (PET series) and C.8.9.2 (isotope), read as QIBA's vendor-neutral pseudo-code reads
them: qibawiki.rsna.org, "Standardized Uptake Value (SUV)".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset

_PHILIPS_SUV = (0x7053, 0x1000)
_PHILIPS_ACTIVITY = (0x7053, 0x1009)


class NoUptakeFactor(ValueError):
    """The header does not allow an SUV; the message says what is missing."""


def suv_factor(headers: Sequence[Dataset]) -> float | None:
    """``value * factor`` is SUVbw in g/mL; None where the header does not allow it.

    headers: of all images of one PET series.
    """
    try:
        return _factor(headers)
    except NoUptakeFactor:
        return None


def _factor(headers: Sequence[Dataset]) -> float:
    header = headers[0]
    units = str(header.get("Units") or "")
    if units == "GML":
        kind = str(header.get("SUVType") or "BW")
        if kind != "BW":
            raise NoUptakeFactor(f"SUV Type is {kind}, not body weight")
        return 1.0
    if units == "CNTS":
        return _philips(headers)
    if units != "BQML":
        raise NoUptakeFactor(f"Units are {units or 'not given'}")
    return _by_dose(headers)


def _philips(headers: Sequence[Dataset]) -> float:
    """Philips counts: a private factor to SUV, else one to activity concentration."""
    uptake = _number(_private(headers[0], _PHILIPS_SUV))
    if uptake:
        return uptake
    activity = _number(_private(headers[0], _PHILIPS_ACTIVITY))
    if not activity:
        raise NoUptakeFactor("Units are counts without a factor to activity")
    return activity * _by_dose(headers)


def _private(header: Dataset, tag: tuple[int, int]) -> Any:
    return header[tag].value if tag in header else None


def _by_dose(headers: Sequence[Dataset]) -> float:
    """Body weight in g over the dose in Bq, decayed to the time the images are corrected to."""
    header = headers[0]
    corrections = header.get("CorrectedImage") or ()
    if not {"ATTN", "DECY"} <= {str(one) for one in corrections}:
        raise NoUptakeFactor("not corrected for attenuation and decay")
    weight_g = 1000 * (_number(header.get("PatientWeight")) or 0)
    isotope = (header.get("RadiopharmaceuticalInformationSequence") or [Dataset()])[0]
    dose = _number(isotope.get("RadionuclideTotalDose"))
    if not weight_g or not dose:
        raise NoUptakeFactor("Patient's Weight or Radionuclide Total Dose is not given")
    correction = str(header.get("DecayCorrection") or "")
    if correction == "ADMIN":
        return weight_g / dose
    if correction != "START":
        raise NoUptakeFactor(f"Decay Correction is {correction or 'not given'}")
    half_life = _number(isotope.get("RadionuclideHalfLife"))
    if not half_life:
        raise NoUptakeFactor("Radionuclide Half Life is not given")
    start = _start(headers)
    waited = (start - _injection(isotope, start)).total_seconds()
    return float(weight_g / (dose * 2 ** (-waited / half_life)))


def _start(headers: Sequence[Dataset]) -> datetime:
    """Start of the series, or of its first acquisition where the series was written later."""
    series = _moment(headers[0].get("SeriesDate"), headers[0].get("SeriesTime"))
    acquired = [
        moment
        for header in headers
        if (moment := _moment(header.get("AcquisitionDate"), header.get("AcquisitionTime")))
    ]
    first = min(acquired, default=None)
    if series is not None and (first is None or series <= first):
        return series
    if first is None:
        raise NoUptakeFactor("neither Series Time nor Acquisition Time is given")
    return first


def _injection(isotope: Dataset, start: datetime) -> datetime:
    stamp = str(isotope.get("RadiopharmaceuticalStartDateTime") or "")
    given = _moment(stamp[:8], stamp[8:14])
    if given is None:
        given = _moment(f"{start:%Y%m%d}", isotope.get("RadiopharmaceuticalStartTime"))
        if given is not None and given > start:
            given -= timedelta(days=1)
    if given is None:
        raise NoUptakeFactor("the time of injection is not given")
    if not timedelta(0) <= start - given <= timedelta(days=1):
        raise NoUptakeFactor("the injection lies after the scan or more than a day before it")
    return given


def _moment(day: Any, time: Any) -> datetime | None:
    try:
        return datetime.strptime(f"{day!s:.8}{time!s:.6}", "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None
