"""What OHIF's configuration does of its own, run by node: numbers in, numbers out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from node.web.viewer import configuration

SCRIPT = Path(configuration.__file__).with_name("app-config.js")
PAGE = "globalThis.location = { search: '' }; globalThis.window = globalThis;"


def run(steps: str, given: object) -> object:
    """What ``steps`` return, with the configuration's functions at hand; ``given`` is theirs."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed: OHIF's configuration is not run")
    script = f"{PAGE}{SCRIPT.read_text()}\n;const given = {json.dumps(given)};"
    script += f"console.log(JSON.stringify((() => {{ {steps} }})()))"
    done = subprocess.run([program, "-"], input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("kind", "most"), [("Uint8Array", 255), ("Uint16Array", 700)])
def test_the_pixels_of_each_segment_are_counted_whatever_lies_beside_them(
    kind: str, most: int
) -> None:
    chance = np.random.default_rng(1)
    runs = [
        np.full(chance.integers(1, 40), chance.choice([0, 1, 2, 128, most])) for _ in range(300)
    ]
    labels = np.concatenate([*runs, chance.integers(0, most + 1, 999)])
    steps = f"return [...areas(new {kind}(given))].slice(1);"  # 0 is nothing, and is not counted
    expected = np.bincount(labels, minlength=256 if kind == "Uint8Array" else 65536)
    assert run(steps, labels.tolist()) == expected[1:].tolist()


def key_slice(segments: list[dict[str, object]], slices: list[list[int]]) -> object:
    """The number of the slice that a segmentation opens on; slices lie 2 mm apart, downwards."""
    steps = """
      const plane = at => ({ rowCosines: [1, 0, 0], columnCosines: [0, 1, 0],
                             imagePositionPatient: [0, 0, -2 * at] });
      window.cornerstone = {
        metaData: { get: (_, id) => plane(id) },
        cache: { getImage: id => ({ referencedImageId: id, voxelManager: {
          getScalarData: () => new Uint8Array(given.slices[id]) } }) },
      };
      const imageIds = given.slices.map((_, at) => at);
      return keySlice({ imageIds, instance: { SegmentSequence: given.segments } }) ?? null;"""
    return run(steps, {"segments": segments, "slices": slices})


def test_a_segmentation_opens_where_what_should_not_be_there_is_largest() -> None:
    lung = {"SegmentNumber": 1, "SegmentedPropertyCategoryCodeSequence": {"CodeValue": "123037004"}}
    lump = {"SegmentNumber": 2, "SegmentedPropertyCategoryCodeSequence": {"CodeValue": "49755003"}}
    nowhere = lump | {"SegmentNumber": 9}
    slices = [[1] * 8, [1] * 4 + [2] * 4, [2] * 4 + [0] * 4, [0] * 8]
    assert key_slice([lung], slices) == 0
    assert key_slice([lung, nowhere, lump], slices) == 2  # of equal ones the first in depth
    assert key_slice([nowhere], slices) is None


def test_points_of_a_report_are_scaled_once_for_pixels_that_are_no_squares() -> None:
    steps = """
      planeOf = () => ({ rowPixelSpacing: 3, columnPixelSpacing: 4 });
      const scoord = { ValueType: 'SCOORD', GraphicData: [10.5, 20.5, 0.5, 0.5],
                       ReferencedSOPSequence: { ReferencedSOPInstanceUID: '1.2' } };
      readMeasurement({ measurement: { coords: [scoord] } });
      readMeasurement({ measurement: { coords: [scoord] } });
      const empty = readMeasurement({ measurement: { coords: [] } });
      return [scoord.GraphicData, empty.coords];"""
    points, empty = run(steps, None)  # type: ignore[misc]  # two values, as the steps say
    assert points == pytest.approx([10 * 4 / 3 + 0.5, 20 * 3 / 4 + 0.5, 0.5, 0.5])
    assert empty == [{}]


def test_frames_of_a_map_are_put_on_the_slices_at_their_places() -> None:
    steps = """
      const at = (z) => [0, 0, z];
      window.cornerstone = { metaData: { get: (_, z) => ({ imagePositionPatient: at(z) }) } };
      let values = new Float32Array([1, 1, 2, 2, 3, 3]);
      const volume = {
        direction: [1, 0, 0, 0, 1, 0, 0, 0, 1], spacing: [1, 1, 5], dimensions: [2, 1, 4],
        imageIds: [0, 5, 10, 15],
        voxelManager: { getCompleteScalarDataArray: () => new Float32Array([...values, 0, 0]),
                        setCompleteScalarDataArray: (placed) => (values = placed) },
      };
      const place = (z) => ({ PlanePositionSequence: [{ ImagePositionPatient: at(z) }] });
      const frames = given.map(place);
      putInPlace({ instance: { PerFrameFunctionalGroupsSequence: frames } }, volume);
      return [...values];"""
    assert run(steps, [15, 10, 0]) == [3, 3, 0, 0, 2, 2, 1, 1]
