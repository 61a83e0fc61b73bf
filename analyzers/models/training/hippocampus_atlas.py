"""Makes the hippocampus atlas and its card; run as a module, with the set's folder.

The atlas is the mean of the training crops; what it refuses is
counted on the validation and test crops, as they are and altered on purpose.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import beta

from analyzers.contract import NotApplicable
from analyzers.models import stored_model
from analyzers.models.hippocampus_atlas import (
    LEAST_CORRELATION,
    NAME,
    Atlas,
    Likeness,
    Side,
    cautions,
    detail_of,
    end_shares,
    likeness,
    require_hippocampus,
    torn_share,
)
from analyzers.models.hippocampus_input import Resampling, normalized
from analyzers.models.training.hippocampus_data import Case, read

WINDOW = (30, 44, 32)
"""Voxels (z, y, x) round the centre of the hippocampus."""
DETAIL, NOISE = 0.5, 1.5
"""Of the least and the most detailed training crop: limits of what is read without a caution."""
TORN, PILED = 3.0, 1.2
"""Of the most torn training crop, and of that with most voxels at an end of the scale: likewise."""
LEAST_KNOWN = 0.9
"""Share of the crops that reach a voxel of the atlas."""
SEED = 5

Image = NDArray[np.float32]
Alter = Callable[[Image], Image]


def _noise(image: Image) -> Image:
    return np.random.default_rng(SEED).normal(size=image.shape).astype(np.float32)


def _half(axis: int, end: int) -> Alter:
    def alter(image: Image) -> Image:
        lower, upper = np.array_split(image, 2, axis)
        return normalized((lower, upper)[end])

    return alter


def _wrapped(percent: float) -> Alter:
    """Grey values above a percentile begin again at the darkest."""

    def alter(image: Image) -> Image:
        low, high = float(image.min()), float(np.percentile(image, percent))
        return normalized((image - low) % (high - low))

    return alter


def _folded(percent: float, sign: int) -> Alter:
    """Grey values above (-1) or below (1) a percentile turn back from there."""
    return lambda image: normalized(sign * np.abs(image - np.percentile(image, percent)))


def _larger(factor: float) -> Alter:
    """The same voxels, taken to be so many times as wide."""
    return lambda image: normalized(Resampling(image.shape, (factor,) * 3).forward(image))


WAYS: Mapping[str, Alter] = {
    "as it should": lambda image: image,
    "mirrored, left for right": lambda image: image[..., ::-1],
    "upside down": lambda image: image[::-1],
    "back to front": lambda image: image[:, ::-1],
    "upside down and back to front": lambda image: image[::-1, ::-1],
    "upside down and mirrored": lambda image: image[::-1, :, ::-1],
    "turned over, all three axes": lambda image: image[::-1, ::-1, ::-1],
    "inverted contrast": lambda image: -image,
    "inverted and upside down": lambda image: -image[::-1],
    "noise": _noise,
    "lower half": _half(0, 0),
    "upper half": _half(0, 1),
    "front half": _half(1, 0),
    "back half": _half(1, 1),
    "right half": _half(2, 0),
    "left half": _half(2, 1),
}

SPOILT: Mapping[str, Alter] = {
    "as it should": lambda image: image,
    "blurred by 2 mm": lambda image: normalized(gaussian_filter(image, 2.0)),
    "noise half as strong as the tissues differ": lambda image: normalized(
        image + 0.5 * _noise(image)
    ),
    "the brightest 2 % come out dark": _wrapped(98),
    "the brightest 10 % come out dark": _wrapped(90),
    "the brightest 10 % folded back": _folded(90, -1),
    "the brightest 30 % folded back": _folded(70, -1),
    "the darkest 20 % folded back": _folded(20, 1),
    "voxels said 1.3 times as wide": _larger(1.3),
    "voxels said 1.6 times as wide": _larger(1.6),
    "voxels said 1.6 times as wide, with noise": lambda image: normalized(
        _larger(1.6)(image) + 0.2 * _noise(_larger(1.6)(image))
    ),
}


def made(cases: Sequence[Case]) -> Atlas:
    """The mean of crops whose hippocampi have one centre."""
    windows = np.stack([_window(case) for case in cases])
    known = np.isfinite(windows).mean(0) > LEAST_KNOWN
    filled = np.where(known, np.nan_to_num(windows), 0).sum(0)
    count = np.maximum(np.isfinite(windows).sum(0), 1)
    detail = [detail_of(case.image) for case in cases]
    dark, bright = np.max([end_shares(case.image) for case in cases], axis=0)
    return Atlas(
        filled / count,
        known.astype(np.float64),
        DETAIL * min(detail),
        NOISE * max(detail),
        TORN * max(torn_share(case.image) for case in cases),
        PILED * float(dark),
        PILED * float(bright),
    )


def _window(case: Case) -> NDArray[np.float64]:
    out = np.full(WINDOW, np.nan)
    centre = np.argwhere(case.labels > 0).mean(0)
    shift = np.round(np.array(WINDOW) / 2 - 0.5 - centre).astype(int)
    first = np.maximum(0, -shift)
    last = np.minimum(case.image.shape, np.array(WINDOW) - shift)
    inside = tuple(slice(a + by, b + by) for a, b, by in zip(first, last, shift, strict=True))
    out[inside] = case.image[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return out


def table(cases: Sequence[Case], atlas: Atlas) -> list[str]:
    """For each way to alter a crop: how many are refused, how many called right hippocampi."""
    return [_row(way, [alter(case.image) for case in cases], atlas) for way, alter in WAYS.items()]


def _row(way: str, images: Sequence[Image], atlas: Atlas) -> str:
    taken = [found for image in images if (found := _taken(image, atlas))]
    right = sum(found.side is Side.RIGHT for found in taken)
    said = _share(len(images) - len(taken), len(images))
    return f"| {way} | {said} | {right} of {len(taken)} |"


def _taken(image: Image, atlas: Atlas) -> Likeness | None:
    """How it is like a hippocampus; None where it is refused."""
    found = likeness(image, atlas)
    try:
        require_hippocampus(found)
    except NotApplicable:
        return None
    return found


def doubts(cases: Sequence[Case], atlas: Atlas) -> list[str]:
    """For each way to spoil a crop: how many are refused, answered with a caution, or neither."""
    return [
        _doubted(way, [alter(one.image) for one in cases], atlas) for way, alter in SPOILT.items()
    ]


def _doubted(way: str, images: Sequence[Image], atlas: Atlas) -> str:
    met = [(image, _taken(image, atlas)) for image in images]
    taken = [(image, found) for image, found in met if found]
    doubted = sum(bool(cautions(image, atlas, found.upright)) for image, found in taken)
    silent = _share(len(taken) - doubted, len(images))
    return f"| {way} | {len(images) - len(taken)} | {doubted} | {silent} |"


def _share(count: int, of: int) -> str:
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f"{count} of {of} ({low:.3f}–{high:.3f})"


CARD = """# {name}

