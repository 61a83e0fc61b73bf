"""QIDO-RS: what is searched for, what comes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from node.query.search import Limits
from node.web.app import create_app
from node.web.server import WebServer
from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, study_url
from tests.node.web.sites import Site

STUDIES = "/dicom-web/studies"
NAME = "Müller^Jürgen"


def found(site: Site, path: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = site.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    objects: list[dict[str, Any]] = answer.json()
    return objects


def value(one: dict[str, Any], tag: str) -> Any:
    return one[tag].get("Value", [None])[0]


def study(seed: int, **attributes: Any) -> Dataset:
    more = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    return make_dataset(seed, **{**more, **attributes})


@pytest.fixture
def held(site: Site) -> list[Dataset]:
    """Two studies of one patient, the newer with two series; one of another."""
    first = study(
        1, PatientID="P1", PatientName=NAME, StudyDate="20260101", SpecificCharacterSet="ISO_IR 100"
    )
    second = study(2, PatientID="P1", StudyDate="20260301", AccessionNumber="A2", Modality="CT")
    other_series = make_dataset(
        3,
        **{
            "StudyInstanceUID": second.StudyInstanceUID,
            "SeriesInstanceUID": generate_uid(),
            "PatientID": "P1",
            "Modality": "SEG",
        },
    )
    third = study(4, PatientID="P2", StudyDate="20250505", Modality="MR")
    datasets = [first, second, other_series, third]
    for one in datasets:
        hold(site, one)
    return datasets


def test_a_study_is_answered_with_the_attributes_of_the_standards_table(
    site: Site, held: list[Dataset]
) -> None:
    (one,) = found(site, STUDIES, AccessionNumber="A2")
    expected = {
        *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190"),
        *("00100010", "00100020", "00100030", "00100040", "0020000D", "00200010"),
        *("00201206", "00201208"),
    }
    assert expected <= one.keys()
    assert one["00080061"]["Value"] == ["CT", "SEG"]
    assert (value(one, "00201206"), value(one, "00201208")) == (2, 2)
    assert value(one, "00080056") == "ONLINE"
    assert value(one, "00081190") == f"{site.client.base_url}{study_url(held[1])}".replace(
        "//dicom-web", "/dicom-web"
    )


def test_names_come_in_utf_8_by_their_component_groups(site: Site, held: list[Dataset]) -> None:
    (one,) = found(site, STUDIES, PatientName="müller*")
    assert one["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": NAME}]}


MATCHES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["20250505", "20260301", "20260101"]),
    ({"PatientID": "P1"}, ["20260301", "20260101"]),
    ({"00100020": "P2"}, ["20250505"]),
    ({"PatientID": "P?"}, ["20250505", "20260301", "20260101"]),
    ({"StudyDate": "20260101-20260201"}, ["20260101"]),
    ({"StudyDate": "-20251231"}, ["20250505"]),
    ({"StudyDate": "-"}, ["20250505", "20260301", "20260101"]),
    ({"StudyDate": "*", "StudyTime": "-"}, ["20250505", "20260301", "20260101"]),
    ({"ModalitiesInStudy": "SEG"}, ["20260301"]),
    ({"ModalitiesInStudy": "SEG\\MR"}, ["20250505", "20260301"]),
    ({"PatientID": ""}, ["20250505", "20260301", "20260101"]),
    ({"limit": 1}, ["20250505"]),
    ({"limit": 2, "offset": 1}, ["20260301", "20260101"]),
    ({"offset": 3}, []),
    ({"limit": 0}, []),
    ({"PatientID": "nobody"}, []),
]


def test_studies_are_matched(site: Site, held: list[Dataset]) -> None:
    answers = [
        [value(one, "00080020") for one in found(site, STUDIES, **asked)] for asked, _ in MATCHES
    ]
    assert answers == [dates for _, dates in MATCHES]


def test_uids_are_listed_by_commas_and_by_backslashes(site: Site, held: list[Dataset]) -> None:
    for separator in (",", "\\"):
        uids = separator.join(one.StudyInstanceUID for one in (held[0], held[3]))
        assert len(found(site, STUDIES, StudyInstanceUID=uids)) == 2


def test_the_six_resources_search_what_their_paths_name(site: Site, held: list[Dataset]) -> None:
    _, second, other_series, _ = held
    of_study = study_url(second)
    series = f"{of_study}/series/{other_series.SeriesInstanceUID}"
    assert len(found(site, "/dicom-web/series")) == 4
    assert len(found(site, "/dicom-web/instances")) == 4
    assert len(found(site, f"{of_study}/series")) == 2
    assert len(found(site, f"{of_study}/instances")) == 2
    (one,) = found(site, f"{series}/instances")
    assert value(one, "00080018") == other_series.SOPInstanceUID
    assert value(one, "00081190").endswith(f"{series}/instances/{other_series.SOPInstanceUID}")


def test_all_series_tell_of_their_studies_and_a_studys_series_do_not(
    site: Site, held: list[Dataset]
) -> None:
    assert "00201208" in found(site, "/dicom-web/series")[0]
    (one,) = found(site, f"{study_url(held[3])}/series")
    assert "00201208" not in one and value(one, "00201209") == 1
    assert value(one, "0020000D") == held[3].StudyInstanceUID


def test_more_attributes_are_included_by_name_by_tag_and_all(
    site: Site, held: list[Dataset]
) -> None:
    path = (
        f"{STUDIES}?AccessionNumber=A2&includefield=00081030,InstitutionName&includefield=00080005"
    )
    (one,) = site.client.get(path).json()
    assert {"00081030", "00080080"} <= one.keys()
    (everything,) = found(site, STUDIES, AccessionNumber="A2", includefield="all")
    assert "00081030" in everything and "00081030" not in found(site, STUDIES)[0]


def test_attributes_in_sequences_are_matched_and_included(site: Site) -> None:
    asked = Dataset()
    asked.ScheduledProcedureStepID = "S7"
    one, other = study(1, RequestAttributesSequence=[asked]), study(2)
    hold(site, one)
    hold(site, other)
    for name in ("RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"):
        (series,) = found(site, "/dicom-web/series", **{name: "S7"})
        assert value(series, "0020000E") == one.SeriesInstanceUID
        assert value(series["00400275"]["Value"][0], "00400009") == "S7"


def test_private_attributes_are_included_with_their_creator(site: Site) -> None:
    one = study(1)
    hold(site, one)
    (image,) = found(site, "/dicom-web/instances", includefield="00091001")
    assert value(image, "00091001") == "private"
    assert value(image, "00090010") == "WETREAD TEST"
    assert len(found(site, "/dicom-web/instances", **{"00091001": "private"})) == 1
    assert found(site, "/dicom-web/instances", **{"00091001": "other"}) == []


def test_nothing_found_is_an_empty_list(site: Site) -> None:
    assert found(site, STUDIES) == []


def test_a_parameter_that_means_nothing_is_refused_by_name(site: Site) -> None:
    for query, word in [
        ("PatientNumber=1", "'PatientNumber'"),
        ("includefield=Nonsense", "'Nonsense'"),
        ("StudyDate.PatientID=1", "sequence"),
        ("limit=many", "limit"),
        ("offset=-1", "offset"),
        ("fuzzymatching=maybe", "fuzzymatching"),
    ]:
        answer = site.client.get(f"{STUDIES}?{query}")
        assert answer.status_code == 400
        assert word in answer.json()["error"]


def test_fuzzy_matching_is_answered_literally_with_a_warning(
    site: Site, held: list[Dataset]
) -> None:
    answer = site.client.get(STUDIES, params={"fuzzymatching": "true", "PatientID": "P2"})
    assert len(answer.json()) == 1
    assert answer.headers["warning"].startswith('299 wetread "The fuzzymatching parameter is not')
    plain = site.client.get(STUDIES, params={"fuzzymatching": "false"})
    assert "warning" not in plain.headers


def test_where_there_are_more_than_are_given_at_once_a_warning_says_so(
    site: Site, held: list[Dataset]
) -> None:
    assert site.context is not None
    server = WebServer(lambda: create_app(replace(site.context, max_answers=2)), "127.0.0.1", 0)
    server.start()
    try:
        studies = f"http://127.0.0.1:{server.port}{STUDIES}"
        answer = site.client.get(studies)
        assert len(answer.json()) == 2
        assert "exceeded the maximum" in answer.headers["warning"]
        rest = site.client.get(studies, params={"offset": 2})
        assert len(rest.json()) == 1 and "warning" not in rest.headers
        some = site.client.get(studies, params={"limit": 1})
        assert len(some.json()) == 1 and "warning" not in some.headers
    finally:
        server.stop()


@pytest.mark.parametrize("max_answers", [0, 2000])
def test_a_search_that_would_read_too_many_files_is_refused(
    site: Site, held: list[Dataset], max_answers: int
) -> None:
    assert site.context is not None
    context = replace(site.context, max_answers=max_answers, search_limits=Limits(headers=1))
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    try:
        studies = f"http://127.0.0.1:{server.port}{STUDIES}"
        answer = site.client.get(studies, params={"PatientComments": "X"})
        assert answer.status_code == 413 and "too many files" in answer.text
    finally:
        server.stop()


def test_the_form_is_negotiated(site: Site) -> None:
    for accept, status in [
        ("application/dicom+json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/dicom+json, multipart/related; type=application/dicom+xml", 200),
        ("application/dicom", 406),
        ("text/html", 406),
    ]:
        answer = site.client.get(STUDIES, headers={"Accept": accept})
        assert answer.status_code == status, accept


def test_head_answers_without_a_body_and_other_methods_are_told_what_there_is(site: Site) -> None:
    assert site.client.head(STUDIES).content == b""
    refused = site.client.put("/dicom-web/series")
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]
    asked = site.client.options(STUDIES)
    assert asked.status_code == 204 and "GET" in asked.headers["allow"]


def test_json_is_packed_for_whoever_unpacks_it(site: Site, held: list[Dataset]) -> None:
    def coding(accepted: str) -> httpx.Response:
        return site.client.get(STUDIES, headers={"Accept-Encoding": accepted})

    packed = coding("gzip, deflate")
    assert packed.headers["content-encoding"] == "gzip" and len(packed.json()) == 3
    assert "content-encoding" not in coding("gzip;q=0").headers
    assert "content-encoding" not in coding("identity").headers


def test_what_a_viewer_asks_is_answered(site: Site, held: list[Dataset]) -> None:
    """The requests of OHIF 3.13."""
    second = held[1]
    listed = "00081030,00080060,00080090,00100030"
    common = {"limit": 101, "offset": 0, "fuzzymatching": "false", "includefield": listed}
    of_study = found(site, STUDIES, **common, StudyInstanceUID=second.StudyInstanceUID)
    assert [value(one, "0020000D") for one in of_study] == [second.StudyInstanceUID]
    assert len(found(site, STUDIES, **common, **{"00100020": "P1"})) == 2
    assert len(found(site, STUDIES, **common, PatientName="*mül*")) == 1
    assert len(found(site, STUDIES, **common, ModalitiesInStudy="CT", StudyDate="20260201-")) == 1
    fields = "00080021,00080031,0008103E,00200011"
    series = found(site, f"{study_url(second)}/series", includefield=fields)
    assert {"00080021", "00080031", "0008103E", "00200011"} <= series[0].keys()
