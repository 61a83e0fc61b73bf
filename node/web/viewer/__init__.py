"""Serves OHIF from the node's own origin, opened at a finding."""
