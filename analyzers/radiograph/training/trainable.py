"""How ``wetread train`` and ``wetread evaluate`` reach radiograph_fitness; writes its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from analyzers.models import stored_model
from analyzers.models.trainables import Run, Tell, refuse
from analyzers.radiograph.chest_frame import Image, mean_chest, standardised
from analyzers.radiograph.fitness import LYINGS, NAME, UPRIGHT, FitnessModel
from analyzers.radiograph.opacity import LEAST_AGREEMENT, SURE_AGREEMENT
from analyzers.radiograph.training import fitness, opacity_data

CARD = """# {name}

**Question:** may models of frontal chest radiographs judge this image? Every opacity model asks it
in its own job: what does not lie as it should is refused by name; where the heart is on the other
side, or noise or blur are beyond all that was learned, a caution stands before the answer.

**Method:** multinomial regression on {components} principal components of edges and density of the
whole image, over {lyings} ways to lie that were made on purpose; refused where the probability of
lying upright is below {least:.2f}, doubted below {sure:.2f}. What agrees with the mean chest
below {least_agreement:g} is refused by the models too, below {sure_agreement:g} doubted: all but
two of 362 training images placed anew reach both, and the lower was chosen with a film left out in
view. The side of the heart: logistic regression on what the framed chest and its mirror image
differ in. Doubted below a log odds of {heart:.2f}. Noise: twice that of
the noisiest training image ({noise:.3f} of the range of grey). Blur: less than 0.6 of what
that measure finds in the least detailed one ({detail:.4f}). Of 30 images left out, blurred by 4
pixels of 512 or enlarged from 28 pixels a side, all lie below it; the limit was chosen with
them in view.

**Data:** {images} radiographs of the opacity set (NIH ChestX-ray with RSNA readings), each made in
every way, as it is and placed anew (tilt, size, place, light, slight noise). Limits: {refused:g} %
of proper images refused, {unsure:g} % refused or doubted for how they lie, {doubted:g} % doubted
for the side of the heart, on patients left out of the fit.

**What it does on what it was not made for**, on {left} images of patients that took no part in fit
or limits (exact 95 % interval; images of one patient count singly). Features, components and
strengths, and how many may be doubted, were chosen with these images in view:

| what was done to the image | refused | lie doubted | heart doubted, of those not refused |
|---|---|---|---|
{rows}

**By the header, before a pixel is looked at:** persons below 18 years, View Position other than AP
or PA, another part of the body, and Patient Orientation that says lateral, mirrored or not upright.

**Limits:** one institution; ages are not in the set. A true dextrocardia is called a possible
mirror image. How many lateral views and other parts of the body without a word in the header are
refused was not measured. Children without an age in the header are not noticed.

Made by `wetread train {name} --data FOLDER --out MODELS`, seed {seed}; again counted on the
patients left out by `wetread evaluate {name} --data FOLDER`.
"""
HEART_ASKED = {"as it should": 1, "mirrored": -1}


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """The radiographs of a set as they lie in their files, patients, who was left out."""

    images: list[Image]
    patient: NDArray[np.str_]
    left_out: NDArray[np.bool_]

    def only(self, left_out: bool) -> tuple[list[Image], NDArray[np.str_]]:
        which = np.flatnonzero(self.left_out == left_out)
        return [self.images[index] for index in which], self.patient[which]


class Fitness:
    """Learns from a folder with ``labels.csv`` and ``images/``; its labels are not looked at."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        refuse(name, run, stop=True, epochs=True)
        seed = fitness.SEED if run.seed is None else run.seed
        films = read(data)
        images, patient = films.only(left_out=False)
        mean = mean_chest([standardised(image) for image in images])
        shown = fitness.spoilt(images, patient, seed)
        tell(1, 2, 0.0)
        model = fitness.fitted(shown, fitness.hearts(images, mean, patient, seed))
        tell(2, 2, 0.0)
        home = store(model, mean, len(images), seed, run.out)
        (home / "CARD.md").write_text(card(model, mean, films, seed), encoding="utf-8")
        return home

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        stored = stored_model.load(name, models or stored_model.SHIPPED)
        mean = np.asarray(stored.arrays["mean_chest"], np.float32)
        seed = int(stored.number("training", "seed"))
        rows = counted(FitnessModel.of(stored), mean, read(data), seed)
        return ["what was done | refused | doubted | doubted for the heart (95 % interval)", *rows]


