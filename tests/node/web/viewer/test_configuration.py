"""What OHIF's configuration does of its own, run by node: numbers in, numbers out."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray

from node.web.viewer import configuration

SCRIPT = configuration.app_config("bitmap")
PAGE = (
    "globalThis.location = { search: '' }; globalThis.window = globalThis;"
    "globalThis.addEventListener = () => {};"
)


def run(steps: str, given: object) -> object:
    """What ``steps`` return, with the configuration's functions at hand; ``given`` is theirs."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed: OHIF's configuration is not run")
    script = f"{PAGE}{SCRIPT}\n;const given = {json.dumps(given)};"
    script += f"Promise.resolve((() => {{ {steps} }})()).then(JSON.stringify).then(console.log)"
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
      putInPlace({ PerFrameFunctionalGroupsSequence: frames }, volume);
      return [...values];"""
    assert run(steps, [15, 10, 0]) == [3, 3, 0, 0, 2, 2, 1, 1]


def test_a_map_opens_where_its_values_are_highest_of_equal_slices_on_the_first_in_depth() -> None:
    steps = """
      const plane = at => ({ rowCosines: [1, 0, 0], columnCosines: [0, 1, 0],
                             imagePositionPatient: [0, 0, -2 * at] });
      window.cornerstone = { metaData: { get: (_, at) => plane(at) } };
      const getCompleteScalarDataArray = () => Float32Array.from(given.flat());
      return strongestSlice({ imageIds: given.map((_, at) => at), dimensions: [2, 1, given.length],
                              voxelManager: { getCompleteScalarDataArray } });"""
    assert run(steps, [[0, 0], [5, 1], [6, 0], [-9, 0]]) == 2
    assert run(steps, [[-3, -3], [-1, -1], [-2, 0.5]]) == 2


@pytest.mark.parametrize("shape", ["object", "list"])
def test_a_map_is_coloured_by_its_window_and_what_is_low_in_it_is_faint(shape: str) -> None:
    window: object = {"WindowCenter": 20, "WindowWidth": 60}
    window = [window] if shape == "list" else window
    instance = {"SharedFunctionalGroupsSequence": {"FrameVOILUTSequence": window}}
    found = run("return coloursOf(given)", instance)
    assert isinstance(found, dict)
    assert found["voiRange"] == {"lower": -1000, "upper": 5000}
    values = [(one["value"], one["opacity"]) for one in found["colormap"]["opacity"]]
    assert (values[0], values[-1]) == ((-1000, 0), (5000, 0.75))
    assert values == sorted(values)
    assert run("return coloursOf(given)", {}) == {}


@pytest.mark.parametrize("pixels", [64, 126 * 98, 15])
def test_frames_of_bits_are_opened_from_the_file_whether_or_not_they_end_with_a_byte(
    pixels: int,
) -> None:
    frames = np.random.default_rng(2).integers(0, 2, (5, pixels), np.uint8)
    bits = np.packbits(frames, axis=None, bitorder="little").tobytes()
    bits += b"\0" * (len(bits) % 2)
    head = b"\xe0\x7f\x10\x00OB\0\0" + len(bits).to_bytes(4, "little")
    steps = """
      const file = Uint8Array.from(given.file).buffer;
      const { begin } = atEnd(file, 2 * Math.ceil(5 * given.pixels / 16), PIXEL_DATA);
      const bytes = new Uint8Array(file, begin);
      return [0, 1, 2, 3, 4].map((at) => [...openBits({ bytes, pixels: given.pixels }, at)]);"""
    file = b"DICM" + bytes(9) + head + bits
    assert run(steps, {"file": list(file), "pixels": pixels}) == frames.tolist()


READING = """
  const asked = [];
  const file = Uint8Array.from([...new Array(20).fill(0), 0xe0, 0x7f, 0x10, 0, 79, 87, 0, 0,
                                2, 0, 0, 0, given.byte ?? 5, 0]).buffer;
  globalThis.fetch = (address, { headers }) => {
    asked.push([address, headers]);
    return Promise.resolve({ ok: given.ok, arrayBuffer: () => file });
  };
  window.cornerstone = {
    cache: { getImageLoadObject: () => 'of the cache' },
    metaData: { addProvider: (told) => { window.told = told; } },
  };
  openFromFiles();
  const retrieve = {
    prefetchInstanceFrames: () => ({ done: Promise.resolve('by OHIF'), cancel: () => 0 }),
    getWadoDicomWebClient: () => ({ wadoURL: '/dicom-web', headers: { A: '1' } }),
  };
  [{ retrieve }, { retrieve }, {}].forEach(readByBits);
  const instance = { StudyInstanceUID: '1', SeriesInstanceUID: '2', SOPInstanceUID: '3', Rows: 2,
                     Columns: given.columns, NumberOfFrames: 2, BitsAllocated: given.bits };
  const imageId = 'wadors:/3/frames/1';
  const get = (id) => window.cornerstone.cache.getImageLoadObject(id);
  const opened = async () => [...(await get('wadors:/3/frames/2').promise).getPixelData()];
