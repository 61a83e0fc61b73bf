"""The clients that were written elsewhere, and how each is made to find and fetch.

Command-line tools are run here; libraries have a program of their own in ``drivers``, which is run
in the client's environment (``install.sh`` makes them). What comes back is judged in ``judge.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pydicom

from tests.interoperability.target import Target, fresh

DRIVERS = Path(__file__).parent / "drivers"
PEERS = Path(os.environ.get("INTEROP_PEERS", Path.home() / ".cache" / "wetread-peers"))
_TIMEOUT_S = 280

Told = dict[str, Any]
"""What one service gave: lists of UIDs, a folder of files, or an error."""


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``run`` gives, by service, what it told; in a folder it may write to."""

    name: str
    version: Callable[[], str]
    run: Callable[[Target, Path], dict[str, Told]]
    is_installed: Callable[[], bool]


class ClientFailed(Exception):
    """A program ended with an error."""


def _run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip()[-600:]
        raise ClientFailed(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


def _all(services: dict[str, Callable[[Path], Told]], folder: Path) -> dict[str, Told]:
    """Each service in a folder of its own; one that fails tells why."""
    told: dict[str, Told] = {}
    for name, service in services.items():
        try:
            told[name] = service(fresh(folder / name))
        except (ClientFailed, subprocess.TimeoutExpired) as error:
            told[name] = {"error": str(error)}
    return told


def _uids(folder: Path, keyword: str) -> list[str]:
    files = (file for file in sorted(folder.iterdir()) if file.is_file())
    return [str(pydicom.dcmread(file, force=True).get(keyword)) for file in files]


def _found(
    ask: Callable[[str, Path, dict[str, str]], list[str]], there: Target
) -> Callable[[Path], Told]:
    """All three levels by one function that asks one: wanted keyword, folder, keys."""

    def find(folder: Path) -> Told:
        study = {"StudyInstanceUID": there.study}
        return {
            "studies": ask(
                "StudyInstanceUID", fresh(folder / "1"), {"PatientID": there.patient_id}
            ),
            "series": ask("SeriesInstanceUID", fresh(folder / "2"), study),
            "instances": [
                uid
                for number, series in enumerate(there.series)
                for uid in ask(
                    "SOPInstanceUID",
                    fresh(folder / f"3-{number}"),
                    study | {"SeriesInstanceUID": series},
                )
            ],
        }

    return find


_LEVELS = {"StudyInstanceUID": "STUDY", "SeriesInstanceUID": "SERIES", "SOPInstanceUID": "IMAGE"}


def _keys(wanted: str, values: dict[str, str]) -> list[str]:
    keys = {"QueryRetrieveLevel": _LEVELS[wanted], wanted: "", **values}
    return [word for key, value in keys.items() for word in ("-k", f"{key}={value}")]


def _files(folder: Path) -> Told:
    return {"instances": _uids(folder, "SOPInstanceUID"), "folder": str(folder)}


# --- DCMTK, pynetdicom's applications, GDCM -------------------------------------------------------


def _dcmtk(there: Target, folder: Path) -> dict[str, Told]:
    address = ["-aet", there.own_ae_title, "-aec", there.ae_title, there.host, str(there.port)]
    study = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={there.study}"]

    def ask(wanted: str, into: Path, values: dict[str, str]) -> list[str]:
        _run(["/usr/bin/findscu", "-S", "-X", *_keys(wanted, values), *address], into)
        return _uids(into, wanted)

    def get(into: Path) -> Told:
        _run(["/usr/bin/getscu", "-S", "-od", ".", *study, *address], into)
        return _files(into)

    def move(into: Path) -> Told:
        own = ["+P", str(there.own_port), "-aem", there.own_ae_title, "-od", "."]
        _run(["/usr/bin/movescu", "-S", *own, *study, *address], into)
        return _files(into)

    return _all({"find": _found(ask, there), "get": get, "move": move}, folder)


def _pynetdicom(there: Target, folder: Path) -> dict[str, Told]:
    address = [there.host, str(there.port), "-aet", there.own_ae_title, "-aec", there.ae_title]
    study = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={there.study}"]

    def app(name: str, into: Path, *more: str) -> None:
        _run([sys.executable, "-m", "pynetdicom", name, *address, "-S", *more], into)

    def ask(wanted: str, into: Path, values: dict[str, str]) -> list[str]:
        app("findscu", into, "-w", *_keys(wanted, values))
        return _uids(into, wanted)

    def get(into: Path) -> Told:
        app("getscu", into, "-od", ".", *study)
        return _files(into)

    def move(into: Path) -> Told:
        own = ["--store", "--store-port", str(there.own_port), "-aem", there.own_ae_title]
        app("movescu", into, *own, "-od", ".", *study)
        return _files(into)

    return _all({"find": _found(ask, there), "get": get, "move": move}, folder)


_GDCM_TAGS = {
    "StudyInstanceUID": ("20,d", "0020,000d"),
    "SeriesInstanceUID": ("20,e", "0020,000e"),
    "SOPInstanceUID": ("8,18", "0008,0018"),
    "PatientID": ("10,20", "0010,0020"),
}


def _gdcm(there: Target, folder: Path) -> dict[str, Told]:
    address = ["--studyroot", "--call", there.ae_title, "--aetitle", there.own_ae_title]
    address += [there.host, str(there.port)]
    levels = {"STUDY": "--study", "SERIES": "--series", "IMAGE": "--image"}

    def ask(wanted: str, into: Path, values: dict[str, str]) -> list[str]:
        keys = {wanted: "", **values}
        given = [
            w for key, value in keys.items() for w in ("--key", f"{_GDCM_TAGS[key][0]}={value}")
        ]
        level = levels[_LEVELS[wanted]]
        text = _run(["gdcmscu", "--find", level, *given, *address], into)
        tag = re.escape(_GDCM_TAGS[wanted][1])
        return re.findall(rf"\({tag}\) UI \[?([0-9.]+)", text)

    def move(into: Path) -> Told:
        own = ["-o", ".", "--port-scp", str(there.own_port)]
        keys = ["--study", "--key", f"20,d={there.study}"]
        _run(["gdcmscu", "--move", *keys, *own, *address], into)
        return _files(into)

    return _all({"find": _found(ask, there), "move": move}, folder)


# --- libraries, each in its own environment -------------------------------------------------------


def _driven(
    program: str, interpreter: str, home: str = ""
) -> Callable[[Target, Path], dict[str, Told]]:
    def run(there: Target, folder: Path) -> dict[str, Told]:
        command = [_interpreter(interpreter), str(DRIVERS / program), there.told()]
        text = _run(command, fresh(folder), CLIENT_FOLDER=str(PEERS / home))
        return dict(json.loads(text.strip().splitlines()[-1]))

    def guarded(there: Target, folder: Path) -> dict[str, Told]:
        try:
            return run(there, folder)
        except (ClientFailed, subprocess.TimeoutExpired) as error:
            return {"all": {"error": str(error)}}

    return guarded


_PYTHON = "py/bin/python"


def _interpreter(name: str) -> str:
    """One of the environments, this very Python in its place, or a program of the system."""
    own = PEERS / name
    if own.is_file():
        return str(own)
    return sys.executable if name == _PYTHON else (shutil.which(name) or name)


def debian(package: str) -> Callable[[], str]:
    def version() -> str:
        command = ["dpkg-query", "-W", "-f", "${Version}", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return f"Debian's {done.stdout}" if done.returncode == 0 else "not of Debian"

    return version


def _python(package: str) -> Callable[[], str]:
    def version() -> str:
        code = f"from importlib.metadata import version as v; print(v({package!r}))"
        done = subprocess.run(
            [_interpreter(_PYTHON), "-c", code], capture_output=True, text=True, check=False
        )
        return f"PyPI's {done.stdout.strip()}"

    return version


def _npm(folder: str) -> Callable[[], str]:
    def version() -> str:
        return f"npm's {json.loads((PEERS / folder / 'package.json').read_text())['version']}"

    return version


def _has(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


def _exists(*paths: str) -> Callable[[], bool]:
    return lambda: all((PEERS / path).exists() for path in paths)


def _imports(module: str) -> Callable[[], bool]:
    return lambda: (PEERS / _PYTHON).exists() or find_spec(module) is not None


_IN_NODE = "node/node_modules"

CLIENTS: tuple[Client, ...] = (
    Client("DCMTK findscu, getscu, movescu", debian("dcmtk"), _dcmtk, _has("/usr/bin/getscu")),
    Client("gdcmscu", debian("libgdcm-tools"), _gdcm, _has("gdcmscu")),
    Client(
        "pynetdicom's findscu, getscu, movescu",
        lambda: f"PyPI's {metadata.version('pynetdicom')}",
        _pynetdicom,
        lambda: True,
    ),
    Client(
        "pynetdicom2",
        _python("pynetdicom2"),
        _driven("pynetdicom2_client.py", _PYTHON),
        _exists(_PYTHON),
    ),
    Client(
        "odil",
        debian("python3-odil"),
        _driven("odil_client.py", "/usr/bin/python3"),
        lambda: Path("/usr/lib/python3/dist-packages/odil").exists(),
    ),
    Client(
        "dcmjs-dimse",
        _npm(f"{_IN_NODE}/dcmjs-dimse"),
        _driven("dcmjs_dimse.mjs", "node", "node"),
        _exists(f"{_IN_NODE}/dcmjs-dimse"),
    ),
    Client(
        "dicomweb-client (Python)",
        _python("dicomweb-client"),
        _driven("dicomweb_client_pypi.py", _PYTHON),
        _imports("dicomweb_client"),
    ),
    Client(
        "dicomweb-client (JavaScript)",
        _npm(f"{_IN_NODE}/dicomweb-client"),
        _driven("dicomweb_client_npm.mjs", "node", "node"),
        _exists(f"{_IN_NODE}/dicomweb-client"),
    ),
    Client(
        "dicomtrolley",
        _python("dicomtrolley"),
        _driven("dicomtrolley_client.py", _PYTHON),
        _exists(_PYTHON),
    ),
    Client(
        "dicomweb-mcp-server",
        _npm("mcp"),
        _driven("dicomweb_mcp_server.mjs", "node", "mcp"),
        _exists("mcp/node_modules"),
    ),
)
