"""``wetread new-analyzer``: the package of an analyzer of one's own, to begin with."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from analyzers import registry, template
from analyzers.contract import AnalyzerError
from node.errors import SettingsError

console = Console()


def new_analyzer(name: str, into: Path) -> int:
    """Lay out the package and say what comes next."""
    if name in registry.names():
        raise SettingsError(f"an analyzer called {name!r} is installed already: give another name")
    try:
        home = template.lay_out(name, into)
    except AnalyzerError as error:
        raise SettingsError(str(error)) from error
    console.print(f"{home} is laid out. Next:", markup=False, soft_wrap=True)
    for step in (f"cd {home}", "pip install -e .", "pytest", f"wetread analyzers {name}"):
        console.print(f"  {step}", markup=False, soft_wrap=True)
    return 0
