"""How an error leaves over HTTP: `application/problem+json` (RFC 9457) with a `type` that stays,
and where it is about a document or a parameter, each place (`pointer` is RFC 6901).

This is the one place where errors become HTTP statuses. Security: what is none of ours says nothing
of itself; the log has it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.datastructures import Headers
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from gateway import i18n
from gateway.actions import load_format
from gateway.errors import (
    Forbidden,
    GatewayError,
    InputError,
    NotFound,
    Refused,
    Steps,
    StoreError,
)
from gateway.i18n import Phrase, marked
from gateway.web import rendering
from gateway.web.pages import refusals

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 10
RETRY_SECONDS = 5
AWAY = marked("the store cannot be used at the moment; the log of the gateway says why")
"""Where it is, and what the system says of it, is for who runs the gateway."""

NO_ROUTE = "there is no such route; /api/openapi.json has all of them"

PLAIN = {
    "Not Found": marked("there is no such page"),
    "Method Not Allowed": marked("this page takes no such form"),
    "There was an error parsing the body": marked("the form cannot be read"),
}
"""What the framework says, as somebody with a browser reads it."""

TYPES = {
    HTTPStatus.BAD_REQUEST: "not-json",
    HTTPStatus.UNAUTHORIZED: "no-token",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method",
    HTTPStatus.REQUEST_TIMEOUT: "too-slow",
    HTTPStatus.CONFLICT: "refused",
    HTTPStatus.GONE: "gone",
    HTTPStatus.PRECONDITION_FAILED: "stale",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "media-type",
    HTTPStatus.MISDIRECTED_REQUEST: "host",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid",
    HTTPStatus.PRECONDITION_REQUIRED: "no-precondition",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many",
    HTTPStatus.INTERNAL_SERVER_ERROR: "fault",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}
"""The last step of a `type` path: `/api/problems/stale`."""

STATUS: Mapping[type[GatewayError], HTTPStatus] = {
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Refused: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class HttpProblem(GatewayError):
    """A refusal that HTTP alone knows: of the token, the precondition, the size."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.headers = status, dict(headers or {})


TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 names them; Python did so from 3.13 on."""


def unstorable(places: Sequence[tuple[Steps, str]]) -> HTTPException:
    """Of a body with texts that cannot be kept. FastAPI lets nothing else through while it reads
    one.
    """
    error = HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, load_format.refusal(places).args[0])
    error.__cause__ = InputError("", places)
    return error


def pointer(steps: Steps) -> str:
    """`("follow_ups", 3, "a/b")` → `/follow_ups/3/a~1b` (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class ProblemDetails(JSONResponse):
    """A problem as programs read it."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        places: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`detail`: a `Phrase`, where it has facts; `places`: fields of a form, and what is wrong
        there.
        """
        content: dict[str, Any] = {
            "type": f"/api/problems/{TYPES[status]}" if status in TYPES else "about:blank",
            "title": TITLES.get(status.value, status.phrase),
            "status": status.value,
            "detail": detail,
        }
        if errors:
            content["errors"] = list(errors[:MOST_ERRORS])
        super().__init__(content, status, dict(headers or {}))
        self.detail, self.more, self.places = detail, dict(headers or {}), places


def shown(scope: MutableMapping[str, Any], problem: ProblemDetails) -> Response:
    """A problem as the one who asked reads it: somebody with a browser gets a page. It needs
    nothing of the store, which may be what is away.
    """
    said = Headers(scope=scope)
    if scope["path"].startswith("/api") or "text/html" not in said.get("accept", ""):
        return problem
    language = rendering.language(said.get("accept-language", ""))
    words = PLAIN.get(problem.detail, problem.detail)
    words = refusals.plain(i18n.catalogue(language), words, problem.places)
    html = rendering.render("fault.html", language, problem=words)
    return HTMLResponse(html, problem.status_code, problem.more)


def status(error: Exception) -> HTTPStatus:
    """Of an error of ours."""
    return next(
        (status for kind, status in STATUS.items() if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def response(error: Exception, *, is_read: bool = False) -> ProblemDetails:
    """An error of ours, or FastAPI's complaint, as it leaves. `is_read`: by GET, which has
    parameters and no body.
    """
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HttpProblem):
        return ProblemDetails(error.status, str(error), headers=error.headers)
    if isinstance(error, StoreError):
        log.error("the store cannot be used", reason=str(error))
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return ProblemDetails(HTTPStatus.SERVICE_UNAVAILABLE, AWAY, headers=headers)
    places = error.places if isinstance(error, InputError) else ()
    named = [(str(steps[-1]), reason) for steps, reason in places if steps]
    detail = str(error)
    if isinstance(error, GatewayError) and error.facts and not named:
        detail = Phrase(error.words, **error.facts)
    wrong = places or _begun_with(error)
    errors = [_parameter(steps, reason) for steps, reason in wrong] if is_read else _errors(wrong)
    return ProblemDetails(status(error), detail, errors, places=named)


def _begun_with(error: Exception) -> Sequence[tuple[Steps, str]]:
    """Words that begin with a field and a colon are about that field."""
    field, colon, reason = str(error).partition(": ")
    is_named = isinstance(error, InputError) and colon and field.isidentifier()
    return [((field,), reason)] if is_named else ()


def _parameter(steps: Steps, reason: str) -> dict[str, str]:
    return {"parameter": str(steps[0]) if steps else "", "detail": reason}


def _errors(places: Sequence[tuple[Steps, str]]) -> list[dict[str, str]]:
    return [{"pointer": pointer(steps), "detail": detail} for steps, detail in places]


def _invalid(error: RequestValidationError) -> ProblemDetails:
    """What FastAPI could not read: a body that is no JSON, or places that are wrong."""
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return ProblemDetails(HTTPStatus.BAD_REQUEST, f"not JSON: {faults[0]['ctx']['error']}")
    lines, named, errors = [], [], []
    for fault in faults[:MOST_ERRORS]:
        steps = fault["loc"]
        reason = load_format.reason(fault)
        inner = steps[1:]
        lines.append(f"{load_format.path(inner) or steps[0]}: {reason}")
        named.append((str((inner or steps)[-1]), reason))
        errors.append(_place(steps, reason))
    words = "; ".join(lines)
    return ProblemDetails(HTTPStatus.UNPROCESSABLE_ENTITY, words, errors, places=named)


def _place(loc: Steps, reason: str) -> dict[str, str]:
    where, *steps = loc
    if where == "body":
        return {"pointer": pointer(tuple(steps)), "detail": reason}
    return _parameter(tuple(steps) or (where,), reason)


def install(app: FastAPI) -> None:
    """Every error of the application leaves as a problem, or a page that says it."""

    async def http(request: Request, error: Exception) -> Response:
        places = error.__cause__.places if isinstance(error.__cause__, InputError) else ()
        status = HTTPStatus(getattr(error, "status_code", 500))
        detail = str(getattr(error, "detail", ""))
        headers = dict(getattr(error, "headers", None) or {})
        methods = request.app.state.methods.of(request.url.path)
        if status is HTTPStatus.METHOD_NOT_ALLOWED and methods:
            headers = {"Allow": ", ".join(methods)}
            detail = f"this route takes {headers['Allow']}"
        if status is HTTPStatus.NOT_FOUND and request.url.path.startswith("/api/"):
            detail = NO_ROUTE
        return shown(request.scope, ProblemDetails(status, detail, _errors(places), headers))

    async def ours(request: Request, error: Exception) -> Response:
        return shown(request.scope, response(error, is_read=request.method == "GET"))

    async def broken(request: Request, error: Exception) -> Response:
        words = marked("a fault of this program; its log has the details")
        return shown(request.scope, ProblemDetails(HTTPStatus.INTERNAL_SERVER_ERROR, words))

    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ):
        app.add_exception_handler(status, http)
    app.add_exception_handler(RequestValidationError, ours)
    app.add_exception_handler(GatewayError, ours)
    app.add_exception_handler(Exception, broken)
