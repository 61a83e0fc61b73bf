"""Encodes the stored pixels of a series in JPEG-LS, JPEG 2000, HTJ2K or DCT JPEG, and measures it.

Every frame is decoded again and compared with its source before it is handed on: a lossless method
that changes a pixel raises. Transfer syntaxes: PS3.5 A.4; methods: PS3.3 C.7.6.1.1.5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    AnalyzerError,
    Code,
    CompressedImage,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NotApplicable,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.filters import derived
from analyzers.threads import for_each

if TYPE_CHECKING:
    from analyzers.filters.fidelity import Fidelity


class Method(StrEnum):
    """What ``CompressionParameters.method`` may be."""

    JPEG_LS = "jpeg_ls"
    JPEG_LS_NEAR = "jpeg_ls_near_lossless"
    JPEG_2000 = "jpeg_2000"
    JPEG_2000_LOSSY = "jpeg_2000_lossy"
    HTJ2K = "htj2k"
    JPEG_EXTENDED = "jpeg_extended"


@dataclass(frozen=True, slots=True)
class Encoding:
    """transfer_syntax: its UID. term: (0028,2114) when lossy."""

    transfer_syntax: str
    title: str
    term: str = ""


ENCODINGS = {
    Method.JPEG_LS: Encoding("1.2.840.10008.1.2.4.80", "JPEG-LS lossless"),
    Method.JPEG_LS_NEAR: Encoding("1.2.840.10008.1.2.4.81", "JPEG-LS near-lossless", "ISO_14495_1"),
    Method.JPEG_2000: Encoding("1.2.840.10008.1.2.4.90", "JPEG 2000 lossless"),
    Method.JPEG_2000_LOSSY: Encoding("1.2.840.10008.1.2.4.91", "JPEG 2000 lossy", "ISO_15444_1"),
    Method.HTJ2K: Encoding("1.2.840.10008.1.2.4.201", "High-throughput JPEG 2000 lossless"),
    Method.JPEG_EXTENDED: Encoding(
        "1.2.840.10008.1.2.4.51", "JPEG extended, 12 bit (DCT)", "ISO_10918_1"
    ),
}

LEAST_JPEG_2000 = 32
"""Five halvings, OpenJPEG's default, must leave a pixel."""

RATIO = Code("CMPRATIO", codes.PRIVATE_SCHEME, "Compression ratio: bytes before over bytes after")
PSNR = Code("PSNR", codes.PRIVATE_SCHEME, "Peak signal-to-noise ratio over the range of the source")
SSIM = Code("SSIM", codes.PRIVATE_SCHEME, "Structural similarity to the source, mean over slices")
LARGEST_ERROR = Code("MAXERR", codes.PRIVATE_SCHEME, "Largest change of a stored pixel value")


class LosslessBroken(AnalyzerError):
    """A lossless encoding did not give the pixels back; nothing was handed on."""


@dataclass(frozen=True, slots=True)
class CompressionParameters(Parameters):
    """How the stored pixels are encoded."""

    method: Annotated[str, Parameter("encoding", choices=tuple(Method))] = "jpeg_ls"
    ratio: Annotated[
        float, Parameter("bytes before over bytes after, of jpeg_2000_lossy", least=1.5, most=200)
    ] = 10.0
    quality: Annotated[int, Parameter("quality of jpeg_extended", least=1, most=100)] = 90
    largest_error: Annotated[
        int,
        Parameter("largest change of a stored value, of jpeg_ls_near_lossless", least=1, most=255),
    ] = 2


