"""What kind of algorithm a method is (PS3.16 CID 7162, extensible), as results name it.

A threshold, a filter or a registration is no Artificial Intelligence: that is for what was trained.
"""

from __future__ import annotations

from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Code

NEIGHBORHOOD_ANALYSIS = Code("123101", "DCM", "Neighborhood Analysis")
ADAPTIVE_FILTERING = Code("123102", "DCM", "Adaptive Filtering")
MORPHOLOGICAL_OPERATIONS = Code("123104", "DCM", "Morphological Operations")
HISTOGRAM_ANALYSIS = Code("123105", "DCM", "Histogram Analysis")
MULTI_SCALE_FILTERING = Code("123106", "DCM", "Multi-Scale/Resolution Filtering")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
DEFORMABLE_MODELS = Code("123111", "DCM", "Deformable Models")
WRITTEN_RULES = Code("RULES", PRIVATE_SCHEME, "Written rules")
"""CID 7162 has no term for conclusions that are read from a table of conditions."""
