"""Writes the model card of lung_nodule from its figures."""

from __future__ import annotations

from analyzers.detection.nodule_model import NAMES, NoduleModel
from analyzers.detection.nodule_simulation import DENSITY_HU, DIAMETERS_MM
from analyzers.detection.nodule_training import NODULES_A_ROUND, ROUNDS, Evaluation


def card(model: NoduleModel, reached: Evaluation, volumes: int) -> str:
    """The card in Markdown."""
    point = model.operating_point
    order = sorted(zip(NAMES, model.weights, strict=True), key=lambda one: -abs(one[1]))
    rows = "\n".join(f"| {name} | {weight:+.2f} |" for name, weight in order)
    sizes = "\n".join(
        f"| {low:g}–{high:g} mm | {n} | {value} |" for low, high, n, value in _sizes(reached)
    )
    return f"""# lung_nodule

**Question:** which candidates in the lungs of this CT are solid nodules?

**Intended use:** research; a mark to look at, beside the radiologist's own search. Not for
diagnosis, not for screening; no regulatory clearance.

**Method:** blobs of several sizes in the lungs are cut from vessels and pleura; a logistic model of
{len(NAMES)} features of their shape and density says how likely each is a nodule.

**Data:** {volumes} chest CT series; {reached.nodules} solid nodules of
{DIAMETERS_MM[0]:g}–{DIAMETERS_MM[1]:g} mm and {DENSITY_HU[0]:g} to {DENSITY_HU[1]:g} HU
drawn into the real lungs by a simulation, {NODULES_A_ROUND} a lung in each of {ROUNDS} rounds. What
the blob detector finds elsewhere is background; candidates near nodules that the patients really
have teach nothing. Patients: the set is too small to hold any out. **Held out are lungs:** each
figure is of models that never saw a lung of that side; the stored model saw both.

| | sensitivity (95 % by bootstrap over nodules) | false marks a study |
|---|---|---|
| lung_nodule | {reached.interval} | {reached.marks_a_study:.1f} |
| diameter alone | {reached.trivial} | {reached.marks_a_study:.1f} |

| drawn diameter | nodules | sensitivity |
|---|---|---|
{sizes}

**Operating point:** threshold {point.threshold:.3f}; specificity by candidate
{point.specificity:.4f}. It was chosen on the same answers for 1 false mark a study.

**What weighs** (per standard deviation, in log odds):

| feature | weight |
|---|---|
{rows}

**Failures:** {reached.missed} of {reached.nodules} drawn nodules were missed; those that the blob
detector gave no candidate count among them.

**Limits:** sensitivity for real nodules has not been measured: drawn ones are rounder and have
even density. Subsolid, calcified and cavitated nodules were not drawn. One scanner, one
reconstruction, and lungs without other disease; emphysema, fibrosis and pneumonia will bring more
false marks. Slices up to 2.5 mm.

Made by `wetread train lung_nodule --data FOLDER`, seed {model.seed}.
"""


def _sizes(reached: Evaluation) -> list[tuple[float, float, int, str]]:
    return [
        (low, high, count, f"{found / count:.2f}" if count else "–")
        for low, high, count, found in reached.by_size
    ]
