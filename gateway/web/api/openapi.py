"""What describes the API: the OpenAPI 3.1 document, and a page of it for people.

FastAPI reads parameters and bodies off the routes. The rest is added here: by whom a route may be
asked, every refusal that it can give, and what its example is answered. Those answers are in
`examples.json`, which `tests/web/test_examples.py` makes and keeps true by asking. The page is made
of the document and of nothing from elsewhere.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from gateway.web import problems, rendering
from gateway.web.api import routes
from gateway.web.api.routes import On, Right
from gateway.web.api.site import PREFIX

EXAMPLES = Path(__file__).with_name("examples.json")
CHANGES = ("PUT", "PATCH", "DELETE")
METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = {"$ref": "#/components/schemas/ProblemShape"}
LETTERS = {
    "type": "object",
    "required": ["request", "cancel", "leaves_at"],
    "properties": {
        "request": {"type": "integer"},
        "cancel": {"type": "integer"},
        "leaves_at": {"type": ["string", "null"], "format": "date-time"},
        "owed": {"type": "array", "items": {"type": "object"}, "description": "In a dry run."},
    },
}
WRITTEN = "Written"
ABOUT = (
    "Bearer tokens, JSON in the dialect of `load`, ETags, dry runs: docs/api.md says how to ask."
    " The examples are what a small office answers."
)
Field = tuple[str, str, bool]
"""Name and kind of a member of a body, and whether it is needed."""


def install(app: FastAPI, rights: list[Right]) -> None:
    """The document as the application's own, and the page at /api."""
    plain = app.openapi

    @functools.cache
    def whole() -> dict[str, Any]:
        return completed(plain(), rights)

    app.openapi = whole  # type: ignore[method-assign]  # as FastAPI's documentation does it

    @app.get("/api", include_in_schema=False)
    async def shown() -> HTMLResponse:
        return HTMLResponse(rendered(whole()))


def examples() -> dict[str, Any]:
    """What was answered, by method and path, and the problems by status."""
    said: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return said


def completed(document: dict[str, Any], rights: list[Right]) -> dict[str, Any]:
    """The document with all that FastAPI does not know."""
    said = examples()
    document["info"]["description"] = ABOUT
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    components["responses"] = {
        f"Problem{status}": _refusal(int(status), body) for status, body in said["problems"].items()
    }
    for right in rights:
        operation = document["paths"][right.path][right.method.lower()]
        _complete(operation, right, said["answers"].get(f"{right.method} {right.path}"))
        if right.method != "GET":
            _tell_of_letters(operation, components["schemas"])
    _complete_stream(document["paths"][f"{PREFIX}/events"]["get"])
    for operation in _operations(document):
        if "422" in operation["responses"]:
            operation["responses"]["422"] = {"$ref": "#/components/responses/Problem422"}
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return document


def _tell_of_letters(operation: Mapping[str, Any], schemas: dict[str, Any]) -> None:
    """Every write says beside what it wrote which letters it owes."""
    schemas["LettersOwed"] = LETTERS
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json", {})
        if status.startswith("2") and content:
            content["schema"] = _with_letters(content["schema"], schemas)


def _with_letters(schema: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    if name.endswith(WRITTEN):
        return dict(schema)
    plain = dict(schemas.get(name, schema))
    plain.pop("additionalProperties", None)
    letters = {"$ref": "#/components/schemas/LettersOwed"}
    whole = {**plain, "properties": {**plain.get("properties", {}), "letters": letters}}
    if not name:
        return whole
    schemas[name + WRITTEN] = {**whole, "title": name + WRITTEN}
    return {"$ref": f"#/components/schemas/{name}{WRITTEN}"}


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _complete(operation: dict[str, Any], right: Right, answer: Mapping[str, Any] | None) -> None:
    operation["security"] = [{"bearer": []}]
    operation["operationId"] = routes.name(right)
    lines = operation.pop("description", "").partition("\n")
    if lines[2].strip():
        operation["description"] = lines[2].strip()
    sample = answer["parameters"] if answer else {}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in sample:
            parameter["example"] = _typed(sample[parameter["name"]], parameter["schema"])
    responses = operation["responses"]
    for general in ("4XX", "422"):
        responses.pop(general, None)
    success = next(iter(responses.values()))
    success["description"] = "Done"
    _show(success, answer)
    if right.method == "PUT":
        responses["201"] = {**success, "description": "Made"}
    if right.method == "GET":
        responses["304"] = {"description": "Not changed since If-None-Match"}
    for status in refusals(right, "requestBody" in operation):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}


