"""What a compressed frame is called outside of DICOM (PS3.18 Table 8.7.3-2)."""

from __future__ import annotations

from pydicom import uid

OCTET_STREAM = "application/octet-stream"

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
BY_SYNTAX: dict[str, str] = {
    **dict.fromkeys(_JPEG, "image/jpeg"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "image/jls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "image/jp2"),
    **dict.fromkeys((uid.JPEG2000MCLossless, uid.JPEG2000MC), "image/jpx"),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), "image/jphc"),
    uid.RLELossless: "image/dicom-rle",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
}


def frame_type(transfer_syntax_uid: str) -> str:
    """The media type of a frame as it is stored."""
    return BY_SYNTAX.get(transfer_syntax_uid, OCTET_STREAM)