**Question:** may the hippocampus networks judge this crop? Each of them asks it in its own job:
what resembles no hippocampus, lies otherwise than its header says or has inverted contrast is
refused by name. The networks learned from left hippocampi and their mirror images; a crop that
looks like a right one is told from a mirrored one by its place in the patient alone, and a caution
stands before the answer where the header gives no such place or the other one.

**Method:** the mean of {train} training crops, laid on every place of the image, straight and
mirrored along each axis, by normalised correlation; refused below {least:.2f}. Detail is the mean
change of slope between voxels; less than half that of the least detailed training crop
({smooth:.2f}), or more than 1.5 times that of the most detailed ({noisy:.2f}), and a caution stands
before the answer. So it does where more than {torn:.2%} of neighbours are 70 % of the range of grey
values apart (values beyond the scale came out at its other end), where more than {dark:.1%} of the
voxels lie at the dark end or {bright:.1%} at the bright end (a scale folded or cut off): 3 and 1.2
times the most of any training crop; and where the mean crop fits better on the image made 1.3 or
1.6 times smaller (voxels said too wide).

**Data:** Medical Segmentation Decathlon, Task 04 Hippocampus, CC BY-SA 4.0 (the atlas is a work
derived from it and stands under the same licence); adults, one centre.

**What it does on what it was not made for**, on the {held} crops of validation and test, whose
blocks took no part in the mean (exact 95 % interval; all ways of one crop bear on one another). The
limit was chosen with these crops, two heads of other scanners and places in them in view:

| what was done to the crop | refused | called a right hippocampus, of those read |
|---|---|---|
{rows}

| what was done to the crop | refused | answered with a caution | without a word |
|---|---|---|---|
{doubted}

**Limits:** children, tumours, operated brains, heads bent far: not seen. A low correlation may come
of an unusual scanner. A true right hippocampus and a mirrored left one cannot be told apart
without a place. Made by `python -m analyzers.models.training.hippocampus_atlas FOLDER`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=stored_model.SHIPPED)
    options = parser.parse_args()
    data = read(options.folder)
    atlas, held = made(data.train), (*data.validation, *data.test)
    rows = table(held, atlas)
    arrays: dict[str, NDArray[np.generic]] = {
        "mean": atlas.mean.astype(np.float32),
        "known": atlas.known.astype(np.uint8),
    }
    facts: dict[str, dict[str, stored_model.Plain]] = {
        "training": {
            "set": "Medical Segmentation Decathlon, Task 04 Hippocampus",
            "images": len(data.train),
        },
        "limit": {
            "correlation": LEAST_CORRELATION,
            "least_detail": atlas.least_detail,
            "most_detail": atlas.most_detail,
            "most_torn": atlas.most_torn,
            "most_dark": atlas.most_dark,
            "most_bright": atlas.most_bright,
        },
        "use": {"licence": "CC-BY-SA-4.0"},
    }
    home = stored_model.save(NAME, arrays, facts, options.out)
    said = "\n".join(rows)
    card = CARD.format(
        name=NAME,
        train=len(data.train),
        least=LEAST_CORRELATION,
        held=len(held),
        rows=said,
        doubted="\n".join(doubts(held, atlas)),
        smooth=atlas.least_detail,
        noisy=atlas.most_detail,
        torn=atlas.most_torn,
        dark=atlas.most_dark,
        bright=atlas.most_bright,
    )
    (home / "CARD.md").write_text(card, encoding="utf-8")
    print(said)


if __name__ == "__main__":
    main()
