"""Every example of the OpenAPI document is sent and answered as written; the document describes every
route and every refusal, and the page of it needs nothing from elsewhere.
"""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from fastapi.routing import APIRoute

from gateway.web.api import openapi
from gateway.web.api.routes import Right
from tests.web import examples
from tests.web.world import Office

SAID = openapi.examples()
AGAIN = "python -m tests.web.examples writes what is answered now"


@pytest.mark.parametrize("right", examples.rights(), ids=examples.name)
async def test_an_example_is_answered_as_written(office: Office, right: Right) -> None:
    answer = await examples.answer(office, right)
    assert SAID["answers"].get(examples.name(right)) == answer, AGAIN
    assert answer["status"] < 300, "an example shows what is done, not a refusal"


@pytest.mark.parametrize("status", examples.STATUSES)
async def test_a_refusal_is_as_written(office: Office, status: int) -> None:
    assert SAID["problems"].get(str(status)) == await examples.refusal(office, status), AGAIN


def test_no_example_is_left_of_a_route_that_is_gone() -> None:
    assert set(SAID["answers"]) == {examples.name(right) for right in examples.rights()}
    assert {int(status) for status in SAID["problems"]} == set(examples.STATUSES)


@pytest.fixture
async def document(office: Office) -> dict[str, Any]:
    bearer = {"Authorization": f"Bearer {office.tokens['read']}"}
    answer = await office.client.get("/api/openapi.json", headers=bearer)
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


def test_the_document_has_every_route(office: Office, document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    for route in office.application.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            assert {(method, route.path) for method in route.methods or ()} <= described
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_every_answer_body_and_refusal_has_an_example(document: dict[str, Any]) -> None:
    for right in examples.rights():
        operation = document["paths"][right.path][right.method.lower()]
        code, success = next(iter(operation["responses"].items()))
        assert int(code) == SAID["answers"][examples.name(right)]["status"], examples.name(right)
        assert all("example" in one for one in success["content"].values()), examples.name(right)
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert "example" in content, examples.name(right)
        statuses = {int(status) for status in operation["responses"]}
        assert statuses >= set(openapi.refusals(right, "requestBody" in operation))
    for response in document["components"]["responses"].values():
        assert response["content"]["application/problem+json"]["example"]["type"]


def test_every_write_says_what_its_answer_has(document: dict[str, Any]) -> None:
    """All members that its example has, and no other ones that it cannot be without."""
    schemas = document["components"]["schemas"]
    for right in examples.rights():
        operation = document["paths"][right.path][right.method.lower()]
        success = next(iter(operation["responses"].values()))["content"].get("application/json")
        if success is None or right.method == "GET":
            continue
        schema = success["schema"]
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        members = set(success["example"])
        assert members <= set(schema["properties"]), examples.name(right)
        assert members >= set(schema.get("required", ())), examples.name(right)


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place = document
        for step in reference.split("/"):
            place = place[step]


async def test_the_page_of_it_needs_nothing_from_elsewhere(office: Office) -> None:
    bearer = {"Authorization": f"Bearer {office.tokens['read']}"}
    answer = await office.client.get("/api", headers=bearer)
    assert answer.status_code == 200
    assert not re.findall(r'(?:src|href)="(?!/static/|/api|#)[^"]*"', answer.text)
    assert "<script" not in answer.text
    for right in examples.rights():
        assert f'id="{right.method}{right.path}"' in answer.text


def test_no_secret_is_in_the_examples() -> None:
    text = openapi.EXAMPLES.read_text(encoding="utf-8")
    assert not re.findall(r"igt_\w{8}|whsec_\w{8}", text)


def test_every_list_says_what_its_items_are(document: dict[str, Any]) -> None:
    """For programs that are made of the document; schemathesis compares what is answered."""
    schemas = document["components"]["schemas"]
    lists = dict[str, Any]()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if any(one["name"] == "cursor" for one in operation.get("parameters", ())):
                success = next(iter(operation["responses"].values()))
                reference = success["content"]["application/json"]["schema"]["$ref"]
                lists[path] = schemas[reference.rpartition("/")[2]]["properties"]["items"]
    assert len(lists) > 20
    for path, items in lists.items():
        shape = schemas[items["items"]["$ref"].rpartition("/")[2]]
        assert shape["properties"], path


def test_every_example_is_as_its_shape_says(document: dict[str, Any]) -> None:
    components = document["components"]
    for right in examples.rights():
        operation = document["paths"][right.path][right.method.lower()]
        success = next(iter(operation["responses"].values()))
        for kind, content in success["content"].items():
            if kind == "application/json":
                schema = {**content["schema"], "components": components}
                jsonschema_rs.validate(schema, content["example"])


def test_the_stream_of_events_wants_a_token_too(document: dict[str, Any]) -> None:
    stream = document["paths"]["/api/v1/events"]["get"]
    assert stream["security"] == [{"bearer": []}]
    assert set(stream["responses"]) == {"200", "401", "403", "422", "429", "503"}
    assert set(stream["responses"]["200"]["content"]) == {"text/event-stream"}