def read(folder: Path) -> Films:
    """All radiographs of a set, 512×512 or as they are."""
    readings = opacity_data.readings(folder)
    patient = np.array([rows[0]["patient"] for rows in readings.values()])
    images = []
    for name in readings:
        found = cv2.imread(str(folder / "images" / name), cv2.IMREAD_GRAYSCALE)
        if found is None:
            raise FileNotFoundError(folder / "images" / name)
        images.append(found.astype(np.float32))
    left_out = np.array([opacity_data.is_untouched(one) for one in patient])
    return Films(images, patient, left_out)


def store(model: FitnessModel, mean: Image, images: int, seed: int, out: Path) -> Path:
    """The folder of the stored model."""
    return stored_model.save(
        NAME,
        {"lying": model.lying, "bias": model.bias, "heart": model.heart, "mean_chest": mean},
        {
            "model": {"name": NAME, "lyings": list(LYINGS)},
            "training": {"seed": seed, "images": images},
            "limit": {
                "least_upright": model.least_upright,
                "sure_upright": model.sure_upright,
                "heart": model.least_heart,
                "noise": model.noise,
                "detail": model.detail,
            },
        },
        out,
    )


def card(model: FitnessModel, mean: Image, films: Films, seed: int) -> str:
    """The card in Markdown, with its table counted on the patients left out."""
    rows = counted(model, mean, films, seed)
    return CARD.format(
        name=NAME,
        components=fitness.COMPONENTS,
        lyings=len(LYINGS),
        least=model.least_upright,
        sure=model.sure_upright,
        least_agreement=LEAST_AGREEMENT,
        sure_agreement=SURE_AGREEMENT,
        heart=model.least_heart,
        noise=model.noise,
        detail=model.detail,
        images=int((~films.left_out).sum()),
        refused=fitness.REFUSED,
        unsure=fitness.UNSURE,
        doubted=fitness.DOUBTED,
        left=int(films.left_out.sum()),
        rows="\n".join(f"| {row} |" for row in rows),
        seed=seed,
    )


def counted(model: FitnessModel, mean: Image, films: Films, seed: int) -> list[str]:
    """A row a way to lie: how many of the images left out are refused, and how many doubted."""
    images, patient = films.only(left_out=True)
    shown = fitness.spoilt(images, patient, seed)
    side = fitness.hearts(images, mean, patient, seed).straight @ model.heart
    upright = model.lyings(shown.features)[:, : len(UPRIGHT)].sum(axis=1)
    refused = upright < model.least_upright
    unsure = ~refused & (upright < model.sure_upright)
    rows = []
    for lying, name in enumerate(LYINGS):
        for altered in (False, True):
            here = (shown.lying == lying) & (shown.altered == altered)
            is_asked = name in HEART_ASKED and not altered
            doubted = (
                HEART_ASKED[name] * side[~refused[here]] < model.least_heart if is_asked else None
            )
            said = (_share(refused[here]), str(unsure[here].sum()))
            heart = "" if doubted is None else _share(doubted)
            title = f"{name}{', placed anew' if altered else ''}"
            rows.append(" | ".join((title, *said, heart)))
    return rows


def _share(of: NDArray[np.bool_]) -> str:
    low, high = binomtest(int(of.sum()), len(of)).proportion_ci()
    return f"{of.sum()} of {len(of)} ({low:.3f}–{high:.3f})"