def _complete_stream(operation: dict[str, Any]) -> None:
    """Of the events, which are in no table: what they answer does not end."""
    operation["security"] = [{"bearer": []}]
    operation["operationId"], operation["tags"] = "get_events", ["changes"]
    for status in (401, 403, 422, 429, 503):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}


def refusals(right: Right, has_body: bool) -> Iterator[int]:
    """With what a route may answer instead."""
    yield from (401, 403, 404, 422, 429, 503)
    if has_body:
        yield from (400, 413, 415)
    if right.method != "GET" or right.on is On.FOLLOW_UP:
        yield 409
    if right.method in CHANGES:
        yield from (412, 428)
    if right.path == f"{PREFIX}/changes":
        yield 410


def _show(success: dict[str, Any], answer: Any) -> None:
    """What is answered, with its shape and its example."""
    kind = answer["kind"] if answer else "application/json"
    content = success.setdefault("content", {}).setdefault(kind, {})
    if kind == "application/json" and not content.get("schema"):
        content["schema"] = {"type": "object"}
    if answer:
        content["example"] = answer["body"]


def _refusal(status: int, body: Any) -> dict[str, Any]:
    content = {problems.MEDIA_TYPE: {"schema": PROBLEM, "example": body}}
    return {"description": body["title"], "content": content}


def _typed(value: str, schema: Mapping[str, Any]) -> Any:
    return int(value) if schema.get("type") == "integer" else value


@dataclass(frozen=True, slots=True)
class Operation:
    """One route as the page shows it. `request` and `answer`: examples as JSON text."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[dict[str, Any]]
    fields: list[Field]
    request: str
    answer: str
    statuses: list[str]


def rendered(document: Mapping[str, Any]) -> str:
    """The page."""
    groups: dict[str, list[Operation]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if path.startswith(PREFIX) and method in operations:
                operation = operations[method]
                shown = _operation(document, method.upper(), path, operation)
                groups.setdefault(operation.get("tags", ["others"])[0], []).append(shown)
    refused = {
        name.removeprefix("Problem"): _text(*_example(response))
        for name, response in document["components"]["responses"].items()
    }
    title = document["info"]["title"]
    return rendering.render("api.html", "en", title=title, groups=groups, refused=refused)


def _operation(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Operation:
    body, responses = operation.get("requestBody", {}), operation["responses"]
    success = next(iter(responses.values()))
    return Operation(
        method,
        path,
        operation.get("summary", ""),
        operation.get("description", ""),
        operation.get("parameters", []),
        list(_fields(document, body)),
        _text(*_example(body)),
        _text(*_example(success)),
        sorted(responses),
    )


def _fields(document: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Field]:
    for content in body.get("content", {}).values():
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        schema_of_body = document["components"]["schemas"].get(name, schema)
        needed = schema_of_body.get("required", ())
        for member, facts in schema_of_body.get("properties", {}).items():
            yield member, _kind(facts), member in needed


def _kind(facts: Mapping[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in facts:
        return str(facts["$ref"]).rpartition("/")[2]
    if "anyOf" in facts:
        return " or ".join(_kind(part) for part in facts["anyOf"])
    if "enum" in facts:
        return ", ".join(str(choice) for choice in facts["enum"])
    if facts.get("type") == "array":
        return f"list of {_kind(facts.get('items', {}))}"
    return str(facts.get("const", facts.get("type", "any")))


def _example(holder: Mapping[str, Any]) -> list[Any]:
    """None or one."""
    contents = holder.get("content", {}).values()
    return [content["example"] for content in contents if "example" in content][:1]


def _text(*example: Any) -> str:
    if not example:
        return ""
    said = example[0]
    return said if isinstance(said, str) else json.dumps(said, indent=2, ensure_ascii=False)
