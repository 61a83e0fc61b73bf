"""Lays out the package of a new analyzer, whose test passes from the first minute on.

Owns the files in ``package/``, in which ``$name``, ``$title``, ``$package``, ``$class_name`` and
``$dashed`` stand for what the name makes of them.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

from analyzers.contract import AnalyzerError

LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class CannotLayOut(AnalyzerError):
    """The package of a new analyzer cannot be written; the message says what to change."""


def lay_out(name: str, into: Path) -> Path:
    """The folder ``into/name`` with a package, its test and a README; nothing is overwritten.

    Raises
    ------
    CannotLayOut
        The name is none, or the folder is there.
    """
    _require_name(name)
    home = into / name
    try:
        home.mkdir(parents=True)
    except FileExistsError as error:
        raise CannotLayOut(
            f"{home} is there already: give another name, or another folder by --into"
        ) from error
    except OSError as error:
        raise CannotLayOut(f"{home} cannot be made: {error.strerror}") from error
    words = _words(name)
    for source, target in _files(name, words["package"]).items():
        path = home / target
        path.parent.mkdir(exist_ok=True)
        text = resources.files(__name__).joinpath("package", source).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return home


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CannotLayOut(
            f"{name!r} is no name of an analyzer: lower case letters, digits and single underscores"
            " between them are accepted, a letter first: lung_nodule"
        )
    if len(name) > LONGEST:
        raise CannotLayOut(f"the name has {len(name)} characters: at most {LONGEST} are accepted")


def _words(name: str) -> dict[str, str]:
    parts = name.split("_")
    return {
        "name": name,
        "title": " ".join(parts).capitalize(),
        "package": f"wetread_{name}",
        "class_name": "".join(part.capitalize() for part in parts),
        "dashed": "-".join(parts),
    }


def _files(name: str, package: str) -> dict[str, str]:
    return {
        "pyproject.toml.in": "pyproject.toml",
        "README.md.in": "README.md",
        "init.py.in": f"{package}/__init__.py",
        "analyzer.py.in": f"{package}/analyzer.py",
        "test.py.in": f"tests/test_{name}.py",
    }
