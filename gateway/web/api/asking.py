"""What a route is given: who asks, and how to read, write and answer.

    async def cancel(key: Key, said: Reason, asking: Posting) -> Response:
        def command(desk: Desk) -> Json:
            verbs.cancel(desk, key, said.reason)
            return reading.follow_up(desk.connection, key)
        return await asking.write(command)

A command runs in one transaction (`actions.desk`), in a thread. Its answer is the representation of
what was written; the number of letters that are owed is added to it. On failure nothing was
written, and the error leaves as a problem. With an Idempotency-Key the answer is kept in the same
transaction, so that asking again has no second effect.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from gateway.actions import desk as desks
from gateway.actions.desk import Desk, Letters
from gateway.errors import InputError, Refused
from gateway.model import Actor, Method
from gateway.store import codec, engine, requests
from gateway.store.engine import Connection
from gateway.web import keys
from gateway.web.api import cursors, documents, letters
from gateway.web.api.cursors import Position
from gateway.web.api.gate import Caller, site_of
from gateway.web.api.site import PREFIX, Site
from gateway.web.problems import HttpProblem

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What a command answers that made something new: 201, and where it is now."""

    body: Json
    location: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list. `after`: the position of its last row where more rows come."""

    items: Sequence[Any]
    after: Position | None = None


@dataclass(slots=True)
class Asking:
    """One request. `precondition`: it changes something that is there, which `match` is to
    compare before.
    """

    request: Request
    site: Site
    caller: Caller
    dry_run: bool = False
    bodies: bool = False
    key: str = ""
    if_match: str = ""
    if_none_match: str = ""
    precondition: bool = False
    limit: int = 50
    cursor: str = ""
    _matched: bool = field(default=False, init=False)
    _once: str = field(default="", init=False)

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    async def fetch(self, look: Callable[[Desk], T]) -> T:
        """What `look` reads in one consistent view; nothing may be written through it."""

        def work() -> T:
            with self.site.store.read() as connection:
                return look(self._desk(connection))

        return await self.site.run(work)

    async def read(self, look: Callable[[Desk], Json | Listing]) -> Response:
        """Answer with what `look` reads."""
        answer = await self.fetch(look)
        headers = dict[str, str]()
        if isinstance(answer, Listing):
            cursor = None if answer.after is None else cursors.write(answer.after, self._about())
            if cursor:
                headers["Link"] = f'<{self._next(cursor)}>; rel="next"'
            answer = {"items": list(answer.items), "next": cursor}
        headers["ETag"] = documents.etag(answer)
        return self._unless_known(_answer(HTTPStatus.OK, _text(answer), headers))

    async def read_file(self, look: Callable[[Desk], bytes], kind: str, name: str = "") -> Response:
        """Answer with what `look` reads, which is no JSON. `name`: of the file, where it is one."""
        content = await self.fetch(look)
        headers = {"ETag": documents.etag_of(content)}
        if name:
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return self._unless_known(Response(content, headers=headers, media_type=kind))

    def _unless_known(self, answer: Response) -> Response:
        if not documents.is_known(self.if_none_match, answer.headers["ETag"]):
            return answer
        headers = {
            name: answer.headers[name] for name in ("ETag", "Link") if name in answer.headers
        }
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)

    def position(self, *kinds: type) -> Position | None:
        """Where the list goes on, a value of each kind; None at its beginning."""
        return cursors.read(self.cursor, self._about(), kinds) if self.cursor else None

    def match(self, current: Json | None) -> None:
        """Compare what is there (None: nothing) with If-Match and If-None-Match. To be called
        inside the command, after the right was asked for and before anything is written.
        """
        self._matched = True
        if self.if_none_match:
            if current is not None:
                raise HttpProblem(HTTPStatus.PRECONDITION_FAILED, "it is there already")
            return
        if not self.if_match:
            if current is not None:
                words = "If-Match is needed, with the ETag of what you read (or * for whatever)"
                raise HttpProblem(HTTPStatus.PRECONDITION_REQUIRED, words)
            return
        if current is None:
            raise HttpProblem(HTTPStatus.PRECONDITION_FAILED, "there is nothing that could match")
        tag = documents.etag(current)
        if self.if_match.strip() != "*" and tag not in documents.etags(self.if_match):
            words = "it was changed since it was read; read it again"
            raise HttpProblem(HTTPStatus.PRECONDITION_FAILED, words, {"ETag": tag})

    async def write(self, command: Callable[[Desk], Json | Made], once: str = "") -> Response:
        """Carry the command out, or with `dry_run` see what it would do, and answer. `once`: a
        member that is a secret; the store does not keep it for who asks again with an
        Idempotency-Key.
        """
        self._once = once

        def work() -> Response:
            return engine.retried(lambda: self._perform(command))

        if not self.key or self.dry_run:
            return await self.site.run(work)
        running = (self.caller.token, self.key)
        if running in self.site.running:
            raise _still_running()
        self.site.running.add(running)
        try:
            return await self.site.run(work)
        finally:
            self.site.running.discard(running)

    def _perform(self, command: Callable[[Desk], Json | Made]) -> Response:
        with self.site.store.write(keep=not self.dry_run) as connection:
            desk = self._desk(connection)
            earlier = None
            if self.key and not self.dry_run:
                earlier = self._known(connection, desk)
            answer = earlier or self._carry_out(desk, command)
        headers = dict(answer.headers)
        if earlier is not None:
            headers["Idempotent-Replayed"] = "true"
        return _answer(answer.status, answer.text, headers)

    def _carry_out(self, desk: Desk, command: Callable[[Desk], Json | Made]) -> requests.Answer:
        outcome = desks.carry_out(desk, command)
        # A command that changes what somebody else may have changed meanwhile must compare it.
        assert self._matched or not self.precondition, "the command does not call asking.match"
        said = outcome.answer
        body = said.body if isinstance(said, Made) else said
        headers = {"ETag": documents.etag(body)}
        status = HTTPStatus.OK
        if isinstance(said, Made):
            status, headers["Location"] = HTTPStatus.CREATED, said.location
        whole = {**body, "letters": self._letters(desk, outcome.letters)}
        answer = requests.Answer(self._asked(), status, _text(whole), headers)
        if self.key and not self.dry_run:
            whole.pop(self._once, None)
            without_secret = replace(answer, text=_text(whole))
            requests.keep(desk.connection, self.caller.token, self.key, without_secret, desk.now)
        return answer

    def _letters(self, desk: Desk, owed: Letters) -> Json:
        counts = {
            "request": owed.count(Method.REQUEST),
            "cancel": owed.count(Method.CANCEL),
            "leaves_at": codec.moment(owed.leaves_at) or None,
        }
        if owed.uncounted:
            counts["uncounted_follow_ups"] = owed.uncounted
        if not self.dry_run:
            return counts
        return {**counts, "owed": letters.listed(desk, owed.queued, self.bodies)}

    def _known(self, connection: Connection, desk: Desk) -> requests.Answer | None:
        """What this very request was answered before."""
        if requests.is_running(connection, self.caller.token, self.key):
            raise _still_running()
        earlier = requests.answered(connection, self.caller.token, self.key, desk.now)
        if earlier is not None and earlier.asked != self._asked():
            raise InputError("Idempotency-Key: was used for another request within the last day")
        return earlier

    def _desk(self, connection: Connection) -> Desk:
        return Desk(connection, self.site.settings, self.site.clock(), self.actor)

    def _asked(self) -> str:
        url = self.request.url
        head = f"{self.actor.associate}\n{self.request.method} {url.path}?{url.query}\n"
        return hashlib.sha256(head.encode() + self.caller.body).hexdigest()

    def _about(self) -> str:
        """This list, whatever page of it."""
        return f"{self.request.url.path}?{urlencode(self._parameters())}"

    def _next(self, cursor: str) -> str:
        pairs = [*self._parameters(), ("limit", str(self.limit)), ("cursor", cursor)]
        return f"{self.request.url.path}?{urlencode(pairs)}"

    def _parameters(self) -> list[tuple[str, str]]:
        pairs = self.request.query_params.multi_items()
        return sorted((name, value) for name, value in pairs if name not in ("cursor", "limit"))


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _answer(status: int, text: str, headers: Mapping[str, str]) -> Response:
    return Response(text, status, dict(headers), "application/json")


def _still_running() -> Refused:
    return Refused("a request with this Idempotency-Key is still running; ask again in a moment")


def _asking(request: Request, **facts: Any) -> Asking:
    return Asking(request, site_of(request.scope), request.state.caller, **facts)


async def _reading(
    request: Request,
    if_none_match: Annotated[str, Header(description="The ETag that is known; 304 then.")] = "",
) -> Asking:
    return _asking(request, if_none_match=if_none_match)


async def _listing(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many rows.")] = 50,
    cursor: Annotated[str, Query(max_length=2000, description="As `next` said.")] = "",
) -> Asking:
    return _asking(request, limit=limit, cursor=cursor)


DryRun = Annotated[bool, Query(description="Answer the same and keep nothing; lists the letters.")]
Bodies = Annotated[bool, Query(description="With dry_run: the letters' text and HTML, too.")]


async def _posting(
    request: Request,
    dry_run: DryRun = False,
    bodies: Bodies = False,
    idempotency_key: Annotated[
        str, Header(max_length=200, description="Asking again with it has no second effect.")
    ] = "",
) -> Asking:
    return _asking(request, dry_run=dry_run, bodies=bodies, key=idempotency_key)


async def _changing(
    request: Request,
    dry_run: DryRun = False,
    bodies: Bodies = False,
    if_match: Annotated[
        str, Header(description="The ETag of what was read, or `*`.", examples=["*"])
    ] = "",
    if_none_match: Annotated[str, Header(description="`*`: only where there is none.")] = "",
) -> Asking:
    return _asking(
        request,
        dry_run=dry_run,
        bodies=bodies,
        if_match=if_match,
        if_none_match=if_none_match,
        precondition=True,
    )


Reading = Annotated[Asking, Depends(_reading)]
"""GET of one thing."""
Pages = Annotated[Asking, Depends(_listing)]
"""GET of a list."""
Posting = Annotated[Asking, Depends(_posting)]
"""POST."""
Changing = Annotated[Asking, Depends(_changing)]
"""PUT, PATCH, DELETE: the command calls `asking.match`."""


def path(*steps: str) -> str:
    """The address of something: for `Made`."""
    return PREFIX + keys.path(*steps)