"""


def test_a_segmentation_is_read_once_and_forgotten_when_it_is_opened() -> None:
    steps = f"""{READING}
      const reading = retrieve.prefetchInstanceFrames({{ instance, imageId }});
      return reading.done.then(async (done) => {{
        const found = [done, await opened(), get('wadors:/4/frames/1')];
        reading.cancel();
        return [...found, get(imageId), asked];
      }});"""
    head = {"A": "1", "Accept": "application/dicom"}
    address = "/dicom-web/studies/1/series/2/instances/3"
    given = {"ok": True, "bits": 1, "columns": 1}
    cached = "of the cache"
    assert run(steps, given) == [True, [1, 0], cached, cached, [[address, head]]]


@pytest.mark.parametrize(
    ("ok", "bits", "columns", "done"),
    [
        (False, 1, 4, "by OHIF"),
        (False, 1, 3, False),
        (True, 1, 400, "by OHIF"),
        (True, 8, 1, "by OHIF"),
    ],
    ids=["not had", "not had, by frames", "ends otherwise", "no bits"],
)
def test_what_cannot_be_read_so_is_left_to_ohif(
    ok: bool, bits: int, columns: int, done: object
) -> None:
    steps = f"{READING} return retrieve.prefetchInstanceFrames({{ instance, imageId }}).done;"
    assert run(steps, {"ok": ok, "bits": bits, "columns": columns}) == done


def told_of(frames: NDArray[np.uint8], places: list[int], **attributes: object) -> object:
    """What OHIF is told of a segmentation while it reads it: the first frame of each slice, the
    labels of each, some attributes; None: nothing. The segment of frame n is n + 1."""
    bits = np.packbits(frames, axis=None, bitorder="little")
    groups = [
        {
            "PlanePositionSequence": [{"ImagePositionPatient": [0, 0, place]}],
            "SegmentIdentificationSequence": {"ReferencedSegmentNumber": number + 1},
            "Frame": number,
        }
        for number, place in enumerate(places)
    ]
    instance = {
        "SegmentationType": "BINARY",
        "Kept": "yes",
        "SharedFunctionalGroupsSequence": [{"PlaneOrientationSequence": {}}],
        "PerFrameFunctionalGroupsSequence": groups,
        **attributes,
    }
    given = {"bits": bits.tolist(), "pixels": frames.shape[1], "instance": instance}
    steps = """
      const file = { bytes: Uint8Array.from(given.bits), pixels: given.pixels };
      return asLabels(file, given.instance).then(({ labels, instance: one }) => labels ? [
        one.PerFrameFunctionalGroupsSequence.map(({ Frame }) => Frame),
        labels.map((all) => [...all]),
        [one.SegmentationType, one.BitsAllocated, one.NumberOfFrames, one.Kept],
      ] : null);"""
    return run(steps, given)


APART = np.kron(np.eye(5, dtype=np.uint8), np.ones((1, 3), np.uint8))
"""Five frames of 15 pixels, each with three of its own."""


def test_what_lies_on_one_slice_is_read_as_one_frame_of_labels() -> None:
    labels = [
        [1] * 3 + [0] * 6 + [4] * 3 + [0] * 3,
        [0] * 3 + [2] * 3 + [3] * 3 + [0] * 3 + [5] * 3,
    ]
    expected = [[0, 1], labels, ["LABELMAP", 8, 2, "yes"]]
    assert told_of(APART, [7, 9, 9, 7, 9]) == expected


def test_segments_that_share_a_pixel_stay_frames_of_their_own() -> None:
    frames = APART.copy()
    frames[2, 14] = 1
    assert told_of(frames, [7, 9, 9, 7, 9]) is None
    assert told_of(frames, [7, 9, 9, 7, 7]) is not None


@pytest.mark.parametrize(
    "attributes",
    [
        {"SegmentationType": "FRACTIONAL"},
        {"SharedFunctionalGroupsSequence": [{}]},
        {"PerFrameFunctionalGroupsSequence": [{}, {}]},
    ],
    ids=["no bits", "turned frame by frame", "nothing known of frames"],
)
def test_what_is_not_known_to_lie_on_one_slice_stays_as_it_is(
    attributes: dict[str, object],
) -> None:
    assert told_of(APART, [7, 9, 9, 7, 9]) is not None
    assert told_of(APART, [7, 9, 9, 7, 9], **attributes) is None


def test_a_frame_for_each_slice_stays_as_it_is() -> None:
    assert told_of(APART, [1, 2, 3, 4, 5]) is None


def test_ohif_is_told_of_labels_only_while_it_reads() -> None:
    steps = f"""{READING}
      const at = (number) => ({{
        PlanePositionSequence: [{{ ImagePositionPatient: [0, 0, 1] }}],
        SegmentIdentificationSequence: {{ ReferencedSegmentNumber: number }},
      }});
      Object.assign(instance, {{
        SegmentationType: 'BINARY', PerFrameFunctionalGroupsSequence: [at(3), at(9)],
        SharedFunctionalGroupsSequence: [{{ PlaneOrientationSequence: {{}} }}],
      }});
      const told = (id, type = 'instance') => window.told(type, id)?.NumberOfFrames ?? 'nothing';
      const first = async () => [...(await get(imageId).promise).getPixelData()];
      const reading = retrieve.prefetchInstanceFrames({{ instance, imageId }});
      return reading.done.then(async () => {{
        const others = [told('wadors:/4/frames/1'), told(imageId, 'plane')];
        const found = [await first(), told(imageId), ...others];
        reading.cancel();
        return [...found, told(imageId), told(undefined)];
      }});"""
    found = run(steps, {"ok": True, "bits": 1, "columns": 1, "byte": 0b1001})
    assert found == [[3, 9], 1, "nothing", "nothing", "nothing", "nothing"]
