"""The route of imports: a whole `load` document, all or nothing (docs/api.md).

Limits: 20 MB (`gate.IMPORT_BYTES`). The document is read away from the event loop, and before the
store is asked for anything.
"""

from dataclasses import asdict
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.actions import importing, load_format
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.web.api import documents
from gateway.web.api.asking import Json, Posting
from gateway.web.api.routes import On, Routes
from gateway.web.problems import HttpProblem

routes = Routes("import")


class ReportShape(BaseModel):
    """Keys by section, and what was loaded otherwise than the document says."""

    created: dict[str, list[str]]
    changed: dict[str, list[str]]
    left: dict[str, list[str]]
    notes: list[str]


@routes.post(
    "/import",
    Verb.IMPORT,
    On.SITE,
    answer=ReportShape,
    example={"persons": [{"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]}]},
)
async def load(request: Request, asked: Posting) -> Response:
    """Bring the store to what a document of `load` says, all of it or nothing"""
    permission.require(asked.actor, Verb.IMPORT)
    raw = await request.body()
    document = await asked.site.run(lambda: _read(raw))

    def command(desk: Desk) -> Json:
        return asdict(importing.run(desk, document))

    return await asked.write(command)


def _read(raw: bytes) -> load_format.Document:
    try:
        said = documents.parse(raw)
    except (ValueError, RecursionError) as error:
        raise HttpProblem(HTTPStatus.BAD_REQUEST, f"not JSON: {error}") from error
    return load_format.read(said)
