"""The factor from PET values to the standardized uptake value by body weight, or why there is none.

PS3.3 C.8.9.1 (PET series) and C.8.9.2 (isotope), read as QIBA's vendor-neutral pseudo-code reads
them: qibawiki.rsna.org, "Standardized Uptake Value (SUV)". Nothing is guessed: every quantity is
held against what is physically possible, and the reason names the attribute, never its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from pydicom.dataset import Dataset

from analyzers.contract import Tracer
from node.series import nuclides
from node.series.examined import HEAVIEST_KG
from node.series.nuclides import Nuclide
from node.series.tracers import Contradiction, tracer_of
from storage.header import values
from storage.header.values import Moment, Unknown

PHILIPS_GROUP, PHILIPS = 0x7053, "Philips PET Private Group"
PHILIPS_SUV, PHILIPS_ACTIVITY = 0x00, 0x09
"""(7053,xx00) and (7053,xx09): counts to SUV, counts to Bq/mL."""

LIGHTEST_KG = 0.3
LEAST_BQ, MOST_BQ = 1e6, 2e10
"""1 MBq to 20 GBq: below lie doses written in kBq or MBq, above what nobody is given."""

MOST_HALF_LIVES = 10.0
"""After them a thousandth of the dose is left: no scanner sees it."""

LIKELY_HALF_LIVES = 6.0
"""Up to here a scan is taken for one of the last injection whose date is not given."""

CLOCKS_APART_S = 120.0
CLOCKS_APART_HALF_LIVES = 0.05
"""So much may an injection seem to follow the start: it is timed by another clock."""

OTHER_UNITS = frozenset(
    {
        *("CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML"),
        *("MLMING", "MLG", "1CM", "UMOLML", "PROPCNT", "PROPCPS", "MLMINML", "MLML", "GML"),
        "STDDEV",
    }
)
"""Defined terms of Units (PS3.3 C.8.9.1.1.3): these may be said in a reason."""


@dataclass(frozen=True, slots=True)
class Uptake:
    """``value * factor`` is SUVbw in g/mL; where it is None, the reason says why.

    tracer: as far as the header says; the factor holds for any.
    """

    factor: float | None
    reason: str = ""
    tracer: Tracer = field(default_factory=Tracer)


_T = TypeVar("_T")


class NoUptakeFactor(ValueError):
    """The header does not allow an SUV; the message says what is missing."""


def suv_factor(headers: Sequence[Dataset]) -> float | None:
    """The factor alone."""
    return uptake(headers).factor


def uptake(headers: Sequence[Dataset]) -> Uptake:
    """From the headers of all images of one PET series."""
    try:
        tracer = _agreed(headers, _tracer, "radiopharmaceutical")
        return replace(_uptake(headers), tracer=tracer)
    except (NoUptakeFactor, Contradiction) as error:
        return Uptake(None, str(error))
    except OverflowError:
        return Uptake(None, "a date is beyond the calendar")


def _uptake(headers: Sequence[Dataset]) -> Uptake:
    scale = _agreed(headers, _scale, "Units")
    if scale.is_suv:
        return Uptake(scale.factor, _agreed(headers, _doubt, "corrections"))
    dose = _agreed(headers, _dose, "weight, dose or times of injection")
    if dose.injection is None:
        return Uptake(scale.factor * dose.weight_g / dose.injected_bq)
    left_bq = dose.injected_bq * _share_left(dose.injection, _start(headers))
    return Uptake(scale.factor * dose.weight_g / left_bq, dose.injection.caveat)


def _agreed(headers: Sequence[Dataset], read: Callable[[Dataset], _T], what: str) -> _T:
    """What all images say alike."""
    found = {read(header) for header in headers}
    if len(found) > 1:
        raise NoUptakeFactor(f"the images differ in {what}")
    return found.pop()


def _needed(value: _T | Unknown) -> _T:
    if isinstance(value, Unknown):
        raise NoUptakeFactor(str(value))
    return value


def _possible(holder: Dataset, keyword: str, least: float, most: float, unit: str) -> float:
    """A number within its physical limits."""
    value = _needed(values.number(holder, keyword))
    if not least <= value <= most:
        limits = f"from {least:g} to {most:g} {unit}"
        raise NoUptakeFactor(f"{values.named(keyword)} is not possible ({limits} is)")
    return value


# --- what the values are --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values times ``factor`` are SUVbw, or Bq/mL."""

    factor: float
    is_suv: bool


def _scale(header: Dataset) -> _Scale:
    """From Units (PS3.3 C.8.9.1.1.3)."""
    units = values.text(header, "Units").upper()
    if units == "BQML":
        return _Scale(1.0, is_suv=False)
    if units == "GML":
        kind = values.text(header, "SUVType").upper() or "BW"
        if kind != "BW":
            raise NoUptakeFactor("SUV Type is not body weight (BW)")
        return _Scale(1.0, is_suv=True)
    if units == "CNTS":
        return _philips(header)
    if not units:
        raise NoUptakeFactor("Units is not given")
    said = units if units in OTHER_UNITS else "none of the standard's"
    raise NoUptakeFactor(f"Units are {said}, BQML or GML are needed")


