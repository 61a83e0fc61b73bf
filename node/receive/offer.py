"""What is known of an instance before its data set comes."""

from __future__ import annotations

from typing import NamedTuple


class Offer(NamedTuple):
    """What a C-STORE's command and its presentation context say, or a file's meta information."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str = ""
    study_instance_uid: str = ""
    """Of the study that it has to belong to; empty: any."""
