"""How routes are written, each with the right that it asks for.

    routes = Routes("follow-ups")

    @routes.post("/follow-ups/{key}/cancel", Verb.EDIT, On.FOLLOW_UP, example={"reason": "Ill"})
    async def cancel(key: Key, said: Reason, asking: Posting) -> Response:
        '''Cancel it. …'''

The right is not enforced by being written here: the action does that (`desk.require`). What is
written here says what must come of it, and `tests/web/test_matrix.py` asks every route as every
role, of an own, a foreign and a private follow-up, whether it does.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fastapi import APIRouter, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from gateway.followups.permission import Verb
from gateway.web import keys, problems
from gateway.web.api import documents
from gateway.web.api.site import PREFIX

Endpoint = Callable[..., Any]


class On(Enum):
    """What the right is about, and so which parameter names it."""

    SITE = "site"
    """Nothing in particular."""
    OWN = "own"
    """What belongs to those who ask (preferences, decisions): anybody who is somebody may."""
    LIST = "list"
    """Many: those of them that one may see."""
    FOLLOW_UP = "follow-up"
    """`{key}` is a follow-up."""
    PARTICIPANT = "participant"
    """`{id}` is a participant: the right is that to its follow-up."""
    DECISION = "decision"
    """`{id}` is a decision: whom it is for sees it, and may take it."""
    OWN_ROW = "own row"
    """`{id}` is a participant, whose associate may as well (`Verb.ANSWER`)."""
    LETTER = "letter"
    """`{id}` is a letter: the right is that to its follow-up."""


@dataclass(frozen=True, slots=True)
class Right:
    """One line of the table. `example`: a body that is sent as it stands; `sample`: further
    parameters of the path or the query that an example needs.
    """

    method: str
    path: str
    verb: Verb
    on: On
    example: Any = None
    sample: Mapping[str, str] = field(default_factory=dict)


class ProblemShape(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class Routes:
    """Routes of one module."""

    def __init__(self, name: str) -> None:
        self.router = APIRouter(prefix=PREFIX, tags=[name], route_class=Route)
        self.rights: list[Right] = []

    def get(self, path: str, verb: Verb, on: On, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._route("GET", path, verb, on, options)

    def post(self, path: str, verb: Verb, on: On, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._route("POST", path, verb, on, options)

    def put(self, path: str, verb: Verb, on: On, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._route("PUT", path, verb, on, options)

    def patch(
        self, path: str, verb: Verb, on: On, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        return self._route("PATCH", path, verb, on, options)

    def delete(
        self, path: str, verb: Verb, on: On, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        return self._route("DELETE", path, verb, on, options)

    def _route(
        self, method: str, path: str, verb: Verb, on: On, options: dict[str, Any]
    ) -> Callable[[Endpoint], Endpoint]:
        """`options`: `example` and `sample` as in `Right`, `answer` (a model, for the document),
        `status`, and whatever else FastAPI takes.
        """
        example, sample = options.pop("example", None), options.pop("sample", {})
        answer, status = options.pop("answer", None), options.pop("status", 200)
        self.rights.append(Right(method, PREFIX + path, verb, on, example, sample))
        said: dict[str, Any] = {"x-right": f"{verb.value} {on.value}"}
        if example is not None:
            content = {"application/json": {"example": example}}
            said["requestBody"] = {"content": content}
        responses: dict[int | str, dict[str, Any]] = {
            status: {"model": answer} if answer else {"description": "Done"},
            # What each can refuse, `openapi` says; here for the shape to be known.
            "4XX": {"model": ProblemShape, "description": "Refused"},
        }

        def add(endpoint: Endpoint) -> Endpoint:
            self.router.add_api_route(
                path,
                endpoint,
                methods=[method],
                response_class=Response,
                status_code=status,
                responses=responses,
                openapi_extra=said,
                summary=(endpoint.__doc__ or path).strip().partition("\n")[0],
                **options,
            )
            return endpoint

        return add


class _Request(Request):
    """With bodies as JSON has them, and nothing in them that no store can hold."""

    async def json(self) -> Any:
        raw = await self.body()
        document = documents.parse(raw)
        if b"\\u" in raw and (places := documents.unstorable(document)):
            raise problems.unstorable(places)
        return document


class Route(APIRoute):
    """A parameter that the route does not know is refused: a filter that is misspelt would
    otherwise answer with everything.
    """

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        names = {
            parameter.alias
            for parameter in get_flat_params(self.dependant)
            if isinstance(parameter.field_info, params.Query)
        }

        async def answer(request: Request) -> Response:
            unknown = sorted(set(request.query_params) - names)
            if unknown:
                there_are = f"; there are {', '.join(sorted(names))}" if names else ""
                raise keys.refused(unknown, f"no such parameter{there_are}")
            response: Response = await handle(_Request(request.scope, request.receive))
            return response

        return answer


def name(right: Right) -> str:
    """Of an operation, unique: `post_follow_ups_key_cancel`."""
    words = re.findall(r"[A-Za-z0-9]+", right.path.removeprefix(PREFIX))
    return "_".join([right.method.lower(), *words])


class Methods:
    """Which methods a path has, for Allow (RFC 9110 §10.2.1): FastAPI names those of one route."""

    def __init__(self, table: Sequence[Right]) -> None:
        self._patterns = [(_pattern(right.path), right.method) for right in table]
        self._patterns += [(path, "HEAD") for path, method in self._patterns if method == "GET"]

    def of(self, path: str) -> list[str]:
        """Of the pattern that says most of the path: `{key}.ics` before `{key}`."""
        matching = [route for route in self._patterns if route[0].fullmatch(path)]
        most = max((len(pattern.pattern) for pattern, _ in matching), default=0)
        return sorted({method for pattern, method in matching if len(pattern.pattern) == most})


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"{\w+}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
