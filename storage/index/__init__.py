"""The index of what is stored: patients, studies, series, instances; and when a study is due."""

from storage.index.adding import add, add_own, correct
from storage.index.completing import OpenStudy, complete, due_studies, note, open_studies
from storage.index.reading import (
    Glance,
    find_study,
    get_studies,
    get_study,
    glances,
    instances_by_id,
    list_newer_studies,
    list_studies,
    series_of,
)

__all__ = [
    "Glance",
    "OpenStudy",
    "add",
    "add_own",
    "complete",
    "correct",
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
    "series_of",
]
