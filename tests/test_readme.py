"""What the README shows must run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from node.results.modules.source import Provenance
from node.results.write import write_results
from node.series.read import read_series

README = Path(__file__).parents[1] / "README.md"


def test_the_analyzer_in_the_readme_runs_and_its_results_pass_the_gate(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 24
    names: dict[str, object] = {}
    exec(code, names)
    analyzer = names["Air"]("cpu")  # type: ignore[operator]
    source = read_series(phantom_paths)
    findings = analyzer.analyze(source.volume, analyzer.parameters())
    provenance = Provenance(
        analyzer="air",
        analyzer_version="1.0.0",
        analyzer_title="Air in the images",
        parameters={},
        device="cpu",
        node_version="0",
        key="cd" * 32,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    results = write_results(source, findings, provenance, tmp_path / "out")
    assert [one.kind for one in results.objects] == ["seg", "sr"]
    assert results.findings[0].value is not None
    assert results.findings[0].value > 100


def test_every_command_that_the_readme_names_exists() -> None:
    from typer.main import get_command

    from node.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"wetread (\w[\w-]*)", README.read_text()))
    assert named & known == known
    assert named - known <= {"db"}
