"""What the worker is told of a note that takes results back (``node.delivery.retractions``)."""

from __future__ import annotations

from node.results.modules.source import HierarchicalReference
from node.results.study.members import Selected
from node.work.executor import Retraction
from storage import retractable
from storage.database import Transaction
from storage.kinds import ObjectKind
from storage.records import Job
from storage.retractable import OBJECTS, REASON

_IMAGES = frozenset(
    {
        ObjectKind.IMAGE,
        ObjectKind.SEGMENTATION,
        ObjectKind.PROBABILITY,
        ObjectKind.LABEL_MAP,
        ObjectKind.MAP,
        ObjectKind.PICTURE,
        ObjectKind.SHEET,
    }
)
"""Kinds of image SOP classes: they are named as images, others as composite objects."""


def told(tx: Transaction, job: Job) -> Retraction:
    """What a note takes back, as the ledger knows it."""
    uids = str(job.parameters[OBJECTS]).split()
    return Retraction(
        objects=tuple(
            Selected(
                HierarchicalReference(
                    job.study_instance_uid,
                    one.series_instance_uid,
                    one.sop_class_uid,
                    one.sop_instance_uid,
                ),
                is_image=one.kind in _IMAGES,
            )
            for one in retractable.by_uid(tx, uids)
        ),
        reason=str(job.parameters[REASON]),
    )
