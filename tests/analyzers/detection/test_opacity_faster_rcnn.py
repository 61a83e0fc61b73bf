"""The detector of opacities: geometry, figures, training, contract, refusals, real radiographs."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from analyzers.contract import (
    Classification,
    Detection,
    Findings,
    InvalidParameters,
    NotApplicable,
    ParametricMap,
    Volume,
)
from analyzers.detection.opacity_detector import (
    WHOLE,
    Seen,
    detector,
    fused,
    log_odds,
    marks,
    weighed,
)
from analyzers.detection.opacity_evidence import grad_cam
from analyzers.detection.opacity_faster_rcnn import OpacityBoxParameters, OpacityFasterRcnn
from analyzers.detection.opacity_window import SIDE, Window, channels, window
from analyzers.detection.training import opacity, opacity_views
from analyzers.detection.training.opacity_baseline import mean_boxes
from analyzers.detection.training.opacity_fit import augmented, fit, joined_halves
from analyzers.models import stored_model
from analyzers.models.learners import Calibration
from analyzers.models.trainables import Run, trainable
from analyzers.models.training import detection_figures as figures
from analyzers.radiograph import concepts
from analyzers.radiograph.chest_frame import ChestFrame
from analyzers.testing import AnalyzerSuite
from analyzers.testing.examples import volume


def radiograph() -> NDArray[np.uint16]:
    """The mean chest of the training images as a radiograph of 12 bits."""
    mean = np.asarray(stored_model.load("opacity_faster_rcnn").arrays["mean_chest"], np.float32)
    wide = cv2.resize(mean, (400, 400), interpolation=cv2.INTER_CUBIC)
    return np.clip(2000 + 500 * wide, 0, 4095).astype(np.uint16)[None]


class TestContract(AnalyzerSuite):
    analyzers = ("opacity_faster_rcnn",)

    def example(self, name: str) -> Volume:
        return volume(radiograph(), "DX")


def analyzed(pixels: NDArray[np.uint16], **given: object) -> Findings:
    parameters = OpacityBoxParameters(**given)  # type: ignore[arg-type]  # mixed keywords
    return OpacityFasterRcnn("cpu").analyze(volume(pixels, "DX"), parameters)


def boxes_of(findings: Findings) -> list[Detection]:
    return [item for item in findings.items if isinstance(item, Detection)]


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(512, 512), (400, 300), (300, 480)])
def test_boxes_go_into_the_window_and_come_back(shape: tuple[int, int]) -> None:
    place = window(ChestFrame(np.array([[1.1, 0.1, -2], [-0.1, 0.9, 3]], np.float32), 0.9), shape)
    boxes = np.array([[100.0, 120, 180, 260], [150, 90, 200, 210]])
    np.testing.assert_allclose(place.outward(place.inward(boxes)), boxes, atol=1e-9)


def test_a_chart_returns_to_the_pixels_it_was_made_from() -> None:
    values = np.zeros((300, 260), np.float32)
    values[100:180, 60:120] = 1
    for place in (Window(20, 30, 200, 220), Window(-20, -10, 320, 300)):
        back = place.laid_back(place.view(values), (300, 260))
        assert back.shape == values.shape
        assert np.abs(back - values)[90:190, 50:130].mean() < 0.05


def test_boxes_move_with_the_pixels() -> None:
    torch.manual_seed(3)
    x = torch.full((6, 2, SIDE, SIDE), -2.0)
    x[:, :, 60:150, 40:100] = 2
    boxes = [torch.tensor([[40.0, 60, 100, 150]])] * 6
    moved, found = augmented(x, boxes)
    for image, (box,) in zip(moved, found, strict=True):
        rows, columns = np.nonzero(image[0].numpy() > 0)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box.numpy(), edges, atol=8)


# --- several looks joined -------------------------------------------------------------------------


def test_boxes_of_several_looks_become_one_mark_with_the_mean_of_their_scores() -> None:
    one = Seen(np.array([[0.0, 0, 10, 20], [50, 50, 80, 90]]), np.array([0.9, 0.4]))
    other = Seen(np.array([[2.0, 0, 12, 20]]), np.array([0.3]))
    found = fused([one, other, Seen(np.zeros((0, 4)), np.zeros(0))])
    np.testing.assert_allclose(found.boxes, [[0.5, 0, 10.5, 20], [50, 50, 80, 90]])
    np.testing.assert_allclose(found.score, [1.2 / 3, 0.4 / 3])
    np.testing.assert_allclose(found.spread, [np.std([0.9, 0.3, 0]), np.std([0.4, 0, 0])])


def test_two_boxes_of_one_look_stay_two_marks() -> None:
    near = Seen(np.array([[0.0, 0, 10, 20], [1, 0, 11, 20]]), np.array([0.9, 0.8]))
    other = Seen(np.array([[1.0, 0, 11, 20]]), np.array([0.5]))
    found = fused([near, other])
    np.testing.assert_allclose(found.score, [0.65, 0.45])
    np.testing.assert_allclose(found.boxes[0], [1, 0, 11, 20])
    assert fused([]).boxes.shape == (0, 4)


def test_the_whole_image_raises_and_lowers_scores_but_not_their_order() -> None:
    found = fused([Seen(np.array([[0.0, 0, 10, 20], [50, 50, 80, 90]]), np.array([0.9, 0.4]))])
    for whole in (-2.0, 0.0, 2.0):
        score = weighed(found, whole).score
        moved = log_odds(score) - log_odds(found.score)
        np.testing.assert_allclose(moved, WHOLE * whole, atol=1e-9)
        assert score[0] > score[1]


def test_halves_of_two_chests_keep_the_boxes_of_their_sides() -> None:
    torch.manual_seed(1)
    x = torch.arange(16.0).reshape(-1, 1, 1, 1).expand(16, 2, SIDE, SIDE)
    across = torch.tensor([[100.0, 60, 160, 150]])
    two = torch.tensor([[20.0, 60, 80, 150], [170, 60, 220, 150]])
    boxes = [across, *(two + n for n in range(1, 16))]
    mixed, found = joined_halves(x, boxes)
    assert torch.equal(mixed[0], x[0])
    joined = [n for n in range(16) if mixed[n, 0, 0, 0] != mixed[n, 0, 0, -1]]
    assert joined
    for n in range(1, 16):
        left, right = (int(mixed[n, 0, 0, column]) for column in (0, -1))
        assert left == n
        assert torch.equal(found[n], torch.stack([boxes[left][0], boxes[right][1]]))


# --- figures --------------------------------------------------------------------------------------


def test_figures_agree_with_a_case_counted_by_hand() -> None:
    truth = np.array([[0.0, 0, 10, 10], [20, 20, 40, 40]])
    found = np.array([[0.0, 0, 10, 12], [50, 50, 60, 60], [1, 0, 10, 10], [20, 20, 40, 30]])
    image = figures.judged(found, np.array([0.9, 0.8, 0.7, 0.6]), truth)
    assert image.right.tolist() == [True, False, False, True]
    empty = figures.judged(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)))
    both = [image, empty]
    assert figures.average_precision(both) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert figures.sensitivity_at(both, 0.5) == pytest.approx(0.5)
    assert figures.sensitivity_at(both, 1.0) == pytest.approx(1.0)
    assert figures.average_precision([empty]) == 0


def test_marks_of_one_score_count_together() -> None:
    truth = np.array([[0.0, 0, 10, 10]])
    right = figures.judged(truth, np.array([0.5]), truth)
    wrong = figures.judged(truth + 40, np.array([0.5]), truth)
    assert figures.average_precision([right, wrong]) == figures.average_precision([wrong, right])
    assert figures.average_precision([right, wrong]) == pytest.approx(0.25)


def test_the_mean_boxes_are_one_a_side() -> None:
    boxes = [np.array([[20.0, 60, 80, 160], [150, 60, 220, 160]]), np.array([[30.0, 80, 90, 180]])]
    found = mean_boxes(boxes)
    np.testing.assert_allclose(found.boxes, [[25, 70, 85, 170], [150, 60, 220, 160]])
    np.testing.assert_allclose(found.score, [1.0, 0.5])


# --- training -------------------------------------------------------------------------------------


def test_training_repeats_itself_and_a_detector_answers() -> None:
    torch.set_num_threads(1)
    views = np.random.default_rng(0).random((8, SIDE, SIDE), np.float32)
    boxes = [np.array([[40.0, 60, 110, 160]]), np.zeros((0, 4))] * 4
    (first, mean), (second, _) = (fit(views, boxes, seed=4, start={}, epochs=1) for _ in range(2))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    weight = "rpn.head.cls_logits.weight"
    assert not torch.equal(mean.state_dict()[weight], first.state_dict()[weight])
    x = torch.from_numpy(channels(views[0]))
    found = marks([first], x)
    assert (np.diff(found.score) <= 0).all()
    assert found.boxes.shape == (len(found.score), 4)
    np.testing.assert_allclose(marks([first], x.flip(2)).score, found.score, atol=1e-5)


def excerpt(folder: Path, of: Path, opacities: int, others: int) -> Path:
    """A training set of the first images of another one, with and without opacity."""
    (folder / "images").mkdir(parents=True)
    head, *rows = (of / "labels.csv").read_text().splitlines()
    kept: list[str] = []
    for wanted, count in (("1", opacities), ("0", others)):
        of_kind = [row for row in rows if row.split(",")[3] == wanted]
        names = list(dict.fromkeys(row.split(",")[0] for row in of_kind))[:count]
        kept += [row for row in of_kind if row.split(",")[0] in names]
        for name in names:
            shutil.copy(of / "images" / name, folder / "images" / name)
    (folder / "labels.csv").write_text("\n".join([head, *kept]))
    return folder


@pytest.mark.timeout(900)  # its small fits share OpenMP threads, which crawl beside others
def test_the_script_goes_on_from_finished_folds_and_stores_a_model_with_its_card(
    tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(figures, "DRAWS", 20)
    monkeypatch.setattr("analyzers.models.training.figures.DRAWS", 20)
    folder = excerpt(tmp_path / "set", test_data / "train/cxr_opacity", 8, 10)
    finished = tmp_path / "finished"
    finished.mkdir()
    arrays = stored_model.load(opacity.NAME).arrays
    shipped = {key: value for key, value in arrays.items() if key[0].isdigit()}
    for name in ("all", *(f"fold_{fold}" for fold in range(5))):
        save_file(shipped, finished / f"{name}.safetensors")
    run = Run(tmp_path / "out", finished, lambda _: ())
    home = trainable(opacity.NAME).train(opacity.NAME, folder, run, lambda *_: None)
    card = (home / "CARD.md").read_text()
    assert "mean box" in card
    assert "18 radiographs of" in card
    assert len((finished / "unseen.csv").read_text().splitlines()) == 19
    assert (home / "failures.png").stat().st_size > 10_000
    stored = stored_model.load(opacity.NAME, tmp_path / "out").arrays
    assert all(np.array_equal(stored[key], value) for key, value in shipped.items())
    model, out = trainable(opacity.NAME), tmp_path / "out"
    assert "when it was stored" in model.evaluate(opacity.NAME, folder, out, run)[-1]
    others = excerpt(tmp_path / "others", test_data / "train/cxr_opacity", 3, 3)
    assert "mean boxes" in model.evaluate(opacity.NAME, others, out, run)[-1]
    with pytest.raises(ValueError, match="no model is called"):
        opacity.train("other", folder)


# --- the stored model -----------------------------------------------------------------------------


def test_images_that_are_no_frontal_chest_are_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 4000, (1, 300, 300)).astype(np.uint16)
    with pytest.raises(NotApplicable, match=r"chest|too noisy|seems to"):
        analyzed(noise)
    for broken in ({"threshold": 1.0}, {"evidence": "guess"}):
        with pytest.raises(InvalidParameters):
            OpacityBoxParameters(**broken)  # type: ignore[arg-type]  # wrong on purpose


def test_a_low_threshold_reports_more_boxes_and_says_so() -> None:
    many = analyzed(radiograph(), threshold=0.011, evidence="none")
    found = boxes_of(many)
    assert found
    assert [box.key for box in found] == [f"opacity_{n}" for n in range(1, len(found) + 1)]
    assert all(0 <= (box.score or 0) <= 1 for box in found)
    assert "not the operating point" in many.remarks[0]
    assert not any(isinstance(item, ParametricMap) for item in many.items)


@pytest.fixture(scope="module")
def seen(test_data: Path) -> opacity_views.ViewSet:
    folder = test_data / "train" / "cxr_opacity"
    if not folder.is_dir():
        pytest.skip("the chest radiographs are not there")
    return opacity_views.read(folder, _mean(), limit=24)


def _mean() -> NDArray[np.float32]:
    return np.asarray(stored_model.load("opacity_faster_rcnn").arrays["mean_chest"], np.float32)


def test_the_report_holds_the_marks_of_the_network_on_the_pixels_and_the_right_side(
    seen: opacity_views.ViewSet, test_data: Path
) -> None:
    torch.set_num_threads(1)
    analyzer = OpacityFasterRcnn("cpu")
    for index in range(6):
        path = test_data / "train/cxr_opacity/images" / seen.files[index]
        grey = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).astype(np.uint16)
        found = boxes_of(analyzed(grey[None], threshold=0.05, evidence="none"))
        section = "whole_calibration"
        sure = Calibration(*(analyzer.model.number(section, n) for n in ("slope", "offset")))
        whole = sure.log_odds(analyzer.whole.decide(seen.features[[index]]))
        alone = marks(analyzer.networks, torch.from_numpy(channels(seen.views[index])))
        direct = weighed(alone, float(whole[0]))
        wanted = seen.windows[index].outward(direct.boxes[direct.score >= 0.05])
        got = [[b.first[2], b.first[1], b.last[2] + 1, b.last[1] + 1] for b in found]
        assert len(got) == len(wanted)
        np.testing.assert_allclose(np.reshape(got, (-1, 4)), np.clip(wanted, 0, 512), atol=1.0)
        for box in found:
            if box.laterality is not None:
                on_right = (box.first[2] + box.last[2]) / 2 < grey.shape[1] / 2
                assert box.laterality.meaning == ("Right" if on_right else "Left")


def test_real_radiographs_with_opacity_get_the_higher_probability(test_data: Path) -> None:
    """The model saw these images: the test is of the way from pixels to answer, not of merit."""
    torch.set_num_threads(1)
    folder = test_data / "train" / "cxr_opacity"
    with (folder / "labels.csv").open(newline="") as file:
        truth = {row["file"]: row["opacity"] for row in csv.DictReader(file)}
    means = []
    for wanted in ("0", "1"):
        said = []
        for file in [name for name, is_so in truth.items() if is_so == wanted][::10][:8]:
            grey = np.asarray(cv2.imread(str(folder / "images" / file), cv2.IMREAD_GRAYSCALE))
            answer = analyzed(grey[None].astype(np.uint16), evidence="none").items[0]
            assert isinstance(answer, Classification)
            assert answer.question == concepts.LUNG_OPACITY
            said.append(answer.probability or 0.0)
        means.append(np.mean(said))
    assert means[1] > means[0] + 0.1


def test_evidence_lies_in_the_surest_mark(seen: opacity_views.ViewSet) -> None:
    torch.set_num_threads(1)
    networks = OpacityFasterRcnn("cpu").networks
    for view in seen.views[np.flatnonzero(seen.opacity)[:4]]:
        x = torch.from_numpy(channels(view))
        left, top, right, bottom = np.rint(box := marks(networks, x).boxes[0]).astype(int)
        inside = np.zeros((SIDE, SIDE), np.bool_)
        inside[top:bottom, left:right] = True
        chart = grad_cam(networks, x, box)
        assert chart.max() <= 1
        assert chart[inside].mean() > 3 * chart[~inside].mean()


def test_without_a_mark_there_is_no_evidence() -> None:
    network = detector().eval()
    network.roi_heads.score_thresh = 1.1
    x, anywhere = torch.zeros(2, SIDE, SIDE), np.array([0.0, 0, SIDE, SIDE])
    assert not grad_cam([network], x, anywhere).any()
