"""The OpenAPI document tells the truth: whatever is asked, the answer is one that it declares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from node.web import api_document
from storage import deletions, events, fetches, gaps, quarantine
from storage.deletions import NewDeletion, Scope
from storage.fetches import NewFetch, Wanted
from storage.quarantine import RefusalKind, Refused
from storage.records import FindingRow, Level, Topic
from tests.node.web.sites import PARTS, START, Site, finish, study_with_job
from tests.node.web.test_many import fill

Operation = dict[str, Any]
Asked = tuple[str, dict[str, str]]
MARK = {"X-Wetread": "1"}
ODD = ("", "-1", "0", "1e9", "nan", "null", "\x00", "٣", "9" * 40, "😀", "true", "1x2", "a" * 1001)
PATIENT = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class Declared:
    """The document of a node, in which no shape may have more than it declares."""

    document: dict[str, Any]

    def operations(self, method: str) -> list[tuple[str, Operation]]:
        paths = self.document["paths"].items()
        return [
            (path, found[method])
            for path, found in paths
            if method in found and found[method].get("tags") != ["DICOMweb"]
        ]

    def check(self, operation: Operation, answer: httpx.Response) -> None:
        """The status is declared, and the body has the shape that is declared for it."""
        said = (str(answer.request.url), answer.status_code, answer.text)
        assert str(answer.status_code) in operation["responses"], said
        declared = operation["responses"][str(answer.status_code)]
        shape = declared["content"]["application/json"]["schema"]
        whole = {**shape, "components": self.document["components"]}
        Draft202012Validator(whole).validate(answer.json())


@pytest.fixture
def declared(site: Site, phantom_paths: list[Path]) -> Declared:
    """Of a node that has something to show in every list."""
    broken = FindingRow("Left lung", "Ratio", float("nan"), "1")
    finish(site, study_with_job(site, phantom_paths[0]), (broken,))
    fill(site, 3, objects=2)
    with site.database.write() as tx:
        events.record(tx, START, Level.ALARM, Topic.NODE, 0, "", "", "the PACS is away")
        quarantine.enter(tx, START, Refused("k.dcm", RefusalKind.CONFLICT, "other bytes", "f"))
        fetches.ask(tx, NewFetch("pacs", Wanted(patient_id="P"), "a test"), START)
        deletions.ask(tx, NewDeletion(2, Scope.RESULTS, "old", "a rule", True), START)
        later = START + timedelta(days=30)
        gaps.watch(tx, gaps.find(tx, later), later)
    document = site.client.get("/openapi.json").json()
    for shape in document["components"]["schemas"].values():
        if "properties" in shape:
            shape["additionalProperties"] = False
    return Declared(document)


def values(parameter: dict[str, Any]) -> st.SearchStrategy[str | None]:
    """What the document allows, what it does not, and nothing at all."""
    schema = parameter["schema"]
    allowed = [str(one) for kind in schema.get("anyOf", [schema]) for one in kind.get("enum", ())]
    numbers = st.integers(-2, 5) | st.sampled_from([1000, 1001, 2**63 - 1, 2**63])
    words = st.sampled_from(["true", "false", *allowed, *schema.get("examples", ())])
    some = numbers.map(str) | words | st.sampled_from(ODD) | st.text(max_size=5)
    return some if parameter["required"] else some | st.none()


def requests(path: str, operation: Operation) -> st.SearchStrategy[Asked]:
    """Addresses with their query."""
    parameters = [one for one in operation.get("parameters", ()) if one["in"] != "header"]
    inside = {one["name"] for one in parameters if one["in"] == "path"}

    def made(chosen: dict[str, str | None]) -> Asked:
        address = path
        for name in inside:
            address = address.replace(f"{{{name}}}", _segment(chosen[name] or "0"))
        return address, {
            name: value
            for name, value in chosen.items()
            if name not in inside and value is not None
        }

    return st.fixed_dictionaries({one["name"]: values(one) for one in parameters}).map(made)


def _segment(text: str) -> str:
    """A text as one part of a path; what would lead elsewhere is another."""
    return quote(text.replace(".", ","), safe="")


def try_all(site: Site, declared: Declared, method: str, path: str, operation: Operation) -> None:
    @PATIENT
    @given(requests(path, operation), st.sampled_from([MARK, {}, {"X-Wetread": "0"}]))
    def ask(what: Asked, headers: dict[str, str]) -> None:
        answer = site.client.request(method, what[0], params=what[1], headers=headers)
        declared.check(operation, answer)
        assert headers == MARK or method == "get" or not answer.is_success

    ask()


@pytest.mark.parametrize("method", ["get", "post"])
def test_whatever_is_asked_the_answer_is_one_that_the_document_declares(
    site: Site, declared: Declared, method: str
) -> None:
    for path, operation in declared.operations(method):
        try_all(site, declared, method, path, operation)


TOLD_BY_A_NODE_THAT_RUNS = {"/api/jobs/{job_id}/log", "/api/studies/{study_id}/rules"}
"""See test_acting.py."""


def test_what_every_list_shows_has_the_shape_that_is_declared(
    site: Site, declared: Declared
) -> None:
    site.client.post("/api/studies/1/notes", json={"text": "compared"}, headers=MARK)
    for path, operation in declared.operations("get"):
        answer = site.client.get(
            path.replace("{study_id}", "1").replace("{job_id}", "1").replace("{fetch_id}", "1")
        )
        assert answer.json() or path in TOLD_BY_A_NODE_THAT_RUNS, path
        declared.check(operation, answer)
    for part in PARTS:
        site.parts[part].beat()
    assert site.client.get("/health").status_code == 200
    declared.check(dict(declared.operations("get"))["/health"], site.client.get("/health"))


def test_every_route_declares_its_answers_and_what_refuses_it(declared: Declared) -> None:
    wanted = {"get": {"200", "400"}, "post": {"200", "400", "403", "404", "409", "422", "503"}}
    for method, statuses in wanted.items():
        for path, operation in declared.operations(method):
            assert statuses <= {*operation["responses"]}, path
            assert operation["description"], path
            for answer in operation["responses"].values():
                assert answer["content"]["application/json"]["schema"], path


def test_a_host_that_the_node_is_not_asked_by_is_refused_as_declared(declared: Declared) -> None:
    """Checked with the other routes' shape: the refusal comes before any route."""
    for _, operation in declared.operations("get"):
        refused = operation["responses"]["400"]["content"]["application/json"]["schema"]
        assert refused == {"$ref": "#/components/schemas/Refused"}


def test_numbers_and_states_are_described(declared: Declared) -> None:
    shapes = declared.document["components"]["schemas"]
    assert "bytes" in shapes["Made"]["properties"], "not the name inside"
    assert "Seconds" in shapes["Check"]["properties"]["age_s"]["description"]
    assert shapes["JobState"]["enum"] == [
        "pending",
        "running",
        "done",
        "failed",
        "not_applicable",
        "cancelled",
    ]
    assert shapes["Study"]["properties"]["first_received_at"]["format"] == "date-time"
    assert not [name for name in shapes if "UID" in str(shapes[name].get("properties", {}).keys())]


def test_the_page_about_the_api_says_what_the_document_says() -> None:
    written = (Path(__file__).parents[3] / api_document.DOCUMENT).read_text()
    assert written == api_document.text(api_document.openapi()), "make docs"
