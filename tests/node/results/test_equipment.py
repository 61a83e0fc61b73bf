"""Who made an object, and for which request: said alike in objects of every kind."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.results.forms.table import FORMS
from node.results.modules.source import Maker
from node.results.write import write_notice, write_results
from node.series.source import Source
from tests.node.results.every_kind import fused_source, in_space
from tests.node.results.sources import PROVENANCE

IMAGES = ("image-0", "image-1", "compressed", "map", "color")
MAKER = Maker("Universitätsklinikum", "Radiologie", "LESER1", "0123456789ABCDEF")
RUN = dataclasses.replace(PROVENANCE, maker=MAKER)


def code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "DCM", meaning
    return made


def request(number: str) -> Dataset:
    made = Dataset()
    made.RequestedProcedureID, made.ScheduledProcedureStepID = f"RP{number}", f"SPS{number}"
    made.RequestedProcedureDescription = "Thorax, großes Programm"
    return made


def scanned() -> Source:
    """A CT that says who acquired it and for which two requests, and a PET beside it."""
    source = fused_source(slices=2)
    for headers, station in (
        (source.headers, "CT1"),
        (source.companions["pet"].headers, "PET1"),
    ):
        for header in headers:
            header.Manufacturer, header.ManufacturerModelName = "A maker", "A scanner"
            header.InstitutionName, header.StationName = "Elsewhere", station
            header.DeviceSerialNumber, header.SoftwareVersions = "S-1", ["1", "2"]
            header.RequestAttributesSequence = [request("1"), request("2")]
    return source


def written(source: Source, folder: Path, run: Any = RUN) -> dict[str, Dataset]:
    """All objects by their file names."""
    kinds = tuple(form.kind for form in FORMS)
    made = [*write_results(source, in_space(source), run, folder / "job", kinds).objects]
    made += write_notice(source, "failed", ["a reason"], run, folder / "notice").objects
    return {one.key: pydicom.dcmread(folder / one.key) for one in made}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return written(scanned(), tmp_path_factory.mktemp("equipment"))


def is_image(name: str) -> bool:
    return Path(name).name.startswith(IMAGES)


def purposes(dataset: Dataset) -> list[str]:
    return [
        one.PurposeOfReferenceCodeSequence[0].CodeValue
        for one in dataset.ContributingEquipmentSequence
    ]


def test_every_object_names_the_node_that_made_it(objects: dict[str, Dataset]) -> None:
    for name, one in objects.items():
        assert one.InstitutionName == "Universitätsklinikum", name
        assert (one.InstitutionalDepartmentName, one.StationName) == ("Radiologie", "LESER1")
        assert (one.Manufacturer, one.DeviceSerialNumber) == ("Wetread", "0123456789ABCDEF")
        algorithm = one.ContributingEquipmentSequence[-1]
        for keyword in ("InstitutionName", "StationName", "DeviceSerialNumber", "SoftwareVersions"):
            assert algorithm[keyword].value == one[keyword].value


def test_images_name_the_machine_that_acquired_what_they_were_made_from(
    objects: dict[str, Dataset],
) -> None:
    assert sum(map(is_image, objects)) == 9
    for name, one in objects.items():
        if not is_image(name):
            continue
        assert purposes(one) == ["109101", "109102"], name
        machine = one.ContributingEquipmentSequence[0]
        of_pet = Path(name).name.startswith("image-1")
        assert machine.StationName == ("PET1" if of_pet else "CT1")
        assert (machine.InstitutionName, machine.ManufacturerModelName) == (
            "Elsewhere",
            "A scanner",
        )
        assert list(machine.SoftwareVersions) == ["1", "2"]


def test_every_object_names_the_requests_in_the_place_that_its_class_has_for_them(
    objects: dict[str, Dataset],
) -> None:
    for name, one in objects.items():
        is_report = one.Modality in ("SR", "KO")
        place = "ReferencedRequestSequence" if is_report else "RequestAttributesSequence"
        assert [item.RequestedProcedureID for item in one[place].value] == ["RP1", "RP2"], name
        assert {item.RequestedProcedureDescription for item in one[place].value} == {
            "Thorax, großes Programm"
        }


def test_without_settings_the_institution_is_that_of_the_images(tmp_path: Path) -> None:
    source = scanned()
    run = dataclasses.replace(RUN, maker=Maker())
    results = write_notice(source, "failed", ["a reason"], run, tmp_path / "notice")
    report = pydicom.dcmread(tmp_path / results.objects[0].key)
    assert report.InstitutionName == "Elsewhere"
    assert "StationName" not in report and "InstitutionalDepartmentName" not in report


@pytest.mark.parametrize(
    ("image_type", "earlier", "expected"),
    [
        (["ORIGINAL", "PRIMARY"], [], ["109101", "109102"]),
        (["DERIVED", "PRIMARY"], [], ["109102", "109102"]),
        (["DERIVED", "PRIMARY"], ["109101"], ["109101", "109102"]),
        (["ORIGINAL", "PRIMARY"], ["109103"], ["109103", "109101", "109102"]),
    ],
)
def test_the_machine_of_the_images_has_its_part_and_no_part_is_named_twice(
    image_type: list[str], earlier: list[str], expected: list[str]
) -> None:
    from node.results.modules import equipment

    source = scanned()
    image = deepcopy(source.headers[0])
    image.ImageType = image_type
    image.ContributingEquipmentSequence = [item_of(value) for value in earlier]
    dataset = Dataset()
    equipment.stamp(dataset, source, RUN, image)
    assert purposes(dataset) == expected


def item_of(purpose: str) -> Dataset:
    item = Dataset()
    item.Manufacturer = "Another"
    item.PurposeOfReferenceCodeSequence = [code(purpose, "A purpose")]
    return item


def test_two_nodes_are_two_devices() -> None:
    from node.results.modules import equipment

    other = dataclasses.replace(RUN, maker=dataclasses.replace(MAKER, serial="FEDCBA9876543210"))
    assert equipment.device_uid(RUN) != equipment.device_uid(other)
    assert equipment.serial_number(RUN) != equipment.serial_number(other)
