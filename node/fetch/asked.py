"""A wish to fetch, as a person or a program gives it: checked before it is entered."""

from __future__ import annotations

import re
from collections.abc import Collection

from analyzers import registry
from node.config.nearest import nearest
from node.config.settings import Settings
from node.errors import NodeError
from storage.fetches import NewFetch, Wanted

MAX_TEXT = 64
_UID = re.compile(r"[0-9.]{1,64}")
_LONGEST_DATE = 17


class NotAskable(NodeError):
    """The wish cannot be entered; the message says which condition is not met."""


def source_names(settings: Settings) -> tuple[str, ...]:
    """What can be fetched from, in the order of the settings."""
    called = [one.name for one in settings.entities]
    return (*called, *(one.name for one in settings.web_services))


def checked(new: NewFetch, sources: Collection[str]) -> NewFetch:
    """The wish, if it can be carried out.

    Raises
    ------
    NotAskable
    """
    if new.source not in sources:
        known = nearest(new.source, sources) or "; [[archives]] names sources"
        raise NotAskable(f"there is no source {new.source!r}{known}")
    if new.analyzer and new.analyzer not in registry.names():
        known = nearest(new.analyzer, registry.names())
        raise NotAskable(f"there is no analyzer {new.analyzer!r}{known}")
    _check(new.wanted)
    return new


def _check(wanted: Wanted) -> None:
    if not wanted.names_something:
        raise NotAskable("say what to fetch: accession number, patient ID, study, series or date")
    for uid in (*wanted.study_uids, *wanted.series_uids):
        if not _UID.fullmatch(uid):
            raise NotAskable("a study or series is named by its UID: digits and dots")
    for text in (wanted.accession_number, wanted.patient_id, wanted.modality):
        if len(text) > MAX_TEXT or "\\" in text or not text.isprintable():
            raise NotAskable("a value has at most 64 characters, none of them a backslash")
    if not _is_date(wanted.study_date):
        raise NotAskable("a date is YYYYMMDD, or a range: YYYYMMDD-YYYYMMDD, YYYYMMDD-, -YYYYMMDD")


def _is_date(text: str) -> bool:
    days = [part for part in text.split("-") if part]
    shape = len(text) <= _LONGEST_DATE and text.count("-") <= 1
    return shape and all(len(day) == 8 and day.isdecimal() for day in days) and text != "-"
