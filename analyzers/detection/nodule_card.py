"""Writes the model card of lung_nodule from its figures."""

from __future__ import annotations

from analyzers.detection.lung_nodule import HILAR_MM, MOST_CERTAIN, MOST_CERTAIN_AT_HILUM
from analyzers.detection.nodule_model import NAMES, NoduleModel
from analyzers.detection.nodule_simulation import DENSITY_HU, DIAMETERS_MM
from analyzers.detection.nodule_training import (
    LEAST_THRESHOLD,
    MARKS_A_STUDY,
    NODULES_A_ROUND,
    ROUNDS,
    Evaluation,
)


def card(model: NoduleModel, reached: Evaluation, volumes: int) -> str:
    """The card in Markdown."""
    point = model.operating_point
    order = sorted(zip(NAMES, model.weights, strict=True), key=lambda one: -abs(one[1]))
    rows = "\n".join(f"| {name} | {weight:+.2f} |" for name, weight in order)
    sizes = "\n".join(
        f"| {low:g}–{high:g} mm | {n} | {value} |" for low, high, n, value in _sizes(reached)
    )
    strains = "\n".join(
        f"| {one.name} | {one.false_marks} | {one.real_found} |" for one in reached.strains
    )
    return f"""# lung_nodule

**Question:** which candidates in the lungs of this CT are solid nodules?

**Intended use:** research; a mark to look at, beside the radiologist's own search. Not for
diagnosis, not for screening; no regulatory clearance.

**Method:** blobs of several sizes in the lungs are cut from vessels and pleura; a logistic model of
{len(NAMES)} features of their shape, density, curvature, branches and place says how likely each is
a nodule.

**Data:** {volumes} chest CT series; {reached.nodules} solid nodules of
{DIAMETERS_MM[0]:g}–{DIAMETERS_MM[1]:g} mm and {DENSITY_HU[0]:g} to {DENSITY_HU[1]:g} HU
drawn into the real lungs by a simulation, {NODULES_A_ROUND} a lung in each of {ROUNDS} rounds. What
the blob detector finds elsewhere is background; candidates near nodules that the patients really
have teach nothing. **Held out:** {_held_out(volumes)}

| | sensitivity (95 % by bootstrap over nodules) | false marks a study |
|---|---|---|
| lung_nodule | {reached.interval} | {reached.marks_a_study:.1f} |
| diameter alone | {reached.trivial} | {reached.marks_a_study:.1f} |

| drawn diameter | nodules | sensitivity |
|---|---|---|
{sizes}

**Operating point:** threshold {point.threshold:.3f}; specificity by candidate
{point.specificity:.4f}. It was chosen on the same answers for {MARKS_A_STUDY:g} false marks a
study, and no lower than {LEAST_THRESHOLD:g}.

**Probabilities** are those of a study in which one nodule is expected, by Platt's method on the
held-out answers. **They are not calibrated on other patients**: no mark is given more than
{100 * MOST_CERTAIN:.0f} %, and none within {HILAR_MM:.0f} mm of a hilum more than
{100 * MOST_CERTAIN_AT_HILUM:.0f} %. `fleischner_2017` counts marks by its own stated certainty.

**What it does on what it was not made for** (first study, nothing drawn; the
model was trained on these lungs, so this tells of conditions, not of patients):

| condition | false marks | real nodules marked |
|---|---|---|
{strains}

**What weighs** (per standard deviation, in log odds):

| feature | weight |
|---|---|
{rows}

**Failures:** {reached.missed} of {reached.nodules} drawn nodules were missed; those that the blob
detector gave no candidate count among them.

**Limits:** masses wider than 30 mm are not marked; dense tissue that a ball of 24 mm fits in, in
the filled lung or where a lung bends round it at the chest wall, is named in the report from 10 mL
on, and where there is none, what has taken the place of lung inside the ribs. At mediastinum,
diaphragm and lung base it is not looked for. Sensitivity for real nodules has not been measured:
drawn ones are rounder and have even density. Subsolid, calcified and cavitated nodules were not
drawn. One scanner, one reconstruction, one patient, whose right upper lobe holds no air; emphysema,
fibrosis and pneumonia will bring more false marks. Slices up to 2.5 mm.

Made by `wetread train lung_nodule --data FOLDER`, seed {model.seed}.
"""


def _held_out(volumes: int) -> str:
    if volumes > 1:
        return "patients; each figure is of models that never saw the patient."
    return (
        "lungs of one patient: each figure is of models that never saw a lung of that side; the\n"
        "stored model saw both. False marks in **other patients have not been measured**, and with"
        " one\npatient's background cannot be foretold."
    )


def _sizes(reached: Evaluation) -> list[tuple[float, float, int, str]]:
    return [
        (low, high, count, f"{found / count:.2f}" if count else "–")
        for low, high, count, found in reached.by_size
    ]
