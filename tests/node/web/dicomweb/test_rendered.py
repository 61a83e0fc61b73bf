"""Pictures over the web: what they show, and what is answered where they cannot be made."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, series_url, study_url, url
from tests.node.web.dicomweb.test_wado import content_of, get, parts_of
from tests.node.web.sites import Site

PNG = "image/png"


def ramp(**attributes: Any) -> Dataset:
    """8 rows of 0 to 4080 in steps of 16, from left to right."""
    row = np.arange(256, dtype=np.uint16) * 16
    dataset = make_dataset(rows=8, PixelData=np.tile(row, 8).tobytes(), **attributes)
    dataset.Columns = 256
    return dataset


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def greys(answer: httpx.Response) -> Any:
    return np.asarray(picture(answer))


def test_a_picture_is_a_jpeg_where_nobody_asks_for_another_kind(site: Site) -> None:
    dataset = ramp()
    hold(site, dataset)
    answer = get(site, url(dataset, "/rendered"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert (picture(answer).format, picture(answer).size) == ("JPEG", (256, 8))


@pytest.mark.parametrize("kind", ["image/png", "image/gif", "image/jpeg"])
def test_a_picture_is_of_the_kind_that_is_accepted(site: Site, kind: str) -> None:
    dataset = ramp()
    hold(site, dataset)
    answer = get(site, url(dataset, "/frames/1/rendered"), kind)
    assert Image.MIME[picture(answer).format or ""] == answer.headers["content-type"] == kind


def test_without_any_window_the_whole_range_is_shown(site: Site) -> None:
    dataset = ramp()
    hold(site, dataset)
    assert greys(get(site, url(dataset, "/rendered"), PNG))[0].tolist() == list(range(256))


def test_the_window_of_the_header_is_in_units_after_rescaling(site: Site) -> None:
    dataset = ramp(RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=0, WindowWidth=1025)
    hold(site, dataset)
    row = greys(get(site, url(dataset, "/rendered"), PNG))[0]
    assert (row[31], row[64], row[97]) == (0, 128, 255)  # at -528, 0 and 528


@pytest.mark.parametrize(
    ("window", "at_center"), [("2048,1024,linear", 128), ("2048,1024,sigmoid", 128)]
)
def test_a_window_that_is_asked_for_takes_the_place_of_the_headers(
    site: Site, window: str, at_center: int
) -> None:
    dataset = ramp(WindowCenter=0, WindowWidth=10)
    hold(site, dataset)
    row = greys(get(site, url(dataset, f"/rendered?window={window}"), PNG))[0]
    assert abs(int(row[128]) - at_center) <= 1


def test_monochrome1_is_turned_over(site: Site) -> None:
    dataset = ramp(PhotometricInterpretation="MONOCHROME1")
    hold(site, dataset)
    row = greys(get(site, url(dataset, "/rendered"), PNG))[0]
    assert (row[0], row[255]) == (255, 0)


def test_signed_pixels_and_padding_are_understood(site: Site) -> None:
    row = np.array([-2000, -500, 0, 500], np.int16)
    dataset = make_dataset(rows=4, PixelData=np.tile(row, 4).tobytes(), PixelPaddingValue=-2000)
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
    hold(site, dataset)
    assert greys(get(site, url(dataset, "/rendered"), PNG))[0].tolist() == [0, 0, 128, 255]


def test_big_endian_and_compressed_images_show_the_same(site: Site) -> None:
    plain = ramp()
    swapped = ramp(SOPInstanceUID="1.2.1")
    swapped.PixelData = np.frombuffer(plain.PixelData, "<u2").astype(">u2").tobytes()
    swapped["PixelData"].VR = "OW"
    packed = ramp(SOPInstanceUID="1.2.2")
    packed["PixelData"].VR = "OW"
    hold(site, plain)
    hold(site, swapped, ExplicitVRBigEndian)
    hold(site, compressed(packed), RLELossless)
    shown = [get(site, url(one, "/rendered"), PNG) for one in (plain, swapped, packed)]
    assert greys(shown[0]).tolist() == greys(shown[1]).tolist() == greys(shown[2]).tolist()
    for one in (swapped, packed):
        answer = get(site, url(one, "/frames/1"), "application/octet-stream")
        assert answer.content == plain.PixelData


def compressed(dataset: Dataset) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def test_colours_are_shown_as_colours(site: Site) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 0], pixels[:, 2:, 1] = 200, 100
    dataset = make_dataset(rows=4, PixelData=pixels.tobytes(), PhotometricInterpretation="RGB")
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    hold(site, dataset)
    assert np.array_equal(greys(get(site, url(dataset, "/rendered"), PNG)), pixels)


def test_a_palette_gives_the_colours(site: Site) -> None:
    dataset = make_dataset(rows=2, PixelData=bytes([0, 1, 2, 3]))
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    for name, table in (
        ("Red", [0, 255, 0, 9]),
        ("Green", [0, 0, 255, 9]),
        ("Blue", [0] * 3 + [9]),
    ):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(dataset, f"{name}PaletteColorLookupTableData", bytes(table))
    hold(site, dataset)
    shown = greys(get(site, url(dataset, "/rendered"), PNG)).reshape(4, 3)
    assert shown.tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 9]]


def segmentation() -> Dataset:
    """Two segments, the second red; frame n shows segment n."""
    bits = np.array([[1, 0, 0, 0], [0, 1, 1, 0]], np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes() + b"\0"
    dataset = make_dataset(rows=2, NumberOfFrames=2, PixelData=packed, Modality="SEG")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentSequence = []
    for number, lab in ((1, [65535, 32896, 32896]), (2, [34885, 53485, 50171])):
        segment = Dataset()
        segment.SegmentNumber, segment.RecommendedDisplayCIELabValue = number, lab
        dataset.SegmentSequence.append(segment)
    dataset.PerFrameFunctionalGroupsSequence = []
    for number in (1, 2):
        identified, group = Dataset(), Dataset()
        identified.ReferencedSegmentNumber = number
        group.SegmentIdentificationSequence = [identified]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
    return dataset


def test_segments_have_the_colours_that_are_recommended_for_them(site: Site) -> None:
    dataset = segmentation()
    hold(site, dataset)
    first = greys(get(site, url(dataset, "/frames/1/rendered"), PNG)).reshape(4, 3)
    second = greys(get(site, url(dataset, "/frames/2/rendered"), PNG)).reshape(4, 3)
    assert first[0].min() >= 253 and not first[1:].any()
    assert second[1][0] > 240 and second[1][1] < 30 and not second[0].any()


def test_several_frames_are_several_parts_and_no_single_picture(site: Site) -> None:
    dataset = segmentation()
    hold(site, dataset)
    refused = get(site, url(dataset, "/rendered"), PNG)
    assert refused.status_code == 406
    assert 'multipart/related; type="image/png"' in refused.json()["error"]
    parts = parts_of(get(site, url(dataset, "/rendered"), f'multipart/related; type="{PNG}"'))
    assert len(parts) == 2
    assert Image.open(io.BytesIO(content_of(parts[1]))).size == (2, 2)


def test_a_series_is_a_picture_of_each_image_and_leaves_out_what_has_no_pixels(site: Site) -> None:
    images = [ramp(SOPInstanceUID=f"1.2.{n}") for n in (1, 2)]
    report = ramp(SOPInstanceUID="1.2.3")
    del report.PixelData
    for one in (images[0], report, images[1]):
        hold(site, one)
    assert len(parts_of(get(site, series_url(report) + "/rendered"))) == 2
    alone = get(site, url(report, "/rendered"))
    assert (alone.status_code, alone.json()["error"]) == (404, "the instance holds no pixel data")


def test_a_viewport_makes_a_picture_fit_and_shows_a_part_of_it(site: Site) -> None:
    dataset = ramp()
    hold(site, dataset)
    whole = picture(get(site, url(dataset, "/rendered?viewport=64,64"), PNG))
    assert whole.size == (64, 2)
    right = greys(get(site, url(dataset, "/rendered?viewport=128,8,128,0,128,8"), PNG))
    assert right.shape == (8, 128) and right[0, 0] == 128
    turned = greys(get(site, url(dataset, "/rendered?viewport=128,8,128,0,-128,8"), PNG))
    assert turned[0].tolist() == right[0, ::-1].tolist()


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("window=1", "window is center,width,function"),
        ("window=1,0,linear", "the width of a linear window is at least 1"),
        ("window=1,2,cubic", "linear, linear-exact, sigmoid"),
        ("window=nan,2,linear", "finite"),
        ("viewport=1,2,3", "viewport is width,height"),
        ("viewport=0,5", "from 1 to"),
        ("viewport=9,9,0,0,999,1", "the viewport shows more than the image, which is 256x8"),
        ("quality=0", "quality is a whole number from 1 to 100"),
    ],
)
def test_a_parameter_without_sense_is_answered_400_with_how_it_is_written(
    site: Site, query: str, word: str
) -> None:
    dataset = ramp()
    hold(site, dataset)
    answer = get(site, url(dataset, f"/rendered?{query}"))
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_less_quality_is_a_smaller_file(site: Site) -> None:
    dataset = make_dataset()
    hold(site, dataset)
    small, large = (get(site, url(dataset, f"/rendered?quality={n}")) for n in (5, 95))
    assert len(small.content) < len(large.content) / 2


def test_parameters_that_are_not_applied_are_told(site: Site) -> None:
    dataset = ramp()
    hold(site, dataset)
    answer = get(site, url(dataset, "/rendered?annotation=patient"))
    assert answer.headers["warning"] == (
        '299 - "the following parameters were not applied: annotation"'
    )


@pytest.mark.parametrize("place", [study_url, series_url, url])
def test_there_is_a_small_picture_of_everything(site: Site, place: Any) -> None:
    dataset = make_dataset(rows=256)
    report = make_dataset(2)
    del report.PixelData
    for one in (dataset, report):
        hold(site, one)
    assert picture(get(site, place(dataset) + "/thumbnail")).size == (128, 128)
    asked = get(site, place(dataset) + "/thumbnail?viewport=40,60", PNG)
    assert picture(asked).size == (40, 40)


def test_an_image_of_no_rows_is_answered_in_words(site: Site) -> None:
    dataset = ramp()
    dataset.Rows = 0
    hold(site, dataset)
    answer = get(site, url(dataset, "/rendered"))
    assert answer.status_code == 406
    assert "a frame of 0 rows and 256 columns" in answer.json()["error"]


def test_a_damaged_codestream_is_answered_in_words(site: Site) -> None:
    dataset = make_dataset(PixelData=encapsulate([b"\xff\x4f\xff\x51" + b"nonsense" * 9]))
    dataset["PixelData"].is_undefined_length = True
    hold(site, dataset, JPEG2000Lossless)
    answer = get(site, url(dataset, "/rendered"))
    assert answer.status_code == 406
    assert "cannot be decoded: JPEG 2000" in answer.json()["error"]
