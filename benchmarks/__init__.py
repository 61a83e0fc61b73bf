"""Measurements, each beside its peer or its bare parts, as ratios from one run."""