def _philips(header: Dataset) -> _Scale:
    """Philips counts: a private factor to SUV, else one to activity concentration."""
    for place, is_suv in ((PHILIPS_SUV, True), (PHILIPS_ACTIVITY, False)):
        factor = values.private_number(header, PHILIPS_GROUP, PHILIPS, place)
        if factor is not None and factor > 0:
            return _Scale(factor, is_suv)
    raise NoUptakeFactor("Units are CNTS, without a factor to activity")


# --- what was corrected ---------------------------------------------------------------------------


OTHER_HALF_LIFE = "Radionuclide Half Life is not that of the nuclide in its code"
NO_METHOD = frozenset({"NONE", "NO", "OFF", "N", "UNCORRECTED", "NOT APPLIED"})
NOT_CORRECTED = re.compile(
    r"\bN[-_ ]?AC\b|\bNO[-_ ]?AC\b|\bNON[-_ ]?AC\b|NON?[-_ ]?ATT|W/?O[-_ ]?AC\b|UNCORR|UNKORR",
    re.IGNORECASE,
)
"""How people describe a series without correction of attenuation."""


def _doubt(header: Dataset) -> str:
    """What speaks against values that somebody made SUV of; raises where they cannot be it."""
    corrections = _corrections(header)
    if corrections and "ATTN" not in corrections:
        raise NoUptakeFactor("Corrected Image does not say that attenuation was")
    _require_attenuation(header)
    given = values.items(header, "RadiopharmaceuticalInformationSequence")
    if len(given) == 1 and not _agrees(given[0]):
        return OTHER_HALF_LIFE
    if not {"ATTN", "DECY"} <= corrections:
        return "Corrected Image does not say that decay and attenuation were"
    return ""


def _require_attenuation(header: Dataset) -> None:
    """Nothing else says that attenuation is in the images."""
    if values.text(header, "AttenuationCorrectionMethod").upper() in NO_METHOD:
        raise NoUptakeFactor("Attenuation Correction Method says that there was none")
    if NOT_CORRECTED.search(values.text(header, "SeriesDescription")):
        raise NoUptakeFactor("Series Description says that attenuation was not corrected")


def _corrections(header: Dataset) -> set[str]:
    return {one.upper() for one in values.texts(header, "CorrectedImage")}


def _tracer(header: Dataset) -> Tracer:
    given = values.items(header, "RadiopharmaceuticalInformationSequence")
    return tracer_of(given[0]) if len(given) == 1 else Tracer()


# --- the dose -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Injection:
    """When it was, as the header has it, and how fast what was injected decays."""

    half_life_s: float
    time: timedelta | Unknown
    moment: Moment | Unknown
    zone: timedelta | Unknown
    """Of the clock of the series, from UTC."""
    caveat: str
    """What makes the time less exact than it looks."""
    coded_half_life_s: float | None = None
    """Of the nuclide that the header's code names, where that is another."""


@dataclass(frozen=True, slots=True)
class _Dose:
    """What was given to whom.

    injection: None where the images are corrected to its time: then no other is needed.
    """

    weight_g: float
    injected_bq: float
    injection: _Injection | None


def _dose(header: Dataset) -> _Dose:
    if not {"ATTN", "DECY"} <= _corrections(header):
        raise NoUptakeFactor("Corrected Image does not say that decay and attenuation were")
    _require_attenuation(header)
    correction = values.text(header, "DecayCorrection").upper()
    if correction not in ("START", "ADMIN"):
        said = "NONE" if correction == "NONE" else "not given" if not correction else "not known"
        raise NoUptakeFactor(f"Decay Correction is {said}, START or ADMIN is needed")
    isotope = _isotope(header)
    weight_g = 1000 * _possible(header, "PatientWeight", LIGHTEST_KG, HEAVIEST_KG, "kg")
    injected_bq = _possible(isotope, "RadionuclideTotalDose", LEAST_BQ, MOST_BQ, "Bq")
    if correction == "START":
        return _Dose(weight_g, injected_bq, _injection(header, isotope))
    if not _agrees(isotope):
        raise NoUptakeFactor(OTHER_HALF_LIFE)
    return _Dose(weight_g, injected_bq, None)


def _agrees(isotope: Dataset) -> bool:
    """Whether the half-life, where one is given, is that of the nuclide: images were corrected by
    it."""
    if isinstance(values.number(isotope, "RadionuclideHalfLife"), Unknown):
        return True
    half_life_s, nuclide = _half_life_s(isotope), _coded(isotope)
    return nuclide is None or nuclide.decays_in(half_life_s)


def _injection(header: Dataset, isotope: Dataset) -> _Injection:
    time = values.time_of_day(isotope, "RadiopharmaceuticalStartTime")
    moment = values.moment(isotope, "RadiopharmaceuticalStartDateTime")
    by_time = isinstance(moment, Unknown) or moment.time is None
    hour_only = by_time and len(values.text(isotope, "RadiopharmaceuticalStartTime")) == 2
    half_life_s, nuclide = _half_life_s(isotope), _coded(isotope)
    agrees = nuclide is None or nuclide.decays_in(half_life_s)
    return _Injection(
        half_life_s=half_life_s,
        time=time,
        moment=moment,
        zone=values.offset(header, "TimezoneOffsetFromUTC"),
        caveat="the time of injection is given to the hour only" if hour_only else "",
        coded_half_life_s=None if nuclide is None or agrees else nuclide.half_life_s,
    )


