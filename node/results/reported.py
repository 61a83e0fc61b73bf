"""The numbers and answers of an analysis as a file beside its results, for analyzers after it.

JSON: a list of records, one a finding, with the key of the structure that it belongs to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    OperatingPoint,
    Reference,
    Reported,
    Segment,
    Segmentation,
)
from node.results.presence import present_segments
from storage.files.port import Readable

NAME = "reported.json"


def write(findings: Findings, header: Dataset, folder: Path) -> Path:
    """Write what the findings report into ``folder``; gives the file.

    header: of an image that they were found on.
    """
    path = folder / NAME
    number = header.get("SeriesNumber")
    of = {
        "modality": str(header.get("Modality") or ""),
        "series": "" if number is None else str(number),
    }
    records = [_record(structure, finding) | of for structure, finding in _findings(findings)]
    with path.open("w", encoding="utf-8") as file:
        json.dump(records, file, ensure_ascii=False, sort_keys=True, indent=1)
    return path


def read(analyzer: str, file: Readable) -> tuple[Reported, ...]:
    """What ``analyzer`` reported; nothing where its results are no longer kept.

    Raises
    ------
    ValueError
        The file is damaged.
    """
    try:
        with file.open("rb") as opened:
            records = json.load(opened)
    except FileNotFoundError:
        return ()
    return tuple(
        Reported(
            analyzer,
            str(one["structure"]),
            _finding(one),
            one.get("modality", ""),  # older files have neither
            one.get("series", ""),
        )
        for one in records
    )


def _findings(findings: Findings) -> Iterator[tuple[str, Measurement | Classification]]:
    for item in findings.items:
        if isinstance(item, Measurement | Classification):
            yield "", item
        elif isinstance(item, Detection):
            yield from _parts(item)
        elif isinstance(item, Segmentation):
            for segment in present_segments(item):
                yield from _parts(segment)


def _parts(item: Detection | Segment) -> Iterator[tuple[str, Measurement | Classification]]:
    for measurement in item.measurements:
        yield item.key, measurement
    for classification in item.classifications:
        yield item.key, classification


def _record(structure: str, finding: Measurement | Classification) -> dict[str, Any]:
    record = {"structure": structure, **asdict(finding)}
    if isinstance(finding, Measurement) and not math.isfinite(finding.value):
        record["value"] = None
    return record


def _finding(record: dict[str, Any]) -> Measurement | Classification:
    if "question" not in record:
        value = record["value"]
        return Measurement(
            name=Code(**record["name"]),
            value=math.nan if value is None else float(value),
            unit=Code(**record["unit"]),
            derivation=Code(**record["derivation"]) if record["derivation"] else None,
            reference=Reference(**given) if (given := record.get("reference")) else None,
        )
    point = record["operating_point"]
    return Classification(
        question=Code(**record["question"]),
        answer=Code(**record["answer"]),
        probability=record["probability"],
        operating_point=OperatingPoint(**point) if point else None,
        reasons=tuple(record["reasons"]),
    )
