"""Tells open pages that something has changed, so that they ask for it anew."""
