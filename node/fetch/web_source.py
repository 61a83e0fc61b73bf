"""An archive that speaks DICOMweb: QIDO-RS, then WADO-RS, whose files are received as they come
(PS3.18 10.4, 10.6).

What stands in its URLs names patients' studies: neither a log nor a message says any of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message

import httpx

from node.config.web_called import WebCalledSettings
from node.dimse.errors import PeerUnavailable
from node.fetch.agreeing import CHECKED, agrees, described, is_wanted
from node.fetch.arrivals import Arriving
from node.fetch.source import Ends, FoundSeries, FoundStudy, SourceFault
from node.receive.body_parts import BodyFault, BodyParts, TooMuch
from node.receive.file_reception import FileReception, Outcome, Refusal
from node.receive.reception import NO_END, Receiver
from node.web_client.authorization import authorization_of
from node.web_client.client import opened
from node.web_client.matches import Asking, NoMatches, is_uid
from storage.fetches import Wanted

FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As they are stored there."""


@dataclass(frozen=True, slots=True)
class WebSource:
    """``refusal``: what is never taken over the web."""

    settings: WebCalledSettings
    receiver: Receiver
    refusal: Refusal

    @property
    def name(self) -> str:
        return self.settings.name

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        with self._client() as client:
            asking = Asking(self.name, client, ends)
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
            with opened(settings, authorization_of(settings)) as client:
                yield client
        except (PeerUnavailable, NoMatches) as error:
            raise SourceFault(str(error)) from error
        except OSError as error:
            raise SourceFault(f"{self.name}: {error}") from error


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


def _studies(asking: Asking, wanted: Wanted, study_uid: str) -> dict[str, str]:
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
            if match["SeriesInstanceUID"] == uid and is_uid(match["StudyInstanceUID"])
        }
    if not wanted.modality:
        keys.pop("ModalitiesInStudy")
    return {
        match["StudyInstanceUID"]: match["PatientID"]
        for match in asking.matches("/studies", "StudyInstanceUID", keys)
        if agrees(asking.service, keys, match)
    }


def _whole(asking: Asking, study_uid: str, patient_id: str, wanted: Wanted) -> FoundStudy:
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
