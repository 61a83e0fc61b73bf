"""Coded questions and answers about a series (PS3.16; private where none is published)."""

from __future__ import annotations

from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Code

YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")
BODY_PART = Code("BODYPARTSEEN", PRIVATE_SCHEME, "Body part shown")
IMAGE_PLANE = Code("IMAGEPLANE", PRIVATE_SCHEME, "Plane of the images")
IS_LOCALIZER = Code("LOCALIZER", PRIVATE_SCHEME, "Localizer")
CONTRAST_AGENT = Code("CONTRASTSEEN", PRIVATE_SCHEME, "Contrast agent shown")
