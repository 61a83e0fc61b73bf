"""Coded concepts of the analyzers. Values as printed in PS3.16 (SCT, DCM, UCUM).

Where no published concept says what is measured, the code stands in the private scheme 99WETREAD
(PS3.16 ch. 8) with a meaning that can be read without a table.
"""

from __future__ import annotations

from analyzers.contract import Code

PRIVATE_SCHEME = "99WETREAD"

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
"""CID 7150 Segmentation Property Category."""

LUNG = Code("39607008", "SCT", "Lung")

HIPPOCAMPUS = Code("5366008", "SCT", "Hippocampus")
"""CID 7140 Brain Structure for Volumetric Measurement."""

LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

VOLUME = Code("118565006", "SCT", "Volume")
ATTENUATION_COEFFICIENT = Code("112031", "DCM", "Attenuation Coefficient")
LOW_ATTENUATION_FRACTION = Code(
    "LAA950", PRIVATE_SCHEME, "Percentage of lung volume below -950 Hounsfield units"
)
"""Emphysema index; no concept of PS3.16 names it. DOI 10.1148/radiol.2391042059."""
TOTAL_LUNG_VOLUME = Code("TLVCT", PRIVATE_SCHEME, "Volume of both lungs on CT")

SUV_BW = Code("126401", "DCM", "SUVbw")

MEAN = Code("373098007", "SCT", "Mean")

NO_UNIT = Code("1", "UCUM", "no units")
MILLIMETER = Code("mm", "UCUM", "mm")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "mm2")
SQUARE_CENTIMETER = Code("cm2", "UCUM", "cm2")
CUBIC_MILLIMETER = Code("mm3", "UCUM", "mm3")
MILLILITER = Code("mL", "UCUM", "mL")
DEGREE = Code("deg", "UCUM", "degree")
PERCENT = Code("%", "UCUM", "Percent")
DECIBEL = Code("dB", "UCUM", "decibel")
GRAM = Code("g", "UCUM", "gram")
HOUNSFIELD_UNIT = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
GRAM_PER_ML = Code("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight")

SMOOTHING = Code("113087", "DCM", "Smoothing")
GAUSSIAN_BLUR = Code("113088", "DCM", "Gaussian blur")
UNSHARP_MASK = Code("113089", "DCM", "Unsharp mask")
SPATIAL_RESAMPLING = Code("113085", "DCM", "Spatial resampling")
"""CID 7203 Image Derivation."""
CONTRAST_ENHANCEMENT = Code(
    "CLAHE", PRIVATE_SCHEME, "Contrast-limited adaptive histogram equalization"
)
"""CID 7203, which is extensible, has no term for it."""
