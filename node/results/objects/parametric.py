"""Computed quantities as Parametric Map objects of 32-bit floats (PS3.3 A.75), one a finding."""

from __future__ import annotations

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from analyzers.contract import ParametricMap, Volume
from node.results import uids
from node.results.errors import FindingsContradictImages
from node.results.modules import planes, provenance
from node.results.modules.source import Provenance
from node.results.series_numbers import SeriesPlace
from node.series.source import Source


def can_be_placed(source: Source) -> bool:
    """Whether the images lie in space: a Parametric Map must (PS3.3 C.8.23.3.1)."""
    return planes.plane(source, 0) is not None


def build(
    source: Source, item: ParametricMap, provenance_: Provenance, place: SeriesPlace
) -> Dataset:
    """The map, ready to be written.

    Raises ``FindingsContradictImages`` for values off the grid of the images or not finite.
    """
    volume = _check(source, item)
    title = provenance.text(item.title)
    low, high = float(item.values.min()), float(item.values.max())
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="MAP",
        lut_explanation=title,
        unit=provenance.concept(item.unit),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=provenance.concept(item.quantity),
    )
    dataset: Dataset = hd.pm.ParametricMap(
        source_images=planes.stand_ins(source, volume),
        pixel_array=np.asarray(item.values, np.float32),
        series_instance_uid=uids.object_uid(provenance_.key, "map-series", place.index),
        series_number=place.series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, "map", place.index),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        manufacturer_model_name=provenance_.analyzer,
        software_versions=provenance_.analyzer_version,
        device_serial_number=provenance.serial_number(provenance_),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[_window(low, high)],
        content_label="PARAMETRIC_MAP",
        content_description=title,
        series_description=provenance.series_title(provenance_, title),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    dataset.ContentCreatorName = ""
    dataset.Laterality = ""
    planes.refer_to_source(dataset, source)
    organization = uids.object_uid(provenance_.key, "map-dimensions", place.index)
    planes.replace_dimension_organization(dataset, organization)
    provenance.stamp(dataset, source, provenance_, source.headers[0])
    return dataset


def _check(source: Source, item: ParametricMap) -> Volume:
    if source.volume is None or item.values.shape != source.volume.shape:
        raise FindingsContradictImages("the map does not lie on the grid of the images")
    if not np.isfinite(item.values).all():
        raise FindingsContradictImages("the map holds values that are not finite")
    return source.volume


def _window(low: float, high: float) -> hd.VOILUTTransformation:
    """The whole range; a linear window may not be narrower than 1, an exact one may."""
    return hd.VOILUTTransformation(
        window_center=(low + high) / 2,
        window_width=max(high - low, 1e-6),
        voi_lut_function=hd.VOILUTFunctionValues.LINEAR_EXACT,
    )
