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

LATER = (
    "fastapi", "starlette", "uvicorn", "jinja2", "httpx", "authlib", "cryptography", "alembic",
    "opentelemetry", "sqlalchemy.dialects.postgresql",
)  # fmt: skip
"""What a node that listens needs not yet, or never with its settings."""

AS_SERVE_DOES = """
import json, sys
from pathlib import Path
from node.config.load import load
settings = load(Path(sys.argv[1]))
import node.app
from storage.database import open_database
open_database(settings.database_url()).close()
from analyzers import registry
from node.intake.planning import Planner
Planner(settings.rules, settings.analyzers)
for name in registry.names():
    registry.info(name)
    registry.parameters(name, {})
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by_a_start(folder: Path, *analyzers: str) -> list[str]:
    settings = folder / "config.toml"
    place = f'[node]\ndata_dir = "{folder}"\n'
    settings.write_text(place + rule(*analyzers, to=""))
    run = [sys.executable, "-c", AS_SERVE_DOES, str(settings)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    loaded: list[str] = json.loads(said)
    assert "node.app" in loaded
    return loaded


def test_the_main_process_knows_every_analyzer_without_loading_what_they_compute_with(
    tmp_path: Path,
) -> None:
    loaded = loaded_by_a_start(tmp_path, *registry.names())
    assert [name for name in COMPUTES if name in loaded] == []


def test_a_node_that_is_not_the_first_here_listens_before_it_loads_pages_clients_and_migrations(
    tmp_path: Path,
) -> None:
    assert "alembic" in loaded_by_a_start(tmp_path, "gaussian_filter")
    loaded = loaded_by_a_start(tmp_path, "gaussian_filter")
    assert [name for name in LATER if name in loaded] == []
