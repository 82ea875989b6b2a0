"""What stands before every route of the API: the token, its quota, and the size and kind of a body.

Standards: bearer tokens (RFC 6750), HTTP (RFC 9110). Nothing of a request is looked at before its
token was: a path that does not exist answers a stranger as any other. Security: unknown, missing
and revoked tokens get the same words after the same query. Limits: `web.requests_per_minute` for
each token, `MOST_BYTES` of a body (`IMPORT_BYTES` for an import), `BODY_SECONDS` for it to arrive.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from gateway.errors import Forbidden, GatewayError, InputError
from gateway.model import Access, Actor
from gateway.store import tokens
from gateway.web import problems
from gateway.web.api.site import PREFIX, Site
from gateway.web.problems import HttpProblem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BYTES = 1_000_000
IMPORT_BYTES = 20_000_000
IMPORT = f"{PREFIX}/import"
BODY_SECONDS = 60
JSON = ("application/json", "application/merge-patch+json")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="invite-gateway"'}
STRANGER = "a bearer token is needed that is known here and was not revoked"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is. `token`: its number; `body`: what was sent, for Idempotency-Key."""

    actor: Actor
    token: int
    body: bytes = b""


class Gate:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_guarded(scope["path"]):
            await self.app(scope, receive, send)
            return
        site, sent = site_of(scope), send
        try:
            said = headers(scope)
            caller = await site.run(lambda: identified(site, said))
            quota = await site.run(
                lambda: site.quotas.take(site.store, str(caller.token), site.clock())
            )
            if quota is not None:
                sent = _with(send, quota.headers)
                if quota.is_over:
                    wait = {"Retry-After": str(quota.seconds)}
                    raise HttpProblem(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", wait)
            require_storable(scope)
            most = IMPORT_BYTES if scope["path"] == IMPORT else MOST_BYTES
            sent_body = await _json_body(said, receive, most)
        except GatewayError as error:
            await problems.response(error)(scope, receive, sent)
            return
        scope.setdefault("state", {})["caller"] = replace(caller, body=sent_body)
        await self.app(scope, replay(sent_body, receive), sent)


def site_of(scope: Scope) -> Site:
    """What the application that answers this request has in common."""
    site = scope["app"].state.site
    assert isinstance(site, Site)
    return site


def identified(site: Site, said: dict[str, str]) -> Caller:
    """Who asks, and on whose behalf. Raises `HttpProblem` where nobody that is known here."""
    now, associate = site.clock(), said.get("on-behalf-of", "")
    with site.store.read() as connection:
        token = tokens.of(connection, _bearer(said))
        is_known = not associate or tokens.is_associate(connection, associate)
    if token is None:
        raise HttpProblem(HTTPStatus.UNAUTHORIZED, STRANGER, CHALLENGE)
    if not tokens.is_noted(token, now):
        number = token.id
        site.store.note(lambda connection: tokens.note_use(connection, number, now))
    actor = token.actor
    if associate:
        if token.role is not Access.CRM:
            raise Forbidden("only a connection of the kind crm speaks on somebody's behalf")
        if not is_known:
            raise InputError(f"On-Behalf-Of: there is no associate {associate!r}")
        actor = replace(actor, associate=associate)
    return Caller(actor, token.id)


def _is_guarded(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def headers(scope: Scope) -> dict[str, str]:
    """By lower-case name. A key of the CRM need not be ASCII, so header values are UTF-8 here."""
    return {
        name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in scope["headers"]
    }


def _bearer(said: dict[str, str]) -> str:
    scheme, _, secret = said.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def require_storable(scope: Scope) -> None:
    """No database compares with a NUL, which a path or parameter can say."""
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise InputError("the address has a NUL character")


async def _json_body(said: dict[str, str], receive: Receive, most: int) -> bytes:
    size = said.get("content-length", "")
    if size.isdecimal() and int(size) > most:
        raise _too_large(most)
    whole = await body(receive, most)
    kind = said.get("content-type", "").partition(";")[0].strip().lower()
    if whole and kind not in JSON:
        raise HttpProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {kind or 'of no kind that is said'}; application/json is wanted",
            {"Accept": ", ".join(JSON)},
        )
    return whole


async def body(receive: Receive, most: int) -> bytes:
    """All of a body. Raises `HttpProblem` for one that is too large or too slow."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive, most)
    except TimeoutError:
        raise HttpProblem(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None


async def _read(receive: Receive, most: int) -> bytes:
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpProblem(HTTPStatus.BAD_REQUEST, "the connection ended before the body did")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(most: int) -> HttpProblem:
    """The connection stays: whoever sends all of a body before they read (most clients do) would
    be reset, and never read this. The server throws away what still comes.
    """
    words = f"the body is larger than {most:,} bytes".replace(",", " ")
    return HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words)


def replay(whole: bytes, receive: Receive) -> Receive:
    """The body once more, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": whole, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _with(send: Send, values: dict[str, str]) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in values.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sent
