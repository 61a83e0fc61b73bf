"""Values that are copied from an image, as they may stand in a new object.

Vendors break value representations: decimal strings of 20 characters, tube currents with a
fraction, lower case in code strings. What is written otherwise without a loss is mended, the rest
is left out: the output gate would refuse the whole result for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import STR_VR, format_number_as_ds, validate_value

from storage.header import values
from storage.header.guarded import undecoded


def of(header: Dataset, keyword: str) -> DataElement | None:
    """The attribute of a header as it may be copied; None where there is none, or none sound."""
    element = values.element(header, keyword)
    return None if element is None else sound(element)


def text_of(header: Dataset, keyword: str) -> str:
    """A text of a header as it may be copied; empty where there is none, or none sound."""
    element = of(header, keyword)
    return "" if element is None or element.VM > 1 else str(element.value or "")


def modality_of(header: Dataset) -> str:
    """Modality where it is a code string, else other (OT)."""
    return text_of(header, "Modality") or "OT"


def sound(element: DataElement) -> DataElement | None:
    """A copy that keeps to its value representation (PS3.5 6.2); None where its value cannot."""
    if not _is_of_its_kind(element):
        return None
    if element.VR == "SQ":
        return DataElement(element.tag, "SQ", [_sound_item(item) for item in element.value])
    if element.VR not in STR_VR or element.is_empty:
        return deepcopy(element)
    given = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
    if any(undecoded(value) is not None for value in given):
        return None
    mended = [_MENDED[element.VR](value) for value in given] if element.VR in _MENDED else given
    if not all(_keeps_to(element.VR, value) for value in mended):
        return None
    if mended == given:
        return deepcopy(element)
    return DataElement(element.tag, element.VR, mended if len(mended) > 1 else mended[0])


def _sound_item(item: Dataset) -> Dataset:
    copy = Dataset()
    for element in item:
        mended = sound(element)
        if mended is not None:
            copy.add(mended)
    return copy


def _is_of_its_kind(element: DataElement) -> bool:
    """Whether a standard attribute has one of the representations that the standard gives it."""
    if not dictionary_has_tag(element.tag):
        return element.tag.is_private
    kinds = dictionary_VR(element.tag)
    if kinds == "SQ" and not isinstance(element.value, Items):
        return element.VR == "SQ" and element.is_empty
    return element.VR in kinds.split(" or ")


def _keeps_to(vr: str, value: str) -> bool:
    try:
        validate_value(vr, value, config.RAISE)
    except ValueError:
        return False
    return True


def _shortened(value: str) -> str:
    """A decimal string of at most 16 characters, where it is one."""
    if len(value) <= 16:
        return value
    try:
        return format_number_as_ds(float(value))
    except ValueError:
        return value


_MENDED: Mapping[str, Callable[[str], str]] = {"DS": _shortened, "CS": str.upper}
