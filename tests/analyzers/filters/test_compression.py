"""Every encoding is decoded again; fidelity is what scikit-image says it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from analyzers.contract import CompressedImage, InvalidParameters, Measurement, NotApplicable
from analyzers.filters import frame_codecs
from analyzers.filters.compression import (
    ENCODINGS,
    Compression,
    CompressionParameters,
    Method,
)
from analyzers.filters.fidelity import compared
from analyzers.filters.frame_codecs import CODECS, Options
from analyzers.testing import examples

LOSSLESS = [method for method in Method if not ENCODINGS[method].term]
LOSSY = [method for method in Method if ENCODINGS[method].term]


@pytest.mark.parametrize("method", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
@pytest.mark.parametrize("shape", [(3, 31, 47), (1, 1, 1), (2, 3, 300)])
def test_lossless_encodings_give_every_pixel_back(
    method: Method, dtype: type[np.generic], shape: tuple[int, int, int]
) -> None:
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(1).integers(limits.min, limits.max + 1, shape).astype(dtype)
    image, *_ = (
        Compression("cpu")
        .analyze(examples.volume(stored, "MR"), CompressionParameters(method.value))
        .items
    )
    assert isinstance(image, CompressedImage)
    assert image.method == ""
    assert len(image.frames) == len(stored)
    for frame, source in zip(image.frames, stored, strict=True):
        assert len(frame) % 2 == 0
        assert np.array_equal(CODECS[method.value].decode(frame, stored.dtype), source)


@pytest.mark.parametrize("method", LOSSY)
def test_lossy_encodings_say_what_they_lost(method: Method) -> None:
    of = examples.volume(examples.head(), "MR")
    image, *measured = Compression("cpu").analyze(of, CompressionParameters(method.value)).items
    assert isinstance(image, CompressedImage)
    assert image.method == ENCODINGS[method].term != ""
    decoded = [CODECS[method.value].decode(frame, of.stored.dtype) for frame in image.frames]
    error = np.abs(np.stack(decoded).astype(int) - of.stored)
    found = {one.name.value: one.value for one in measured if isinstance(one, Measurement)}
    assert found["MAXERR"] == error.max() > 0
    assert 30 < found["PSNR"] < 80
    assert found["CMPRATIO"] == of.stored.nbytes / sum(map(len, image.frames)) == image.ratio


@pytest.mark.parametrize("ratio", [5.0, 10.0, 20.0])
def test_lossy_jpeg_2000_reaches_the_ratio_asked_for(ratio: float) -> None:
    of = examples.volume(examples.radiograph(), "DX")
    parameters = CompressionParameters("jpeg_2000_lossy", ratio=ratio)
    image = Compression("cpu").analyze(of, parameters).items[0]
    assert isinstance(image, CompressedImage)
    assert image.ratio == pytest.approx(ratio, rel=0.1)


def test_near_lossless_keeps_its_largest_error() -> None:
    of = examples.volume(examples.head(), "MR")
    parameters = CompressionParameters("jpeg_ls_near_lossless", largest_error=3)
    found = Compression("cpu").analyze(of, parameters).items
    errors = [x.value for x in found if isinstance(x, Measurement) and x.name.value == "MAXERR"]
    assert errors == [3.0]


def test_fidelity_equals_scikit_image() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 1000, (2, 60, 71)).astype(np.int16)
    other = (one + rng.integers(-40, 41, one.shape)).astype(np.int16)
    found = compared(one, other)
    span = float(np.ptp(one))
    assert found.psnr_db == pytest.approx(peak_signal_noise_ratio(one, other, data_range=span))
    exact = [
        structural_similarity(
            a.astype(float),
            b.astype(float),
            data_range=span,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        for a, b in zip(one, other, strict=True)
    ]
    assert found.ssim == pytest.approx(float(np.mean(exact)), abs=1e-6)
    assert found.largest_error == 40


@pytest.mark.parametrize("method", ["jpeg_ls_near_lossless", "jpeg_extended"])
def test_pixels_that_an_encoding_cannot_hold_are_refused(method: str) -> None:
    of = examples.volume(examples.torso(), "CT")
    with pytest.raises(NotApplicable, match="pixels"):
        Compression("cpu").analyze(of, CompressionParameters(method))


@pytest.mark.parametrize(
    "wrong", [{"method": "gif"}, {"ratio": 1.0}, {"quality": 0}, {"largest_error": 0}]
)
def test_parameters_out_of_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(wrong))):
        CompressionParameters(**wrong)  # type: ignore[arg-type]


def test_openjph_is_first_used_by_one_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that fill its tables at once damage streams without an error."""
    encode, events = imagecodecs.htj2k_encode, list[str]()

    def slow_encode(frame: NDArray[np.int16], reversible: bool) -> bytes:
        events.append("begin")
        time.sleep(0.05)
        stream = bytes(encode(frame, reversible=reversible))
        events.append("end")
        return stream

    monkeypatch.setattr(imagecodecs, "htj2k_encode", slow_encode)
    frame_codecs._openjph_ready.cache_clear()
    frame = np.arange(12, dtype=np.int16).reshape(3, 4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: CODECS["htj2k"].encode(frame, Options(1, 1, 1)), range(4)))
    assert events[:2] == ["begin", "end"]
