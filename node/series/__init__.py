"""Images of a series read as one volume, for analysis, routing and pictures."""