class Compression:
    """Gives the series in another encoding, with ratio, PSNR and SSIM."""

    name: ClassVar[str] = "compression"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Compression"
    about: ClassVar[About] = About(
        purpose="Encodes the stored pixels anew.",
        gives=(
            "the series in another transfer syntax",
            "ratio, PSNR, SSIM and largest error",
        ),
    )
    family: ClassVar[Code] = families.MULTI_SCALE_FILTERING
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT", "CR", "DX"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=6144)
    parameters: ClassVar[type[CompressionParameters]] = CompressionParameters

    def __init__(self, device: str) -> None:
        """The codecs run on the CPU whatever the device."""
        self.device = device

    def analyze(self, volume: Volume, parameters: CompressionParameters) -> Findings:
        """The encoded series and what the encoding did to it.

        Raises
        ------
        NotApplicable
            There is no image, or the method cannot hold its pixel values.
        LosslessBroken
            The encoder is at fault.
        """
        derived.require_image(volume)
        method = Method(parameters.method)
        encoding = ENCODINGS[method]
        stored = _blank(volume) if encoding.term else volume.stored
        frames, fidelity = _encoded(stored, method, parameters, volume.valid)
        if not encoding.term and fidelity.largest_error:
            raise LosslessBroken(f"{encoding.title} changed pixels of this series")
        ratio = volume.stored.nbytes / sum(len(frame) for frame in frames)
        image = CompressedImage(
            frames=tuple(frames),
            transfer_syntax=encoding.transfer_syntax,
            ratio=ratio,
            method=encoding.term,
            title=encoding.title,
            remarks=_remarks(encoding, ratio, fidelity),
        )
        return Findings((image, *_measurements(ratio, fidelity)), remarks=(image.remarks,))


def _blank(volume: Volume) -> NDArray[Any]:
    """Stored values with the lowest measured one over padding, which lossy coding would smear."""
    if volume.valid is None:
        return volume.stored
    lowest = volume.stored[volume.valid].min(initial=volume.stored.max())
    return np.where(volume.valid, volume.stored, lowest)


def _encoded(
    stored: NDArray[Any],
    method: Method,
    parameters: CompressionParameters,
    valid: NDArray[np.bool_] | None,
) -> tuple[list[bytes], Fidelity]:
    from analyzers.filters import frame_codecs
    from analyzers.filters.fidelity import Comparison

    require_fit(stored, method)
    options = frame_codecs.Options(parameters.ratio, parameters.quality, parameters.largest_error)
    codec = frame_codecs.CODECS[method.value]
    frames = [b""] * len(stored)
    comparison = Comparison(stored, valid)

    def frame(index: int) -> None:
        frames[index] = codec.encode(np.ascontiguousarray(stored[index]), options)
        comparison.add(index, codec.decode(frames[index], stored.dtype))

    for_each(frame, range(len(stored)))
    return frames, comparison.found


def require_fit(stored: NDArray[Any], method: Method) -> None:
    """Raise NotApplicable when the method cannot hold these pixel values."""
    if stored.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise NotApplicable(
            f"Pixels of the type {stored.dtype} cannot be encoded; 8 or 16 bits can."
        )
    if method is Method.JPEG_2000_LOSSY and min(stored.shape[1:]) < LEAST_JPEG_2000:
        raise NotApplicable("Lossy JPEG 2000 is for images of 32 × 32 pixels or more.")
    signed = stored.dtype.kind == "i"
    if method is Method.JPEG_LS_NEAR and signed and stored.min() < 0:
        raise NotApplicable(
            "Near-lossless JPEG-LS has no sign, and this series has negative pixels."
        )
    if method is Method.JPEG_EXTENDED and not (stored.min() >= 0 and stored.max() <= 4095):
        raise NotApplicable("DCT JPEG holds 0 to 4095, and this series has pixels beyond.")


def _measurements(ratio: float, fidelity: Fidelity) -> tuple[Measurement, ...]:
    found = [
        Measurement(RATIO, ratio, codes.NO_UNIT),
        Measurement(SSIM, fidelity.ssim, codes.NO_UNIT),
        Measurement(LARGEST_ERROR, fidelity.largest_error, codes.NO_UNIT),
    ]
    if fidelity.psnr_db is not None:
        found.append(Measurement(PSNR, fidelity.psnr_db, codes.DECIBEL))
    return tuple(found)


def _remarks(encoding: Encoding, ratio: float, fidelity: Fidelity) -> str:
    if fidelity.psnr_db is None:
        return f"{encoding.title}, ratio {ratio:.2f}; every pixel is as it was."
    return (
        f"{encoding.title}, ratio {ratio:.2f}; PSNR {fidelity.psnr_db:.1f} dB, "
        f"SSIM {fidelity.ssim:.4f}, largest change {fidelity.largest_error:g} stored values."
    )
