"""Orthanc as requestor: its query/retrieve by DIMSE, its client of DICOMweb."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.interoperability.clients import Told
from tests.interoperability.target import Target
from tests.peers import free_port
from tests.waiting import until

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def is_installed() -> bool:
    return shutil.which("Orthanc") is not None and PLUGIN.exists()


def run(there: Target, folder: Path) -> dict[str, Told]:
    """All by the REST API, as its users' scripts do; what came is asked of Orthanc itself."""
    with _running(there, folder) as rest:
        services = {
            "find": lambda: _find(rest, there),
            "move": lambda: _retrieved(rest, lambda: _move(rest, there)),
            "qido": lambda: _qido(rest, there),
            "wado": lambda: _retrieved(rest, lambda: _wado(rest, there)),
            "stow": lambda: _stow(rest, there),
        }
        return {name: _told(service) for name, service in services.items()}


def _told(service: Callable[[], Told]) -> Told:
    try:
        return service()
    except httpx.HTTPStatusError as error:
        return {"error": f"Orthanc answered {error.response.status_code}: {error.response.text}"}


def _post(rest: httpx.Client, path: str, body: Any) -> Any:
    answer = rest.post(path, content=body if isinstance(body, bytes) else json.dumps(body))
    answer.raise_for_status()
    return answer.json() if answer.content else None


def _query(rest: httpx.Client, level: str, keys: dict[str, str]) -> str:
    query = _post(rest, "/modalities/node/query", {"Level": level, "Query": keys})
    return f"/queries/{query['ID']}"


def _find(rest: httpx.Client, there: Target) -> Told:
    def ask(level: str, wanted: str, keys: dict[str, str]) -> list[str]:
        path = _query(rest, level, keys | {wanted: ""})
        answers = rest.get(f"{path}/answers?expand&simplify").raise_for_status().json()
        return [one[wanted] for one in answers]

    study = {"StudyInstanceUID": there.study}
    return {
        "studies": ask("Study", "StudyInstanceUID", {"PatientID": there.patient_id}),
        "series": ask("Series", "SeriesInstanceUID", study),
        "instances": [
            uid
            for series in there.series
            for uid in ask("Instance", "SOPInstanceUID", study | {"SeriesInstanceUID": series})
        ],
    }


def _retrieved(rest: httpx.Client, retrieve: Callable[[], object]) -> Told:
    for patient in rest.get("/patients").json():
        rest.delete(f"/patients/{patient}").raise_for_status()
    retrieve()
    tags = rest.get("/instances?expand").raise_for_status().json()
    return {"instances": [one["MainDicomTags"]["SOPInstanceUID"] for one in tags]}


def _move(rest: httpx.Client, there: Target) -> object:
    path = _query(rest, "Study", {"StudyInstanceUID": there.study})
    body = {"TargetAet": there.own_ae_title, "Synchronous": True}
    return _post(rest, f"{path}/retrieve", body)


def _wado(rest: httpx.Client, there: Target) -> object:
    body = {"Resources": [{"Study": there.study}], "Synchronous": True}
    return _post(rest, "/dicom-web/servers/node/retrieve", body)


def _qido(rest: httpx.Client, there: Target) -> Told:
    def ask(uri: str, wanted: str, **arguments: str) -> list[str]:
        body = {"Uri": uri, "Arguments": arguments}
        found = _post(rest, "/dicom-web/servers/node/qido", body)
        values = (one[wanted]["Value"] for one in found)
        return [one if isinstance(one, str) else one[0] for one in values]

    study = f"/studies/{there.study}"
    return {
        "studies": ask("/studies", "0020000D", PatientID=there.patient_id),
        "series": ask(f"{study}/series", "0020000E"),
        "instances": ask(f"{study}/instances", "00080018"),
    }


def _stow(rest: httpx.Client, there: Target) -> Told:
    new = [_post(rest, "/instances", Path(file).read_bytes())["ID"] for file in there.files]
    uids = [rest.get(f"/instances/{one}").json()["MainDicomTags"]["SOPInstanceUID"] for one in new]
    _post(rest, "/dicom-web/servers/node/stow", {"Resources": new, "Synchronous": True})
    return {"stored": uids}


@contextmanager
def _running(there: Target, folder: Path) -> Iterator[httpx.Client]:
    folder.mkdir(parents=True, exist_ok=True)
    http = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": there.own_ae_title,
        "DicomPort": there.own_port,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": {"node": [there.ae_title, there.host, there.port]},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Servers": {"node": [there.web + "/"]}},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        command = ["Orthanc", str(folder / "orthanc.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=60) as rest:
        try:
            until(lambda: _serves(rest), told=lambda: (folder / "log").read_text()[-2000:])
            yield rest
        finally:
            process.terminate()
            process.wait(20)


def _serves(rest: httpx.Client) -> bool:
    try:
        return rest.get("/system").is_success
    except httpx.HTTPError:
        return False
