"""The viewer's page, as the template gets it: everything in words, every choice with its URL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from node.look import objects
from node.look.canvas import Rgb, size_of
from node.look.looker import BROKEN, Looker, Study
from node.look.over.port import ColourScale, Entry
from node.look.place import given_letters
from node.look.presets import Preset, Shades
from node.look.stack import Slice
from node.look.values_of import STORED
from node.results.pictures.windows import Window
from node.web.viewer.own import desk as desks
from node.web.viewer.own.asked import OPACITIES, Asked, window_text
from node.web.viewer.own.desk import Desk, Laid
from storage.index.shown import ShownSeries

_LENGTHS_MM = (1, 2, 5, 10, 20, 50, 100, 200)
_LONGEST_BAR = 0.35
"""Of the width of the image."""
SHOWN_PX = 900
STEP = 10
"""Slices that a page key goes on by."""


@dataclass(frozen=True, slots=True)
class Link:
    """A choice. on: whether it is made."""

    title: str
    href: str
    on: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """To another slice. is_end: it is the one that is shown. by: how far, for the script."""

    title: str
    href: str
    by: str
    rel: str
    is_end: bool


@dataclass(frozen=True, slots=True)
class SeriesLine:
    title: str
    modality: str
    images: str
    own: bool
    href: str
    thumbnail: str
    on: bool
    beside: str
    """Shows it beside what is shown; empty for that itself."""


@dataclass(frozen=True, slots=True)
class EntryLine:
    """A line of a legend. colour: as HTML writes it."""

    label: str
    said: str
    colour: str
    on: bool
    href: str
    key: str


@dataclass(frozen=True, slots=True)
class ObjectLine:
    title: str
    form: str
    row: int
    on: bool
    of_series: bool
    href: str
    caution: str
    entries: tuple[EntryLine, ...]
    scale: tuple[str, str] | None
    """What the colours of the lowest and the highest value mean."""


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A length, and how many per cent of the picture's width it takes."""

    said: str
    percent: str


@dataclass(frozen=True, slots=True)
class Sides:
    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class BesideView:
    """Another series at the same place. base: below it lie its pictures. away: without it."""

    title: str
    base: str
    picture: str
    alt: str
    away: str


@dataclass(frozen=True, slots=True)
class LookView:
    """``picture``: the slice with all that is drawn. base: below it lie the viewer's files."""

    study: int
    base: str
    query: str
    drawn: str
    """The rows of what is drawn, with commas between."""
    without: str
    opacity: int
    picture: str
    fault: str
    alt: str
    series: tuple[SeriesLine, ...]
    title: str
    number: int
    count: int
    moves: tuple[Move, ...]
    windows: tuple[Link, ...]
    window: Window | None
    window_said: str
    unit: str
    is_grey: bool
    objects: tuple[ObjectLine, ...]
    styles: tuple[Link, ...]
    opacities: tuple[Link, ...]
    nothing: Link
    again: Link
    """All that lies over it away, and back."""
    sides: Sides
    place: str
    bar: ScaleBar | None
    size: tuple[int, int]
    beside: BesideView | None


def built(looker: Looker, desk: Desk) -> LookView:
    """Raises DatabaseUnavailable."""
    shades, fault = _shades(looker, desk)
    window = desks.window_of(shades, desk.asked)
    facts = looker.facts(desk.shown, 1)
    count = len(desk.stack.slices)
    base = base_of(desk.study, desk.series.id)
    asked = desk.asked
    return LookView(
        study=desk.study.id,
        base=base,
        query=asked.query,
        drawn=",".join(map(str, asked.objects or ())),
        without=",".join(f"{row}.{number}" for row, number in sorted(asked.without)),
        opacity=asked.opacity,
        picture=f"{base}/{desk.index + 1}/picture.jpg{asked.query}",
        fault=fault,
        alt=f"{_title(desk.series)}, slice {desk.index + 1} of {count}",
        series=tuple(_series(looker, desk)),
        title=_title(desk.series),
        number=desk.index + 1,
        count=count,
        moves=tuple(moves(asked, desk.index, count)),
        windows=windows(asked, shades, window),
        window=window,
        window_said=said(window, shades.unit) if window else "",
        unit=shades.unit,
        is_grey=shades.is_grey,
        objects=of_objects(desk, desks.laid(looker, desk)),
        styles=(
            Link("Filled", asked.but(filled=True), asked.filled),
            Link("Outlines", asked.but(filled=False), not asked.filled),
        ),
        opacities=opacities(asked),
        nothing=Link("Hide all", asked.but(objects=())),
        again=Link("Show what was found", asked.but(objects=None)),
        sides=sides(desk.shown, facts.orientation),
        place=place(desk.shown, count),
        bar=bar(desk.shown, facts.pixel_mm),
        size=size_of(desk.shown, SHOWN_PX),
        beside=_beside(desk),
    )


def _beside(desk: Desk) -> BesideView | None:
    if desk.beside is None:
        return None
    title = _title(desk.study.find(desk.beside.series_id))
    base = base_of(desk.study, desk.beside.series_id)
    number = desk.beside.beside(desk.stack, desk.index) + 1
    picture = f"{base}/{number}/picture.jpg?object=none"
    alt = f"{title}, slice {number} of {len(desk.beside.slices)}"
    return BesideView(title, base, picture, alt, desk.asked.but(beside=0))


