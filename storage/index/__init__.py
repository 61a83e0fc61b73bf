"""The index of what is stored: patients, studies, series, instances; and when a study is due."""

from storage.index.adding import add, correct
from storage.index.completing import (
    Brought,
    CountedSeries,
    OpenStudy,
    brought,
    complete,
    counted,
    due_studies,
    note,
    open_studies,
)
from storage.index.own import CameBack, add_own, came_back, drop_own, take_instead
from storage.index.reading import (
    Glance,
    find_study,
    get_studies,
    get_study,
    glances,
    instances_by_id,
    list_newer_studies,
    list_studies,
    revision_of,
    series_of,
)

__all__ = [
    "Brought",
    "CameBack",
    "CountedSeries",
    "Glance",
    "OpenStudy",
    "add",
    "add_own",
    "brought",
    "came_back",
    "complete",
    "correct",
    "counted",
    "drop_own",
    "due_studies",
    "find_study",
    "get_studies",
    "get_study",
    "glances",
    "instances_by_id",
    "list_newer_studies",
    "list_studies",
    "note",
    "open_studies",
    "revision_of",
    "series_of",
    "take_instead",
]
