"""The process that receives, plans and delivers holds nothing that computes on pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from analyzers import registry
from tests.node_process import rule

COMPUTES = (
    "torch", "torchvision", "scipy", "skimage", "sklearn", "cv2", "cc3d", "pywt", "safetensors",
)  # fmt: skip

AS_SERVE_DOES = """
import json, sys
from pathlib import Path
from node.config.load import load
settings = load(Path(sys.argv[1]))
import node.app
from analyzers import registry
from node.intake.planning import Planner
Planner(settings.rules, settings.analyzers)
for name in registry.names():
    registry.info(name)
    registry.parameters(name, {})
print(json.dumps(sorted(sys.modules)))
"""


def test_the_main_process_knows_every_analyzer_without_loading_what_they_compute_with(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(rule(*registry.names(), to=""))
    run = [sys.executable, "-c", AS_SERVE_DOES, str(settings)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    loaded = json.loads(said)
    assert "node.app" in loaded
    assert [name for name in COMPUTES if name in loaded] == []