def _shades(looker: Looker, desk: Desk) -> tuple[Shades, str]:
    """And why there are none."""
    try:
        return desks.shades(looker, desk), ""
    except BROKEN as error:
        why = "its file cannot be read" if isinstance(error, OSError) else str(error)
        return Shades(None, (), False, ""), f"This series cannot be shown: {why}."


def _series(looker: Looker, desk: Desk) -> Iterator[SeriesLine]:
    for one in desk.study.series:
        middle = (one.instances + 1) // 2 if one.header.get("NumberOfFrames", 1) == 1 else 1
        asked = Asked(series=one.id)
        thumbnail = f"{base_of(desk.study, one.id)}/{middle}/picture.webp?object=none&longest=96"
        images = f"{one.instances} image{'s' if one.instances != 1 else ''}"
        is_on = one.id == desk.series.id
        href = asked.query
        beside = "" if is_on else desk.asked.but(beside=one.id)
        yield SeriesLine(_title(one), one.modality, images, one.own, href, thumbnail, is_on, beside)


def _title(series: ShownSeries) -> str:
    if series.description:
        return series.description
    return f"Series {series.number}" if series.number is not None else "Series without description"


def base_of(study: Study, series_id: int) -> str:
    return f"/studies/{study.id}/look/{series_id}"


def of_objects(desk: Desk, laid: list[Laid]) -> tuple[ObjectLine, ...]:
    return tuple(_object(desk.asked, one) for one in laid)


def _object(asked: Asked, one: Laid) -> ObjectLine:
    row = one.object.held.id
    rows = asked.objects or ()
    toggled = tuple(each for each in rows if each != row) if one.on else (*rows, row)
    legend = one.legend
    return ObjectLine(
        title=one.object.title,
        form=objects.WORDS[one.object.form],
        row=row,
        on=one.on,
        of_series=one.object.of_series,
        href=asked.but(objects=toggled),
        caution=legend.caution if legend else "",
        entries=tuple(_entry(asked, row, each) for each in legend.entries) if legend else (),
        scale=_scale(legend.scale) if legend and legend.scale else None,
    )


def _entry(asked: Asked, row: int, entry: Entry) -> EntryLine:
    pair = (row, entry.number)
    on = pair not in asked.without
    without = asked.without | {pair} if on else asked.without - {pair}
    key = f"{row}.{entry.number}"
    return EntryLine(entry.label, entry.said, _html(entry.rgb), on, asked.but(without=without), key)


def _scale(scale: ColourScale) -> tuple[str, str]:
    unit = f" {scale.unit}" if scale.unit else ""
    return f"{_number(scale.low)}{unit}", f"{_number(scale.high)}{unit}"


def _html(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _number(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


# --- windows --------------------------------------------------------------------------------------


def windows(asked: Asked, shades: Shades, shown: Window | None) -> tuple[Link, ...]:
    return tuple(_window(asked, preset, shown) for preset in shades.presets)


def _window(asked: Asked, preset: Preset, shown: Window | None) -> Link:
    window = preset.window
    href = asked.but(window=window, as_given=window is None)
    return Link(preset.name, href, _is_same(window, shown))


def said(window: Window, unit: str) -> str:
    """As pictures are captioned."""
    limits = f"{_number(window.low)} to {_number(window.high)}"
    return limits if unit == STORED else f"{limits} {unit}".strip()


def _is_same(one: Window | None, other: Window | None) -> bool:
    if one is None or other is None:
        return one is other
    return window_text(one) == window_text(other)


def opacities(asked: Asked) -> tuple[Link, ...]:
    return tuple(
        Link(f"{one} %", asked.but(opacity=one), asked.opacity == one) for one in OPACITIES
    )


def moves(asked: Asked, index: int, count: int) -> Iterator[Move]:
    """First, back, next and last."""
    for title, by, to, rel in (
        ("First", "first", 0, ""),
        (f"−{STEP}", f"-{STEP}", index - STEP, ""),
        ("Previous", "-1", index - 1, "prev"),
        ("Next", "1", index + 1, "next"),
        (f"+{STEP}", f"{STEP}", index + STEP, ""),
        ("Last", "last", count - 1, ""),
    ):
        place = min(max(to, 0), count - 1)
        yield Move(title, asked.but(slice=place + 1), by, rel, place == index)


# --- where it is ----------------------------------------------------------------------------------


def sides(shown: Slice, orientation: tuple[str, ...]) -> Sides:
    return Sides(*(shown.place.letters() if shown.place else given_letters(list(orientation))))


def place(shown: Slice, count: int) -> str:
    """The plane, and where it cuts the patient."""
    if shown.place is None:
        return ""
    rows_mm, columns_mm = shown.place.spacing
    middle = (
        shown.place.position
        + shown.place.along_columns * columns_mm * (shown.columns - 1) / 2
        + shown.place.along_rows * rows_mm * (shown.rows - 1) / 2
    )
    axis = ("sagittal", "coronal", "axial").index(shown.place.plane)
    return f"{shown.place.plane}, {'xyz'[axis]} = {_number(round(float(middle[axis]), 1))} mm"


def bar(shown: Slice, pixel_mm: tuple[float, float] | None) -> ScaleBar | None:
    """A round length of at most a third of the picture; none where the pixels have no size."""
    if pixel_mm is None:
        return None
    width_mm = shown.columns * pixel_mm[1]
    fitting = [one for one in _LENGTHS_MM if one <= width_mm * _LONGEST_BAR]
    if not fitting:
        return None
    length = fitting[-1]
    said = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    return ScaleBar(said, f"{100 * length / width_mm:.3f}%")
