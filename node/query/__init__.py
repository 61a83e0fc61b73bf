"""Queries: what of all that the node holds fits what is asked, for C-FIND and for QIDO-RS."""