def _isotope(header: Dataset) -> Dataset:
    given = values.items(header, "RadiopharmaceuticalInformationSequence")
    if not given:
        raise NoUptakeFactor("Radiopharmaceutical Information Sequence is not given")
    if len(given) > 1:
        raise NoUptakeFactor("more than one radiopharmaceutical is given")
    return given[0]


def _half_life_s(isotope: Dataset) -> float:
    half_life_s = _needed(values.number(isotope, "RadionuclideHalfLife"))
    if half_life_s <= 0 or not nuclides.decays_in(half_life_s):
        raise NoUptakeFactor("Radionuclide Half Life is that of no nuclide of PET, in seconds")
    return half_life_s


def _coded(isotope: Dataset) -> Nuclide | None:
    code = values.text(values.item(isotope, "RadionuclideCodeSequence"), "CodeValue")
    return nuclides.coded(code)


# --- times ----------------------------------------------------------------------------------------


def _start(headers: Sequence[Dataset]) -> datetime:
    """Start of the series, or of its first acquisition where the series was written later."""
    series = _agreed(headers, lambda one: _when(one, "Series"), "Series Date or Series Time")
    acquired = [when for one in headers if (when := _when(one, "Acquisition")) is not None]
    first = min(acquired, default=None)
    if series is not None and (first is None or series <= first):
        return series
    if first is None:
        raise NoUptakeFactor("neither Series Time nor Acquisition Time is given, with its date")
    return first


def _when(header: Dataset, event: str) -> datetime | None:
    day = values.day(header, f"{event}Date")
    time = values.time_of_day(header, f"{event}Time")
    if isinstance(day, Unknown) or isinstance(time, Unknown):
        return None
    return values.at(day, time)


def _share_left(injection: _Injection, start: datetime) -> float:
    """Of the activity injected, at the start."""
    waited = start - _injected(injection, start)
    if waited < -_clocks_apart(injection):
        raise NoUptakeFactor("the injection lies after the start of the scan")
    if waited > timedelta(seconds=MOST_HALF_LIVES * injection.half_life_s):
        raise NoUptakeFactor("the injection lies too many half-lives before the scan")
    _check_code(injection, waited)
    return float(2 ** (-waited.total_seconds() / injection.half_life_s))


def _check_code(injection: _Injection, waited: timedelta) -> None:
    """A code that names another nuclide is wrong only if nothing of that one could be left.

    Else nobody knows which of the two is: the half-life enters the factor.
    """
    other_s = injection.coded_half_life_s
    if other_s is not None and waited <= timedelta(seconds=MOST_HALF_LIVES * other_s):
        raise NoUptakeFactor(OTHER_HALF_LIFE)


def _clocks_apart(injection: _Injection) -> timedelta:
    return timedelta(seconds=min(CLOCKS_APART_S, CLOCKS_APART_HALF_LIVES * injection.half_life_s))


def _injected(injection: _Injection, start: datetime) -> datetime:
    """The date and time where they are given, else the time on the likely day."""
    moment, time = injection.moment, injection.time
    if isinstance(moment, Unknown) and not (isinstance(time, Unknown) and moment.is_given):
        return _on_likely_day(_needed(time), injection, start)
    given = _needed(moment)
    if given.time is None:
        return values.at(given.day, _needed(time))
    if given.offset is None:
        return given.clock
    return given.clock - given.offset + _zone(injection, given)


def _zone(injection: _Injection, given: Moment) -> timedelta:
    """How far the clock of the series is from UTC; told by the time of injection where it is not
    said: the same event stands in both clocks."""
    if not isinstance(injection.zone, Unknown):
        return injection.zone
    if not isinstance(injection.time, Unknown) and given.offset is not None:
        apart = values.at(given.day, injection.time) - (given.clock - given.offset)
        for days in (0, 1, -1):
            zone = apart + timedelta(days=days)
            if values.is_offset(zone):
                return zone
    raise NoUptakeFactor(
        "the injection is given with an offset from UTC, the scan without one: "
        "Timezone Offset From UTC is needed"
    )


def _on_likely_day(time: timedelta, injection: _Injection, start: datetime) -> datetime:
    longest = timedelta(seconds=LIKELY_HALF_LIVES * injection.half_life_s)
    latest = start + _clocks_apart(injection)
    given = values.at(start.date(), time)
    if given > latest:
        given -= timedelta(days=1)
        if start - given > longest:
            raise NoUptakeFactor("the injection lies after the start of the scan")
    if start - given + timedelta(days=1) <= longest:
        raise NoUptakeFactor(
            "the date of injection is not given, and the nuclide lives for more than a day: "
            "Radiopharmaceutical Start DateTime is needed"
        )
    return given
