"""What an analyzer imports only where it is used is there before the first job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analyzers.preload import preload

ANALYZE_AFTER_PRELOAD = """
import json, sys
from analyzers import registry
from analyzers.preload import preload
name = sys.argv[1]
kind = registry.load(name)
preload(kind.__module__)
analyzer = kind("cpu")
from analyzers.testing.examples import example
of = example(kind.inputs)
known = set(sys.modules)
from analyzers.contract import NotApplicable
try:
    analyzer.analyze(of, registry.parameters(name, {}))
except NotApplicable:
    pass
print(json.dumps(sorted(one for one in set(sys.modules) - known if one.startswith("analyzers."))))
"""


@pytest.mark.parametrize("name", ["lung_segmentation", "opacity_svm", "hippocampus_unet"])
def test_a_first_analysis_imports_no_module_of_the_analyzers_any_more(name: str) -> None:
    run = [sys.executable, "-c", ANALYZE_AFTER_PRELOAD, name]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == []


def test_what_a_function_of_a_plugin_cannot_import_is_left_to_that_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lazyplugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(
        "def analyze():\n    import lazyplugin.two\n    import nowhere_to_be_found\n"
    )
    (package / "two.py").write_text("def more():\n    from lazyplugin import three\n")
    (package / "four.py").write_text("")
    (package / "five.py").write_text("raise SystemExit\n")
    (package / "three.py").write_text(
        "def most():\n    from . import four\n    from .five import what\n"
        "    from .wave import sine\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    __import__("lazyplugin.one")
    preload("lazyplugin.one")
    assert {"lazyplugin.three", "lazyplugin.four"} <= set(sys.modules)
    assert "wave" not in sys.modules, "not what merely bears the name of a relative import"
    for name in [one for one in sys.modules if one.partition(".")[0] == "lazyplugin"]:
        monkeypatch.delitem(sys.modules, name)
