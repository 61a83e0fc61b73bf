"""An archive that speaks DICOMweb: QIDO-RS, then WADO-RS, whose files are received as they come
(PS3.18 10.4, 10.6).

What stands in its URLs names patients' studies: neither a log nor a message says any of it.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import httpx
from pydicom.datadict import tag_for_keyword

from node.config.archives import WebArchiveSettings
from node.errors import SettingsError
from node.fetch.agreeing import CHECKED, agrees, described, is_wanted
from node.fetch.arrivals import Arriving
from node.fetch.source import Ends, FoundSeries, FoundStudy, SourceFault
from node.receive.body_parts import BodyFault, BodyParts, TooMuch
from node.receive.file_reception import FileReception, Outcome, Refusal
from node.receive.reception import NO_END, Receiver
from storage.fetches import Wanted

PAGE = 500
"""Matches that are asked for at once."""
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""How long nothing may be heard."""
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As they are stored there."""
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class WebSource:
    """``refusal``: what is never taken over the web."""

    settings: WebArchiveSettings
    receiver: Receiver
    refusal: Refusal

    @property
    def name(self) -> str:
        return self.settings.name

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        with self._client() as client:
            asking = _Asking(self.name, client, ends)
            heads: dict[str, str] = {}
            for uid in wanted.study_uids or ("",):
                heads |= _studies(asking, wanted, uid)
            found = [_whole(asking, uid, patient, wanted) for uid, patient in heads.items()]
        return [one for one in found if one.series]

    def bring(
        self, missing: FoundStudy, whole: frozenset[str], arriving: Arriving, ends: Ends
    ) -> str:
        said: dict[str, None] = {}
        with self._client() as client:
            for path in _paths(missing, whole):
                if ends():
                    break
                said |= dict.fromkeys(self._receive(client, missing, path, ends))
        return "; ".join(said)

    def _receive(
        self, client: httpx.Client, missing: FoundStudy, path: str, ends: Ends
    ) -> list[str]:
        """One multipart body, file by file into the reception; gives what was wrong with some."""
        with client.stream("GET", path, headers={"Accept": FILES}) as answer:
            if answer.status_code not in (200, 206):
                return [f"WADO-RS was answered with {answer.status_code}"]
            files = _Files(self, missing.study_instance_uid)
            parts = BodyParts(_boundary(self.name, answer), files)
            try:
                for chunk in answer.iter_bytes():
                    parts.feed(chunk)
                    if ends():
                        return files.faults
                parts.finish()
            except (BodyFault, TooMuch) as fault:
                raise SourceFault(f"{self.name}: {fault}") from fault
            finally:
                files.abandon()
            return files.faults

    def begin(self, study_instance_uid: str) -> FileReception:
        """A file comes, of that study alone."""
        return FileReception(self.receiver, self.refusal, self.name[:16], study_instance_uid)

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        """Raises SourceFault for all that goes wrong between the two machines."""
        settings = self.settings
        try:
            token, user = settings.token(), settings.user
            with httpx.Client(
                base_url=settings.url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                auth=(user, settings.password()) if user and not token else None,
                verify=ssl.create_default_context(cafile=settings.ca),
                timeout=TIMEOUT,
                trust_env=False,
            ) as client:
                yield client
        except (SettingsError, ssl.SSLError, OSError) as error:
            raise SourceFault(f"{self.name}: {error}") from error
        except httpx.TimeoutException as error:
            raise SourceFault(f"{self.name} did not answer in time") from error
        except httpx.ConnectError as error:
            raise SourceFault(f"no connection to {self.name}: {error}") from error
        except httpx.HTTPError as error:  # its text may hold a URL
            raise SourceFault(f"{self.name}: {type(error).__name__}") from error


class _Files:
    """Takes the parts of a body; each is a file."""

    def __init__(self, source: WebSource, study_instance_uid: str) -> None:
        self._source = source
        self._study = study_instance_uid
        self._file: FileReception | None = None
        self.faults: list[str] = []

    def begin_part(self, headers: Mapping[str, str]) -> None:
        self._file = self._source.begin(self._study)

    def part_data(self, data: memoryview) -> None:
        """Raises TooMuch."""
        if self._file is not None:
            self._file.write(data)
            if self._source.receiver.has_no_end(self._file.size_bytes):
                raise TooMuch(NO_END)

    def end_part(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            outcome: Outcome = file.finish()
            if not outcome.is_stored:
                self.faults.append(f"refused here with 0x{outcome.reason:04X}: {outcome.comment}")

    def abandon(self) -> None:
        """The body ended early: what came of a file is deleted."""
        file, self._file = self._file, None
        if file is not None:
            file.abandon()


def _boundary(source: str, answer: httpx.Response) -> bytes:
    header = Message()
    header["Content-Type"] = answer.headers.get("Content-Type", "")
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or not boundary:
        raise SourceFault(f"{source} does not answer WADO-RS with multipart/related")
    return boundary.encode("latin-1")


def _paths(missing: FoundStudy, whole: frozenset[str]) -> Iterator[str]:
    """A series of which nothing is here at once, of others instance by instance."""
    for series in missing.series:
        path = f"/studies/{missing.study_instance_uid}/series/{series.series_instance_uid}"
        if series.series_instance_uid in whole:
            yield path
        else:
            yield from (f"{path}/instances/{uid}" for uid in sorted(series.instances))


# --- queries --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asking:
    source: str
    client: httpx.Client
    ends: Ends

    def matches(self, path: str, unique: str, keys: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """All matches, page by page, each once; their values by keyword."""
        seen: set[str] = set()
        asked = [(key, value) for key, value in keys.items() if value]
        fields = [("includefield", key) for key, value in keys.items() if not value]
        while not self.ends():
            place = [("limit", str(PAGE)), ("offset", str(len(seen)))]
            page = [
                _values(one, (unique, *keys)) for one in self._page(path, (*asked, *fields, *place))
            ]
            fresh = [one for one in page if _UID.fullmatch(one[unique]) and one[unique] not in seen]
            if not fresh:
                return
            seen.update(one[unique] for one in fresh)
            yield from fresh

    def _page(self, path: str, parameters: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
        accepted = {"Accept": "application/dicom+json"}
        answer = self.client.get(path, params=httpx.QueryParams(parameters), headers=accepted)
        if answer.status_code == httpx.codes.NO_CONTENT:
            return []  # as editions before 2020 have it
        if answer.status_code != httpx.codes.OK:
            raise SourceFault(f"{self.source} answered a query (QIDO-RS) with {answer.status_code}")
        try:
            found = json.loads(answer.content)
        except ValueError as error:
            raise SourceFault(f"{self.source} does not answer a query with JSON") from error
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _studies(asking: _Asking, wanted: Wanted, study_uid: str) -> dict[str, str]:
    """The studies that match, with their patients' IDs."""
    keys = {**described(wanted), "StudyInstanceUID": study_uid}
    if wanted.series_uids and not any(keys[one] for one in CHECKED):
        return {
            match["StudyInstanceUID"]: match["PatientID"]
            for uid in wanted.series_uids
            for match in asking.matches(
                "/series",
                "SeriesInstanceUID",
                {"SeriesInstanceUID": uid, "StudyInstanceUID": "", "PatientID": ""},
            )
            if match["SeriesInstanceUID"] == uid and _UID.fullmatch(match["StudyInstanceUID"])
        }
    if not wanted.modality:
        keys.pop("ModalitiesInStudy")
    return {
        match["StudyInstanceUID"]: match["PatientID"]
        for match in asking.matches("/studies", "StudyInstanceUID", keys)
        if agrees(asking.source, keys, match)
    }


def _whole(asking: _Asking, study_uid: str, patient_id: str, wanted: Wanted) -> FoundStudy:
    path = f"/studies/{study_uid}/series"
    found = []
    for match in asking.matches(path, "SeriesInstanceUID", {"Modality": ""}):
        uid, modality = match["SeriesInstanceUID"], match["Modality"]
        if is_wanted(uid, modality, wanted):
            instances = {
                one["SOPInstanceUID"]: one["SOPClassUID"]
                for one in asking.matches(
                    f"{path}/{uid}/instances", "SOPInstanceUID", {"SOPClassUID": ""}
                )
            }
            found.append(FoundSeries(uid, modality, instances))
    return FoundStudy(study_uid, patient_id, tuple(one for one in found if one.instances))


def _values(match: Mapping[str, Any], keywords: tuple[str, ...]) -> dict[str, str]:
    """PS3.18 F.2: the first value of each attribute, empty where there is none."""
    found = {}
    for keyword in keywords:
        element = match.get(f"{tag_for_keyword(keyword) or 0:08X}")
        values = element.get("Value") if isinstance(element, dict) else None
        found[keyword] = str(values[0]) if isinstance(values, list) and values else ""
    return found
